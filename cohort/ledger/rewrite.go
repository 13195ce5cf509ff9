package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
)

// A journal of more than largeJournal bytes is read several times as the files are written anew, each time for some of the
// partitions, so that the scratch takes a part of its size.
const (
	largeJournal = 64 << 20
	largePasses  = 4
)

// rewrite writes base and journal anew: who is a member now goes into a new base, and the journal is empty but for the header. Until the new
// journal stands under its name, the old files are the valid ones. Intents that this session has yet to settle go into the new journal, and so do stamps.
func (s *dirSession) rewrite(ctx context.Context) error {
	if err := s.journal.finish(ctx); err != nil {
		return err
	}
	l, err := s.journal.scan(ctx, s.head)
	if err != nil {
		return err
	}
	frames, err := s.pendingFrames(ctx)
	if err != nil {
		return err
	}
	stamps, err := s.journal.keptStamps(ctx, l, s.pending)
	if err != nil {
		return err
	}
	frames = append(frames, stamps...)
	head := s.head
	head.Intent = s.last
	head.Base.Number++
	name := s.file(s.baseName(head.Base.Number))
	info, err := s.writeBase(ctx, l, name, head.Base.Number)
	if err == nil {
		err = s.disk.syncDir(s.folder)
	}
	if err != nil {
		_ = s.disk.remove(name) // the next session does it otherwise
		return err
	}
	head.Base = info
	// From here on nobody knows which journal is the valid one, so nothing more may go into the old one. Some systems do not replace a file
	// that is open.
	_ = s.journal.file.Close()
	j, err := s.replace(head, s.header, frames)
	if err != nil {
		return s.journal.fail(err)
	}
	b, err := openBase(s.disk, name, info)
	if err != nil {
		_ = j.file.Close()
		return s.journal.fail(err)
	}
	old, oldName := s.base, s.file(s.baseName(s.head.Base.Number))
	_ = old.close()
	s.kept = 0
	for _, f := range stamps {
		s.kept += f.size()
	}
	s.mu.Lock()
	s.journal, s.head, s.base = j, head, b
	s.mu.Unlock()
	if old.file == nil {
		return nil
	}
	return s.disk.remove(oldName)
}

// pendingFrames returns the intents that this session has yet to settle, with their stamps. There are as many as requests under way.
func (s *dirSession) pendingFrames(ctx context.Context) ([]frame, error) {
	if len(s.pending) == 0 {
		return nil, nil
	}
	var frames []frame
	_, err := s.journal.frames(ctx, func(f frame) error {
		if f.kind != intentFrame && f.kind != stampsFrame {
			return nil
		}
		if number, _ := binary.Uvarint(f.payload); s.pending[Intent(number)] {
			frames = append(frames, frame{f.kind, bytes.Clone(f.payload)})
		}
		return nil
	})
	return frames, err
}

// writeBase writes the members into a base file.
func (s *dirSession) writeBase(ctx context.Context, l *logged, name string, number uint64) (baseInfo, error) {
	w, err := createBase(s.disk, name, number)
	if err != nil {
		return baseInfo{}, err
	}
	passes := 1
	if s.journal.size() > largeJournal {
		passes = largePasses
	}
	c := &comparison{seed: s.head.Seed, base: s.base, scratch: s.scratch}
	var wk worker
	for pass := range passes {
		from, to := partitions*pass/passes, partitions*(pass+1)/passes
		err = s.scratch.empty()
		if err == nil {
			err = s.journal.scatter(ctx, l, c.seed, s.scratch, from, to)
		}
		for partition := from; err == nil && partition < to; partition++ {
			err = c.writeBlock(&wk, w, partition)
		}
		if err != nil {
			_ = w.file.Close()
			return baseInfo{}, err
		}
	}
	info, err := w.finish()
	if err != nil {
		return baseInfo{}, err
	}
	return info, s.scratch.empty()
}

// writeBlock writes the members of a partition.
func (c *comparison) writeBlock(wk *worker, w *baseWriter, partition int) error {
	err := c.partition(wk, partition, func(t *table, _ int) error {
		for _, state := range [...]State{In, Unknown} {
			s := section{state: state, class: t.class, records: wk.bytes[:0]}
			for from := 0; from < len(t.flags); {
				to := from + 1
				for to < len(t.flags) && t.flags[to].state() == t.flags[from].state() {
					to++
				}
				if t.flags[from].state() == state {
					s.records = append(s.records, t.span(from, to)...)
					s.count += to - from
				}
				from = to
			}
			w.section(s)
			wk.bytes = s.records
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.block()
}
