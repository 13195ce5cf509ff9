package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// maxSize is more members than there is any use for; below it a stride through the list never meets a member twice.
const maxSize = 1_000_000_000

// stride is a prime beyond maxSize.
const stride = 2_147_483_647

const (
	bufferSize = 256 << 10
	filePerm   = 0o600
)

// list returns the file of one of the two lists of members.
func (j job) list(number int) string {
	return filepath.Join(j.Dir, fmt.Sprintf("list-%d.txt", number%2))
}

// from and to return the lists that a run leads from and to.
func (j job) from() string { return j.list(j.Run) }
func (j job) to() string   { return j.list(j.Run + 1) }

// makeLists writes both lists. They have as many members, in different orders.
func makeLists(_ context.Context, j job) (result, error) {
	for number := range 2 {
		if err := writeLines(j.list(number), j.members(number)); err != nil {
			return result{}, err
		}
	}
	return result{}, nil
}

// members yields the members of a list. They are those that the other list has, but for the churn.
func (j job) members(number int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var line []byte
		first := uint64(number * j.Churn)
		for i := range uint64(j.Size) {
			line = j.Kind.appendMember(line[:0], first+(i*stride+uint64(number))%uint64(j.Size))
			if !yield(line) {
				return
			}
		}
	}
}

// appendMember appends the identifier of a member by its number. No two numbers have the same one.
func (k kind) appendMember(dst []byte, number uint64) []byte {
	low, high := spread(number), spread(number^0x5bf0_3635_dcd6_7f3d)
	if k == textKind {
		return fmt.Appendf(dst, "crm-%020d", low)
	}
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], low)
	binary.BigEndian.PutUint64(raw[8:], high)
	var text [32]byte
	hex.Encode(text[:], raw[:])
	dst = append(dst, text[:8]...)
	for _, part := range [...][]byte{text[8:12], text[12:16], text[16:20], text[20:]} {
		dst = append(append(dst, '-'), part...)
	}
	return dst
}

// spread is the finalizer of SplitMix64, which gives every number another one.
func spread(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// writeLines writes a file of lines.
func writeLines(name string, lines iter.Seq[[]byte]) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, filePerm)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, bufferSize)
	for line := range lines {
		_, _ = w.Write(line)
		_ = w.WriteByte('\n') // Flush has the error
	}
	err = w.Flush()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// lineScanner reads the lines of a file.
type lineScanner struct {
	*bufio.Scanner
	file *os.File
}

func openLines(name string) (lineScanner, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return lineScanner{}, err
	}
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, bufferSize), bufferSize)
	return lineScanner{s, f}, nil
}

func (s lineScanner) close() { _ = s.file.Close() }

// lines yields the lines of a file, each a new string.
func lines(name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s, err := openLines(name)
		if err != nil {
			yield("", err)
			return
		}
		defer s.close()
		for s.Scan() {
			if !yield(s.Text(), nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield("", err)
		}
	}
}

// count returns how many lines of a file begin with a prefix, and how many do not.
func count(name, prefix string) (with, without int, err error) {
	for line, err := range lines(name) {
		switch {
		case err != nil:
			return 0, 0, err
		case strings.HasPrefix(line, prefix):
			with++
		default:
			without++
		}
	}
	return with, without, nil
}
