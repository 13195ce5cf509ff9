//go:build postgres

package postgres_test

import (
	"flag"
	"fmt"
	"iter"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

var size = flag.Int("members", 100_000, "how many members BenchmarkSync compares, of whom one in a hundred has changed")

// BenchmarkSync compares a list with as many members, of whom one in a hundred is another, and records the difference in requests of 1,000, sixteen at a
// time: here, and in files beside it. Both wait for the disk.
func BenchmarkSync(b *testing.B) {
	for name, made := range map[string]func() (ledger.Ledger, error){
		"postgres": func() (ledger.Ledger, error) { return newLedger(b, migrated(b)), nil },
		"dir":      func() (ledger.Ledger, error) { return ledger.OpenDir(b.TempDir()) },
	} {
		b.Run(name, func(b *testing.B) {
			l, err := made()
			if err != nil {
				b.Fatal(err)
			}
			s := open(b, l, key("a"))
			begun := time.Now()
			change(b, s, compared(b, s, 0))
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			first := time.Since(begun)
			var comparing, recording, opening time.Duration
			round := 0
			for b.Loop() {
				round++
				at := time.Now()
				s := open(b, l, key("a"))
				opened := time.Now()
				d := compared(b, s, round)
				done := time.Now()
				if want := *size / 100; d.Adds.Count != want || d.Removals.Count != want {
					b.Fatalf("%d adds and %d removals, want %d of each", d.Adds.Count, d.Removals.Count, want)
				}
				change(b, s, d)
				recorded := time.Now()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				comparing += done.Sub(opened)
				recording += recorded.Sub(done)
				opening += opened.Sub(at) + time.Since(recorded)
			}
			b.ReportMetric(first.Seconds(), "s/first-sync")
			b.ReportMetric(comparing.Seconds()/float64(b.N), "s/compare")
			b.ReportMetric(recording.Seconds()/float64(b.N), "s/record")
			b.ReportMetric(opening.Seconds()/float64(b.N), "s/open+close")
		})
	}
}

// compared compares a session with the list of a round: each has one in a hundred members whom no other has.
func compared(b *testing.B, s ledger.Session, round int) *ledger.Difference {
	b.Helper()
	d, err := s.Compare(b.Context(), func(yield func(ledger.Wanted, error) bool) {
		for i := range *size {
			n := i
			if i%100 == 0 {
				n = i + (round+1)**size
			}
			if !yield(ledger.Wanted{ID: identity.ExternalID(fmt.Sprintf("5b2c9f0e-1a2b-4c3d-8e4f-%012x", n))}, nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// change records a difference as a Syncer does that gets every answer at once.
func change(b *testing.B, s ledger.Session, d *ledger.Difference) {
	b.Helper()
	for _, part := range []iter.Seq2[ledger.Member, error]{d.Removals.Members, d.Adds.Members} {
		var requests errgroup.Group
		requests.SetLimit(16)
		send := func(members []ledger.Member) {
			requests.Go(func() error {
				removals, adds := members, members
				if members[0].State == ledger.Out {
					removals = nil
				} else {
					adds = nil
				}
				intent, err := s.Begin(b.Context(), removals, adds)
				if err != nil {
					return err
				}
				return s.Settle(intent, ledger.Accepted)
			})
		}
		var members []ledger.Member
		for m, err := range part {
			if err != nil {
				b.Fatal(err)
			}
			if members = append(members, m); len(members) == 1000 {
				send(members)
				members = nil
			}
		}
		if len(members) > 0 {
			send(members)
		}
		if err := requests.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}
