//go:build node

package brazetest_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestPublishedClient lets a published Node client of Braze's REST API, which knows nothing of the fake, talk to it over the loopback
// door. The client is installed by npm ci in its folder.
func TestPublishedClient(t *testing.T) {
	t.Parallel()
	const folder = "testdata/nodeclient"
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "braze-api")); err != nil {
		t.Fatalf("%v: run npm ci --ignore-scripts in transport/brazetest/%s", err, folder)
	}
	w := newWorld(t)
	w.add(t, brazetest.Profile{ExternalID: "u-17"}, brazetest.Profile{ExternalID: "u-18"})
	w.name(t, "Spring sale")
	w.users(t, `[{"user_ids":["u-17","u-18"]}]`)
	spring := w.workspace.AddSegment("Spring", springSegment(t), brazetest.Described("who gets the sale"))
	campaign := w.workspace.AddCampaign("Spring mail", brazetest.TargetSegment(spring))

	cmd := exec.CommandContext(t.Context(), "node", "main.js")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "BRAZE_URL="+w.URL(), "BRAZE_KEY="+w.workspace.GenerateRESTKey().Reveal(), "CAMPAIGN_ID="+campaign)
	printed, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	sends := w.workspace.Sends()
	if len(sends) != 1 {
		t.Fatalf("%d sends, want 1", len(sends))
	}
	if diff := cmp.Diff([]string{"u-17"}, sends[0].ExternalIDs()); diff != "" {
		t.Errorf("reached (-want +got):\n%s", diff)
	}

	type object = map[string]any
	type array = []any
	want := object{
		"segments": object{"message": "success", "segments": array{object{"id": spring, "name": "Spring", "analytics_tracking_enabled": false, "tags": array{}}}},
		"details": object{
			"message": "success", "name": "Spring", "text_description": "who gets the sale", "tags": array{}, "teams": array{},
			"description": springSegment(t).String(), "created_at": "", "updated_at": "",
		},
		"attributes": object{"message": "success", "attributes_processed": 1.0},
		"send":       object{"message": "success", "dispatch_id": sends[0].DispatchID},
		"alias":      object{"message": "success", "aliases_processed": 1.0},
		"identify":   object{"message": "success", "aliases_processed": 1.0},
		"export": object{
			"message": "success", "invalid_user_ids": array{"u-91"},
			"users": array{object{"external_id": "u-90", "user_aliases": array{object{"alias_name": "c-90", "alias_label": "crm"}}}},
		},
		"refusal": object{"status": 400.0, "message": "Invalid Campaign ID", "errors": array{"Invalid Campaign ID"}},
	}
	var got object
	if err := json.Unmarshal(printed, &got); err != nil {
		t.Fatalf("the program printed no JSON: %v", err)
	}
	if details, ok := got["details"].(object); ok {
		details["created_at"], details["updated_at"] = "", "" // whenever that was
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the client got (-want +got):\n%s", diff)
	}
}
