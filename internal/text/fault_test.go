package text_test

import (
	"testing"

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
