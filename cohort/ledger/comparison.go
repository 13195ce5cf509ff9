package ledger

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// comparison holds what an entry has, partition by partition, against what is wanted. Nothing of it changes any more once it is
// counted, so that its parts can be ranged over while the session goes on.
type comparison struct {
	seed    hashSeed
	base    *base
	scratch *scratch
	// again holds the partitions whose parts are too long to keep: they are compared again when somebody ranges over them.
	again [partitions]bool
}

// maxWorkers bounds how many partitions are compared at once, and so the memory.
const maxWorkers = 4

// worker is the memory for comparing one partition at a time.
type worker struct {
	table table
	block []byte // of the base
	bytes []byte // of the scratch
	// changes are the numbers of the records that are in a part.
	changes []uint32
}

// counts says what became of the records of a partition.
type counts struct{ members, kept, duplicate, removals, adds, repeats int }

func (t *counts) add(o counts) {
	t.members += o.members
	t.kept += o.kept
	t.duplicate += o.duplicate
	t.removals += o.removals
	t.adds += o.adds
	t.repeats += o.repeats
}

// part returns the stream for a record with these flags, and false for one that needs no change.
func (f flags) part() (stream, bool) {
	switch {
	case f&isWanted == 0:
		return removalStream, f.state() != Out
	case f.state() == Out:
		return addStream, true
	default:
		return repeatStream, f.state() == Unknown || f&isAgain != 0
	}
}

// partition fills the worker's table with one class of a partition after the other and calls f with each.
func (c *comparison) partition(w *worker, partition int, f func(t *table, duplicate int) error) error {
	var err error
	if w.block, err = c.base.load(w.block[:0], partition); err != nil {
		return err
	}
	for class := range classes {
		logged, wanted := c.scratch.bin(loggedStream, class, partition), c.scratch.bin(wantedStream, class, partition)
		var sections [Unknown + 1]section
		for block := w.block; len(block) > 0; {
			var s section
			if s, block = cutSection(block); s.class == class {
				sections[s.state] = s
			}
		}
		members := sections[In].count + sections[Unknown].count
		if members == 0 && logged.length() == 0 && wanted.length() == 0 {
			continue
		}
		w.table.reset(class, c.seed, max(members, wanted.length()/packedSize)) // more or less
		w.table.load(sections[In])
		w.table.load(sections[Unknown])
		duplicate, err := c.scattered(w, class, partition, logged, wanted)
		if err != nil {
			return err
		}
		if err := f(&w.table, duplicate); err != nil {
			return err
		}
	}
	return nil
}

// scattered brings into the table what the scratch holds. It returns how many of the wanted were wanted before.
func (c *comparison) scattered(w *worker, class class, partition int, logged, wanted *bin) (duplicate int, err error) {
	t := &w.table
	if w.bytes, err = c.scratch.load(w.bytes[:0], logged); err != nil {
		return 0, err
	}
	for rest := w.bytes; len(rest) > 0; {
		state := rest[0]
		var record []byte
		record, rest, _ = cutRecord(rest[1:], class)
		i := t.number(record)
		t.flags[i] = flags(state)
	}
	if w.bytes, err = c.scratch.load(w.bytes[:0], wanted); err != nil {
		return 0, err
	}
	duplicate = t.want(w.bytes)
	if w.bytes, err = c.scratch.load(w.bytes[:0], c.scratch.bin(againStream, class, partition)); err != nil {
		return 0, err
	}
	for rest := w.bytes; len(rest) > 0; {
		var record []byte
		record, rest, _ = cutRecord(rest, class)
		t.flags[t.number(record)] |= isAgain
	}
	return duplicate, nil
}

