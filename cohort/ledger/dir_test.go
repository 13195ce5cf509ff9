package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// TestDirRefusesHugeIntents begins more than a file can hold in one piece. The session goes on.
func TestDirRefusesHugeIntents(t *testing.T) {
	t.Parallel()
	dir, err := ledger.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := dir.Open(t.Context(), spring)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	one := ledger.Member{ID: identity.ExternalID(strings.Repeat("x", 64<<20))}
	_, err = s.Begin(t.Context(), slices.Repeat([]ledger.Member{one}, 4), slices.Repeat([]ledger.Member{one}, 5))
	if invalid, ok := errors.AsType[*ledger.InvalidError](err); !ok || invalid.Field != "members" {
		t.Errorf("error %v, want an InvalidError of the members", err)
	}
	if _, err := s.Begin(t.Context(), nil, []ledger.Member{{ID: identity.ExternalID("u-1")}}); err != nil {
		t.Errorf("the next intent: %v", err)
	}
	n := 0
	for _, err := range s.Members(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d members, want the one of the next intent", n)
	}
}

// TestOpenDirRefuses looks at folders that are no ledger of this version.
func TestOpenDirRefuses(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, name, text string) string {
		t.Helper()
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	t.Run("other files", func(t *testing.T) {
		t.Parallel()
		_, err := ledger.OpenDir(write(t, "holiday.jpg", "x"))
		if invalid, ok := errors.AsType[*ledger.InvalidError](err); !ok || invalid.Field != "path" || invalid.Next == "" {
			t.Errorf("error %v, want an InvalidError of the path with a next step", err)
		}
	})
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		folder := write(t, "cohortkit-ledger", "cohortkit ledger 2\n")
		_, err := ledger.OpenDir(folder)
		if damaged, ok := errors.AsType[*ledger.DamagedError](err); !ok || damaged.File != filepath.Join(folder, "cohortkit-ledger") {
			t.Errorf("error %v, want a DamagedError that names the file", err)
		}
	})
	t.Run("no path", func(t *testing.T) {
		t.Parallel()
		if _, err := ledger.OpenDir(""); err == nil {
			t.Error("a ledger was opened nowhere")
		}
	})
}
