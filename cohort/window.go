package cohort

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/cohortkit/cohortkit/transport"
)

const (
	// firstStreak is how many successes in a row widen a window that has been narrowed. The number doubles with each
	// narrowing, up to longestStreak, so that an endpoint that locks a cohort for every overlap is not tried again and again.
	firstStreak   = 16
	longestStreak = 4096
)

// window bounds how many requests of one run are on the wire at once. It halves when the endpoint says that the cohort is locked (423) or
// the rate limit is used up (429), and widens by one after a streak of successes. A request that waits to be repeated does not take a place.
//
// It is a limiter around the run's own, because a limiter is what is asked before every attempt and told of its end.
type window struct {
	inner    transport.Limiter
	feedback transport.FeedbackLimiter // inner, if it listens
	most     int

	mu      sync.Mutex
	width   int             // places
	taken   int             // places taken
	line    []chan struct{} // who waits for a place
	late    int             // attempts under way when the window was last narrowed: their complaints are about the former width
	streak  int             // successes in a row
	require int             // streak that widens
}

func newWindow(inner transport.Limiter, most int) *window {
	w := &window{inner: inner, most: most, width: most, require: firstStreak}
	w.feedback, _ = inner.(transport.FeedbackLimiter)
	return w
}

// Wait takes a place and then asks the run's limiter, in this order: whoever holds a permission of the limiter must use it at once.
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
