package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cohortkit/cohortkit/internal/text"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want text.Fault
	}{
		{"empty", "", text.Empty},
		{"ascii", "u-17", text.None},
		{"a space is text", " ", text.None},
		{"accents", "Frühling, 5 %", text.None},
		{"four-byte runes", "🦊", text.None},
		{"tab", "a\tb", text.Control},
		{"line break at the end", "u-17\n", text.Control},
		{"nul", "\x00", text.Control},
		{"delete", "a\x7f", text.Control},
		{"C1 control", "a\u0085", text.Control},
		{"no-break space is text", "a\u00a0", text.None},
		{"cut rune", "a\xc3", text.InvalidUTF8},
		{"surrogate half", "\xed\xa0\x80", text.InvalidUTF8},
		{"eight bytes", "12345678", text.None},
		{"a UUID", "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10", text.None},
		{"the last usual byte", "~~~~~~~~~", text.None},
		{"control in the first word", "1\x1f345678abcdefgh", text.Control},
		{"control in the last byte", "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d1\n", text.Control},
		{"delete in a word", "1234567\x7f", text.Control},
		{"accent in a word", "Grüße aus Köln", text.None},
		{"invalid at the end of a word", "1234567\xff", text.InvalidUTF8},
		{"invalid wins over control", "\n\xff", text.InvalidUTF8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := text.Check(tt.in); got != tt.want {
				t.Errorf("Check = %v, want %v", got, tt.want)
			}
		})
	}
}

// FuzzCheck compares with the definition, byte for byte.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"", "u-17", "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10", "a\x7fbcdefgh", "\x80bcdefgh", "é", "\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := text.None
		switch {
		case s == "":
			want = text.Empty
		case !utf8.ValidString(s):
			want = text.InvalidUTF8
		case strings.ContainsFunc(s, unicode.IsControl):
			want = text.Control
		}
		if got := text.Check(s); got != want {
			t.Errorf("Check(%q) = %v, want %v", s, got, want)
		}
	})
}