// each calls f for every partition, on several goroutines with a worker each.
func (c *comparison) each(ctx context.Context, f func(w *worker, partition int) error) error {
	var next atomic.Int32
	g, ctx := errgroup.WithContext(ctx)
	for range min(maxWorkers, runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			var w worker
			for {
				partition := int(next.Add(1)) - 1
				if partition >= partitions {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := f(&w, partition); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// twins finds the wanted who are known by another identifier that is about to be removed. What it finds goes into any partition, so one goroutine does
// it: it costs a comparison more, of audiences that name other identifiers alone.
func (c *comparison) twins(ctx context.Context) error {
	if !c.scratch.has(twinStream) {
		return nil
	}
	var w worker
	var pairs []byte
	for partition := range partitions {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.partition(&w, partition, func(t *table, _ int) (err error) {
			if pairs, err = c.scratch.load(pairs[:0], c.scratch.bin(twinStream, t.class, partition)); err != nil {
				return err
			}
			for rest := pairs; len(rest) > 0; {
				var other, record []byte
				other, rest, _ = cutRecord(rest, t.class)
				of := class(rest[0])
				record, rest, _ = cutRecord(rest[1:], of)
				i := t.known(other)
				if i < 0 || t.flags[i]&isWanted != 0 || t.flags[i].state() == Out {
					continue
				}
				b := c.scratch.open(againStream, of, partitionOf(c.seed.hash(of, record)))
				if err := c.scratch.room(b, lengthSize+len(record)); err != nil {
					return err
				}
				b.tail = appendRecord(b.tail, of, record)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keepShare says when the parts of a partition are kept: if they are at most a quarter of its records. More would take more room than to compare
// again takes time.
const keepShare = 4

// count compares every partition, keeps the parts that are short, and returns the counts.
func (c *comparison) count(ctx context.Context) (counts, error) {
	var each [partitions]counts
	err := c.each(ctx, func(w *worker, partition int) error {
		err := c.partition(w, partition, func(t *table, duplicate int) error {
			n := counts{duplicate: duplicate}
			w.changes = w.changes[:0]
			for i, f := range t.flags {
				if f == flags(In)|isWanted { // almost all
					n.members++
					n.kept++
					continue
				}
				if f.state() != Out {
					n.members++
				}
				st, changes := f.part()
				switch {
				case !changes:
					n.kept += int(f & isWanted / isWanted)
					continue
				case st == removalStream:
					n.removals++
				case st == addStream:
					n.adds++
				default:
					n.repeats++
				}
				w.changes = append(w.changes, uint32(i))
			}
			each[partition].add(n)
			if keepShare*len(w.changes) > len(t.flags)+256 {
				c.again[partition] = true
			}
			if c.again[partition] {
				return nil
			}
			for _, i := range w.changes {
				f := t.flags[i]
				st, _ := f.part()
				if err := c.scratch.append(c.scratch.share(st, t.class, partition), f.state(), t.class, t.record(int(i))); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && !c.again[partition] {
			c.scratch.forget(wantedStream, partition) // its parts are kept
			c.scratch.forget(loggedStream, partition)
		}
		return err
	})
	var sum counts
	for _, n := range each {
		sum.add(n)
	}
	return sum, err
}

// errStop ends a comparison whose caller wants no more.
var errStop = errors.New("stop")

// part returns the members of one part.
func (c *comparison) part(ctx context.Context, st stream) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		var w worker
		for partition := range partitions {
			if err := c.partIn(ctx, &w, partition, st, yield); err != nil {
				if !errors.Is(err, errStop) {
					yield(Member{}, err)
				}
				return
			}
		}
	}
}

// partIn yields the members of one part in one partition, and returns errStop when the caller wants no more.
func (c *comparison) partIn(ctx context.Context, w *worker, partition int, st stream, yield func(Member, error) bool) error {
	give := func(class class, state State, record []byte) error {
		id, ok := unpack(class, record)
		switch {
		case !ok:
			return &DamagedError{File: c.base.name, Problem: "holds a record that is no identifier"}
		case !yield(Member{id, state}, nil):
			return errStop
		}
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.again[partition] {
		return c.partition(w, partition, func(t *table, _ int) error {
			for i, f := range t.flags {
				if is, changes := f.part(); changes && is == st {
					if err := give(t.class, f.state(), t.record(i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	for class := range classes {
		kept, err := c.scratch.load(w.bytes[:0], c.scratch.bin(st, class, partition))
		if err != nil {
			return err
		}
		w.bytes = kept
		for len(kept) > 0 {
			state := State(kept[0])
			var record []byte
			record, kept, _ = cutRecord(kept[1:], class)
			if err := give(class, state, record); err != nil {
				return err
			}
		}
	}
	return nil
}
