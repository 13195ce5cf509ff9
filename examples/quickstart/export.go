package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
)

// shownRejections is how many rejected rows are printed one by one.
const shownRejections = 3

// export makes a cohort equal an audience. It is what an integration does; everything else here is around it.
func export(ctx context.Context, out *screen, syncer *cohort.Syncer, c cohort.Cohort, people iter.Seq2[identity.Person, error]) (cohort.Report, error) {
	var rules identity.Rules // an external ID before an alias before a device
	rejected := 0
	report, err := syncer.Sync(ctx, c, cohort.People(rules, people),
		cohort.OnReject(func(r cohort.Rejection) {
			if rejected++; rejected <= shownRejections {
				out.linef("   %v", r)
			}
		}),
		cohort.OnProgress(func(p cohort.Progress) {
			out.statusf("   %d rows read, %d of %d changes accepted, %.0f a second, %v left", p.Rows, p.Accepted, p.Changes, p.Rate, p.Left)
		}))
	out.done()
	if more := rejected - shownRejections; more > 0 {
		out.linef("   … and %d more rejected rows", more)
	}
	rows := report.Rows
	out.linef("   rows      %d read = %d to add + %d kept + %d duplicate + %d rejected + %d unprocessed",
		rows.Read, rows.Added, rows.Kept, rows.Duplicate, rows.Rejected, rows.Unprocessed)
	if n := report.Adds.Total(); n > 0 {
		out.linef("   additions %d: %v", n, report.Adds)
	}
	if n := report.Removals.Total(); n > 0 {
		out.linef("   removals  %d: %v", n, report.Removals)
	}
	out.linef("   sent      %d requests; about %d data points", report.Requests, report.DataPoints())
	for _, w := range report.Warnings {
		out.linef("   warning   %v", w)
	}
	if sum := rows.Added + rows.Kept + rows.Duplicate + rows.Rejected + rows.Unprocessed; sum != rows.Read || report.Adds.Total() != rows.Added {
		return report, fmt.Errorf("the report does not add up: %v", report)
	}
	return report, err
}
