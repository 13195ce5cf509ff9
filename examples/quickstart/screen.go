package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// wiped returns to the beginning of a terminal's line and empties it.
const wiped = "\r\x1b[K"

// screen prints lines and, on a terminal, a status that the next one replaces. A file or a pipe gets plain lines alone.
type screen struct {
	out      io.Writer
	terminal bool

	mu       sync.Mutex
	dangling bool // a status stands on the current line
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	return &screen{out: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// Write lets the flag package print its usage.
func (s *screen) Write(p []byte) (int, error) { return s.out.Write(p) }

// linef prints a line for good.
func (s *screen) linef(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// block prints a text of several lines, indented.
func (s *screen) block(text fmt.Stringer) {
	for line := range strings.SplitSeq(text.String(), "\n") {
		s.linef("   | %s", line)
	}
}

// statusf shows how far things are, where somebody is watching.
func (s *screen) statusf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal {
		s.dangling = true
		_, _ = fmt.Fprintf(s.out, wiped+format, args...)
	}
}

// done takes the status away.
func (s *screen) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
}

func (s *screen) wipe() {
	if s.dangling {
		s.dangling = false
		_, _ = fmt.Fprint(s.out, wiped)
	}
}
