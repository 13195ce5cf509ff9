package cohort

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Job is one cohort of a [Syncer.SyncAll] and who is wanted in it.
type Job struct {
	Cohort   Cohort
	Audience Audience
}

// SyncAll is [Syncer.Sync] for several cohorts, some at a time (see [WithParallel]). The options count for each of them: [ApproveRemovals] approves up to
// that number in every cohort. The reports are in the order of the jobs. A cohort that fails stops no other: the errors are joined, and each
// names its cohort. Sources of different jobs are ranged over by different goroutines. The function of [WithSuppression] is called by
// several at once, the callbacks of a run are not.
//
// Two jobs for one cohort are an [*InvalidError] before anything is read.
func (s *Syncer) SyncAll(ctx context.Context, jobs []Job, opts ...RunOption) ([]Report, error) {
	ids := make(map[string]bool, len(jobs))
	for _, job := range jobs {
		if ids[job.Cohort.ID] {
			return nil, &InvalidError{Field: "jobs", Problem: fmt.Sprintf("have cohort %q twice", job.Cohort.ID), Next: "give each cohort one audience"}
		}
		ids[job.Cohort.ID] = true
	}
	config, err := newRunConfig(opts)
	if err != nil {
		return nil, err
	}
	config.takeTurns()
	reports := make([]Report, len(jobs))
	errs := make([]error, len(jobs))
	var group errgroup.Group
	group.SetLimit(s.parallel)
	for i, job := range jobs {
		group.Go(func() error {
			reports[i] = Report{CohortID: job.Cohort.ID, Name: job.Cohort.Name, Partner: s.partner}
			if _, err := s.validSync(job.Cohort, job.Audience, nil); err != nil {
				errs[i] = fmt.Errorf("cohort: sync %q: %w", job.Cohort.ID, err)
				return nil
			}
			reports[i], errs[i] = s.sync(ctx, job.Cohort, job.Audience, config)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return reports, errors.Join(errs...)
}

// takeTurns makes the callbacks fit for several runs at a time. Those of one kind are called one after the other. The turn is a channel and no mutex, as in
// a single run.
func (c *runConfig) takeTurns() {
	if len(c.onReject) > 0 {
		c.onReject = []func(Rejection){inTurn(c.onReject)}
	}
	if len(c.onProgress) > 0 {
		c.onProgress = []func(Progress){inTurn(c.onProgress)}
	}
}

func inTurn[T any](callbacks []func(T)) func(T) {
	turn := make(chan struct{}, 1)
	return func(v T) {
		turn <- struct{}{}
		defer func() { <-turn }()
		for _, f := range callbacks {
			f(v)
		}
	}
}
