package cohort

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

const (
	// firstStreak is how many successes in a row widen a window that has been narrowed. The number doubles with each
	// narrowing, up to longestStreak, so that an endpoint that locks a cohort for every overlap is not tried again and again.
	firstStreak   = 16
	longestStreak = 4096
)

// remembered is how long after its last lock a cohort without runs keeps its window: long enough for runs that follow each other, and too short for a lock
// of yesterday to slow down today.
const remembered = time.Hour

// windows are the windows of an Importer's cohorts: of those that have a run, and of those that were locked not long ago. The zero value has none.
type windows struct {
	mu    sync.Mutex
	of    map[string]*window // by cohort ID
	sweep int                // at so many, the outdated ones are dropped
}

// leastSweep is how many windows are not worth looking through.
const leastSweep = 64

// take returns the window of a cohort for another run on it.
func (ws *windows) take(cohortID string, inner transport.Limiter, most int) *window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of[cohortID]
	if w == nil || w.outdated() {
		if ws.of == nil {
			ws.of = make(map[string]*window)
		}
		w = newWindow(inner, most)
		ws.of[cohortID] = w
	}
	w.runs++
	return w
}

// giveBack ends a run's use of its cohort's window.
func (ws *windows) giveBack(cohortID string, w *window) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.runs--
	if w.outdated() {
		delete(ws.of, cohortID)
	}
	switch {
	case len(ws.of) == 0:
		ws.of = nil // an idle Importer is to be small
	case len(ws.of) >= max(ws.sweep, leastSweep):
		maps.DeleteFunc(ws.of, func(_ string, w *window) bool { return w.outdated() })
		ws.sweep = 2 * len(ws.of)
	}
}

// window bounds how many requests to one cohort are on the wire at once, over all runs on it. It halves when the endpoint says that the cohort is locked
// (423) or the rate limit is used up (429), and widens by one after a streak of successes. A request that waits to be repeated does not take a place.
//
// It is a limiter around the Importer's own, because a limiter is what is asked before every attempt and told of its end.
type window struct {
	inner    transport.Limiter
	feedback transport.FeedbackLimiter // inner, if it listens
	most     int
	runs     int // that use it; guarded by the mutex of windows

	mu      sync.Mutex
	width   int             // places
	taken   int             // places taken
	line    []chan struct{} // who waits for a place
	late    int             // attempts under way when the window was last narrowed: their complaints are about the former width
	streak  int             // successes in a row
	require int             // streak that widens
	locked  time.Time       // when the last 423 came
}

func newWindow(inner transport.Limiter, most int) *window {
	w := &window{inner: inner, most: most, width: most, require: firstStreak}
	w.feedback, _ = inner.(transport.FeedbackLimiter)
	return w
}

// outdated reports whether a new window is as good or better for the next run. One that was narrowed by 429 alone is: the quota slows everybody down.
func (w *window) outdated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs == 0 && (w.width == w.most || time.Since(w.locked) >= remembered)
}

// Wait takes a place and then asks the Importer's limiter, in this order: whoever holds a permission of the limiter must use it at once.
func (w *window) Wait(ctx context.Context) error {
	if err := w.enter(ctx); err != nil {
		return err
	}
	if err := w.inner.Wait(ctx); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.leave()
		return err
	}
	return nil
}

func (w *window) enter(ctx context.Context) error {
	w.mu.Lock()
	if w.taken < w.width {
		w.taken++
		w.mu.Unlock()
		return nil
	}
	place := make(chan struct{})
	w.line = append(w.line, place)
	w.mu.Unlock()
	select {
	case <-place:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.line, place); i >= 0 {
		w.line = slices.Delete(w.line, i, i+1)
	} else {
		w.leave() // the place came in the same moment
	}
	return ctx.Err()
}

// leave gives a place back and lets in who waits.
func (w *window) leave() {
	w.taken--
	w.late = min(w.late, w.taken) // some never came to be attempts
	for w.taken < w.width && len(w.line) > 0 {
		w.taken++
		close(w.line[0])
		w.line = slices.Delete(w.line, 0, 1)
	}
}

// Feedback hears the end of an attempt and gives its place back.
func (w *window) Feedback(f transport.Feedback) {
	if w.feedback != nil {
		w.feedback.Feedback(f)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adapt(f.Status)
	w.leave()
}

func (w *window) adapt(status int) {
	late := w.late > 0
	if late {
		w.late--
	}
	if status == http.StatusLocked {
		w.locked = time.Now()
	}
	switch {
	case status == http.StatusLocked || status == http.StatusTooManyRequests:
		w.streak = 0
		if late {
			return
		}
		w.width = max(1, w.width/2)
		w.late = w.taken - 1
		w.require = min(2*w.require, longestStreak)
	case status >= 200 && status <= 299 && w.width < w.most:
		if w.streak++; w.streak >= w.require {
			w.streak = 0
			w.width++
		}
	}
}
