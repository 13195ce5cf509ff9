package cohort

import (
	"context"

	"github.com/cohortkit/cohortkit/transport"
)

// Observer is any value that implements one or more of the observer interfaces of this package: [BatchObserver]. New
// interfaces may come; an Observer is asked only for those it has. Observers are called by many goroutines at once, must be
// quick, and never see a key or an identifier. What happens to single attempts is told to the observers of the [transport.Client].
type Observer any

// BatchEnd describes a request of changes that came to its end, repeats included.
type BatchEnd struct {
	Workspace string            // the importer's workspace
	CohortID  string            // the cohort
	Adds      int               // additions in the request
	Removals  int               // removals in the request
	Attempts  int               // tries made
	Outcome   transport.Outcome // what became of it
}

// BatchObserver hears of every request of changes that came to its end.
type BatchObserver interface {
	ObserveBatch(context.Context, BatchEnd)
}

type observers struct{ batches []BatchObserver }

// add files an observer and reports whether it is one.
func (o *observers) add(observer Observer) bool {
	batch, ok := observer.(BatchObserver)
	if ok {
		o.batches = append(o.batches, batch)
	}
	return ok
}
