package main

import (
	"context"
	"fmt"
	"io"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
)

// shownRejections is how many rejected rows are printed one by one.
const shownRejections = 3

// export names a cohort and fills it from a file. It is what an integration does; everything else here is around it.
func export(ctx context.Context, out *screen, importer *cohort.Importer, c cohort.Cohort, file io.Reader) (cohort.Report, error) {
	if err := importer.SetName(ctx, c); err != nil {
		return cohort.Report{}, err
	}
	var rules identity.Rules // an external ID before an alias before a device
	rejected := 0
	report, err := importer.Apply(ctx, c.ID, cohort.AddAll(rules.IDs(people(file))),
		cohort.OnReject(func(r cohort.Rejection) {
			if rejected++; rejected <= shownRejections {
				out.linef("   %v", r)
			}
		}),
		cohort.OnProgress(func(p cohort.Progress) {
			out.statusf("   %d rows read, %d changes accepted, %d requests", p.Rows, p.Accepted, p.Requests)
		}))
	out.done()
	if more := rejected - shownRejections; more > 0 {
		out.linef("   … and %d more rejected rows", more)
	}
	out.linef("   rows      %d read = %d to add + %d duplicate + %d rejected + %d unprocessed",
		report.Rows.Read, report.Rows.Added, report.Rows.Duplicate, report.Rows.Rejected, report.Rows.Unprocessed)
	out.linef("   sent      %d accepted, %d refused, %d unknown, %d unsent, in %d requests; about %d data points",
		report.Adds.Accepted, report.Adds.Refused, report.Adds.Unknown, report.Adds.Unsent, report.Requests, report.DataPoints())
	for _, w := range report.Warnings {
		out.linef("   warning   %v", w)
	}
	if sum := report.Rows.Added + report.Rows.Duplicate + report.Rows.Rejected + report.Rows.Unprocessed; sum != report.Rows.Read || report.Adds.Total() != report.Rows.Added {
		return report, fmt.Errorf("the report does not add up: %v", report)
	}
	return report, err
}
