package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

var update = flag.Bool("update", false, "write the golden file anew")

// The parts of the story that differ from run to run: the time, and what a random sample found.
var (
	clock = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)
	found = regexp.MustCompile(`(?m)^ {3}\|.* would match.*$`)
	count = regexp.MustCompile(`\d+(\.\d+)?`)
)

// steady returns the story without them.
func steady(story string) string {
	story = clock.ReplaceAllString(story, "<time>")
	return found.ReplaceAllStringFunc(story, func(line string) string {
		line, _, _ = strings.Cut(line, "; looked up")
		line = strings.ReplaceAll(line, "about ", "")
		line, _, _ = strings.Cut(line, " would match")
		return count.ReplaceAllString(line, "#") + " would match …"
	})
}

// TestDemo holds the story against its golden text. It runs on a pipe, so there is no progress in it.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, &screen{out: &out}); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "demo.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(steady(out.String())), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), steady(out.String())); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, &screen{out: &out, terminal: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), wiped+"   ") || !strings.Contains(out.String(), "changes accepted") {
		t.Error("no progress was shown")
	}
	if last := out.String()[strings.LastIndex(out.String(), wiped):]; !strings.Contains(last, "8. Somebody") {
		t.Error("a status was left standing")
	}
}

// TestLive exports one of the files through the flags to a listener on loopback.
func TestLive(t *testing.T) {
	braze := brazetest.NewServer(t)
	partner := braze.AddPartner("tinyclues", "Tinyclues")
	workspace := braze.AddWorkspace("acme")
	workspace.Enable(partner)
	if err := seed(workspace); err != nil {
		t.Fatal(err)
	}
	key := workspace.GenerateKey(partner)
	partnerKey := partner.Key("EU-01")
	t.Setenv("COHORTKIT_PARTNER_KEY", partnerKey.Reveal())
	t.Setenv("COHORTKIT_IMPORT_KEY", key.Reveal())
	args := []string{"-endpoint", braze.URL(), "-partner", "tinyclues", "-workspace", "acme", "-cohort", "camp-481=Spring sale", "-file", "campaigns/spring-sale.csv",
		"-state", filepath.Join(t.TempDir(), "state")}

	var out bytes.Buffer
	if err := run(t.Context(), args, &screen{out: &out}); err != nil {
		t.Fatal(err)
	}
	c, ok := workspace.Cohort(partner, "camp-481")
	if !ok || c.Name != "Spring sale" || len(c.Members) != 2626 {
		t.Errorf("the cohort is %q with %d members, want the 2626 of the demo", c.Name, len(c.Members))
	}
	for _, secret := range []string{partnerKey.Reveal(), key.Reveal()} {
		if strings.Contains(out.String(), secret) {
			t.Error("a key was printed")
		}
	}

	out.Reset()
	if err := run(t.Context(), args, &screen{out: &out}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), " 0 requests") {
		t.Errorf("the same file was sent again:\n%s", &out)
	}

	workspace.InvalidateKey(partner, key)
	out.Reset()
	err := run(t.Context(), args, &screen{out: &out})
	if err == nil || !strings.Contains(err.Error(), "generate a new one") {
		t.Errorf("with an invalidated key the error is %v, without the next step", err)
	}
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"-speed", "9"}, "not defined"},
		{"a cohort without a name", []string{"-endpoint", "EU-01", "-cohort", "camp-481"}, "id=name"},
		{"an SDK host", []string{"-endpoint", "sdk.fra-01.braze.eu", "-cohort", "a=b"}, "https://rest.fra-01.braze.eu"},
		{"no partner", []string{"-endpoint", "EU-01", "-cohort", "a=b", "-workspace", "acme"}, "partner"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), tt.args, &screen{out: &out})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
	}
}
