package ledgertest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// recorder is a test that only listens. What a case does with it happens in a goroutine of its own, which FailNow ends.
type recorder struct {
	testing.TB // for what is the same in every test

	mu       sync.Mutex
	failed   bool
	texts    []string
	logs     []string
	cleanups []func()
}

// listen runs f with a test that only listens, and returns it when all is over.
func listen(tb testing.TB, f func(*recorder)) *recorder {
	tb.Helper()
	r := &recorder{TB: tb}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		f(r)
	}()
	<-done
	return r
}

func (r *recorder) Helper() {}

func (r *recorder) note(list *[]string, text string, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, text)
	r.failed = r.failed || failed
}

func (r *recorder) Log(args ...any) { r.note(&r.logs, fmt.Sprintln(args...), false) }
func (r *recorder) Logf(format string, args ...any) {
	r.note(&r.logs, fmt.Sprintf(format, args...), false)
}
func (r *recorder) Error(args ...any) { r.note(&r.texts, fmt.Sprintln(args...), true) }
func (r *recorder) Errorf(format string, args ...any) {
	r.note(&r.texts, fmt.Sprintf(format, args...), true)
}

func (r *recorder) FailNow() { runtime.Goexit() }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}
