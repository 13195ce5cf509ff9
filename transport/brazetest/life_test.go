package brazetest_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestMembershipThroughLife is what becomes of membership when profiles change, under each option.
func TestMembershipThroughLife(t *testing.T) {
	t.Parallel()
	identify := func(index int, externalID string) func(*testing.T, world, []string) {
		return func(t *testing.T, w world, ids []string) {
			t.Helper()
			if _, err := w.workspace.Identify(ids[index], externalID); err != nil {
				t.Fatal(err)
			}
		}
	}
	merge := func(keep, merged int) func(*testing.T, world, []string) {
		return func(t *testing.T, w world, ids []string) {
			t.Helper()
			if err := w.workspace.Merge(ids[keep], ids[merged]); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Profile 0 is anonymous, 1 is identified.
	anonymous, identified := brazetest.Profile{DeviceIDs: []string{"d-1"}}, brazetest.Profile{ExternalID: "u-17"}
	tests := []struct {
		name string
		opts []brazetest.Option
		add  string
		life func(*testing.T, world, []string)
		want []string
	}{
		{"promoted", nil, `[{"device_ids":["d-1"]}]`, identify(0, "u-18"), []string{"u-18"}},
		{"promoted, dropped", []brazetest.Option{brazetest.DropMembershipOnIdentify()}, `[{"device_ids":["d-1"]}]`, identify(0, "u-18"), nil},
		{"identified as a known profile", nil, `[{"device_ids":["d-1"]}]`, identify(0, "u-17"), []string{"u-17"}},
		{"identified as a known profile, dropped", []brazetest.Option{brazetest.DropMembershipOnIdentify()}, `[{"device_ids":["d-1"]}]`, identify(0, "u-17"), nil},
		{"known profile keeps its own", []brazetest.Option{brazetest.DropMembershipOnIdentify()}, `[{"user_ids":["u-17"]}]`, identify(0, "u-17"), []string{"u-17"}},
		{"merged away", nil, `[{"device_ids":["d-1"]}]`, merge(1, 0), []string{"u-17"}},
		{"merged away, dropped", []brazetest.Option{brazetest.DropMembershipOnMerge()}, `[{"device_ids":["d-1"]}]`, merge(1, 0), nil},
		{"kept", []brazetest.Option{brazetest.DropMembershipOnMerge()}, `[{"user_ids":["u-17"]}]`, merge(1, 0), []string{"u-17"}},
		{"merged the other way round", nil, `[{"user_ids":["u-17"]}]`, merge(0, 1), []string{"u-17"}},
		{"deleted", nil, `[{"user_ids":["u-17"],"device_ids":["d-1"]}]`, func(t *testing.T, w world, ids []string) {
			t.Helper()
			if err := w.workspace.Delete(ids[1]); err != nil {
				t.Fatal(err)
			}
		}, []string{"d-1"}},
		{"renamed", nil, `[{"user_ids":["u-17"]}]`, func(t *testing.T, w world, _ []string) {
			t.Helper()
			if err := w.workspace.Rename("u-17", "u-170"); err != nil {
				t.Fatal(err)
			}
		}, []string{"u-170"}},
		{"renamed, then removed by the old ID", nil, `[{"user_ids":["u-17"]}]`, func(t *testing.T, w world, _ []string) {
			t.Helper()
			if err := w.workspace.Rename("u-17", "u-170"); err != nil {
				t.Fatal(err)
			}
			w.users(t, `[{"user_ids":["u-17"],"should_remove":true}]`)
		}, nil},
		{"the device of a promoted profile no longer removes it", nil, `[{"device_ids":["d-1"]}]`, func(t *testing.T, w world, ids []string) {
			t.Helper()
			identify(0, "u-18")(t, w, ids)
			w.users(t, `[{"device_ids":["d-1"],"should_remove":true}]`)
		}, []string{"u-18"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.opts...)
			ids := w.add(t, anonymous, identified)
			w.users(t, tt.add)
			tt.life(t, w, ids)
			if diff := cmp.Diff(tt.want, w.members(t)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t).workspace
	add := func(p brazetest.Profile) string {
		id, err := w.AddProfile(p)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	known := add(brazetest.Profile{ExternalID: "u-17", Aliases: []brazetest.Alias{{"crm", "c-1"}}})
	visitor := add(brazetest.Profile{DeviceIDs: []string{"d-1"}, Aliases: []brazetest.Alias{{"shop", "s-2"}, {"crm", "c-2"}}})
	check := func(step string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	check("device", w.AddDevice(visitor, "d-2"))
	check("device again", w.AddDevice(visitor, "d-2"))
	kept, err := w.Identify(visitor, "u-17")
	check("identify", err)
	if kept != known {
		t.Error("Identify did not return the known profile")
	}
	check("alias", w.AddAlias(known, brazetest.Alias{Label: "app", Name: "a-1"}))
	check("rename alias", w.RenameAlias(brazetest.Alias{Label: "app", Name: "a-1"}, "a-2"))
	check("rename", w.Rename("u-17", "u-170"))
	check("rename", w.Rename("u-170", "u-1700"))
	check("remove deprecated", w.RemoveDeprecated("u-170"))
	want := brazetest.Profile{
		BrazeID: known, ExternalID: "u-1700", DeprecatedExternalIDs: []string{"u-17"},
		// Of two aliases with one label the known profile's own is kept.
		Aliases:   []brazetest.Alias{{"app", "a-2"}, {"crm", "c-1"}, {"shop", "s-2"}},
		DeviceIDs: []string{"d-1", "d-2"},
	}
	if diff := cmp.Diff([]brazetest.Profile{want}, w.Profiles()); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	for name, find := range map[string]func() (brazetest.Profile, bool){
		"Braze ID":      func() (brazetest.Profile, bool) { return w.Profile(known) },
		"external ID":   func() (brazetest.Profile, bool) { return w.ProfileByExternalID("u-1700") },
		"deprecated ID": func() (brazetest.Profile, bool) { return w.ProfileByExternalID("u-17") },
		"alias":         func() (brazetest.Profile, bool) { return w.ProfileByAlias(brazetest.Alias{Label: "shop", Name: "s-2"}) },
	} {
		if got, ok := find(); !ok || !cmp.Equal(want, got) {
			t.Errorf("found by %s: %v (-want +got):\n%s", name, ok, cmp.Diff(want, got))
		}
	}
	for name, find := range map[string]func() (brazetest.Profile, bool){
		"merged Braze ID": func() (brazetest.Profile, bool) { return w.Profile(visitor) },
		"no Braze ID":     func() (brazetest.Profile, bool) { return w.Profile("ffffffffffffffffffffffff") },
		"removed ID":      func() (brazetest.Profile, bool) { return w.ProfileByExternalID("u-170") },
		"lost alias":      func() (brazetest.Profile, bool) { return w.ProfileByAlias(brazetest.Alias{Label: "crm", Name: "c-2"}) },
		"renamed alias":   func() (brazetest.Profile, bool) { return w.ProfileByAlias(brazetest.Alias{Label: "app", Name: "a-1"}) },
	} {
		if _, ok := find(); ok {
			t.Errorf("found by %s", name)
		}
	}
}

func TestLifeErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t).workspace
	crm := brazetest.Alias{Label: "crm", Name: "c-1"}
	known, err := w.AddProfile(brazetest.Profile{ExternalID: "u-17", DeprecatedExternalIDs: []string{"u-1"}, Aliases: []brazetest.Alias{crm}})
	if err != nil {
		t.Fatal(err)
	}
	add := func(p brazetest.Profile) error { _, err := w.AddProfile(p); return err }
	identify := func(id, externalID string) error { _, err := w.Identify(id, externalID); return err }
	before := w.Profiles()
	tests := []struct {
		name string
		got  error
		want error
	}{
		{"no identifier", add(brazetest.Profile{}), brazetest.ErrInvalidProfile},
		{"two aliases of a label", add(brazetest.Profile{Aliases: []brazetest.Alias{{"l", "a"}, {"l", "b"}}}), brazetest.ErrInvalidProfile},
		{"alias without label", add(brazetest.Profile{Aliases: []brazetest.Alias{{"", "a"}}}), brazetest.ErrInvalidProfile},
		{"empty device", add(brazetest.Profile{ExternalID: "u-18", DeviceIDs: []string{""}}), brazetest.ErrInvalidProfile},
		{"device twice", add(brazetest.Profile{DeviceIDs: []string{"d", "d"}}), brazetest.ErrInvalidProfile},
		{"not UTF-8", add(brazetest.Profile{ExternalID: "u\xff"}), brazetest.ErrInvalidProfile},
		{"deprecated without primary", add(brazetest.Profile{DeviceIDs: []string{"d"}, DeprecatedExternalIDs: []string{"u-18"}}), brazetest.ErrInvalidProfile},
		{"external ID taken", add(brazetest.Profile{ExternalID: "u-17"}), brazetest.ErrTaken},
		{"deprecated ID taken", add(brazetest.Profile{ExternalID: "u-1"}), brazetest.ErrTaken},
		{"alias taken", add(brazetest.Profile{ExternalID: "u-18", Aliases: []brazetest.Alias{crm}}), brazetest.ErrTaken},
		{"identify nobody", identify("nobody", "u-18"), brazetest.ErrNoProfile},
		{"identify as nothing", identify(known, ""), brazetest.ErrInvalidProfile},
		{"identify the identified", identify(known, "u-18"), brazetest.ErrIdentified},
		{"identify as itself", identify(known, "u-17"), nil},
		{"alias for nobody", w.AddAlias("nobody", crm), brazetest.ErrNoProfile},
		{"alias taken on the way", w.AddAlias(known, crm), brazetest.ErrTaken},
		{"second alias of a label", w.AddAlias(known, brazetest.Alias{Label: "crm", Name: "c-2"}), brazetest.ErrInvalidProfile},
		{"empty alias", w.AddAlias(known, brazetest.Alias{Label: "app"}), brazetest.ErrInvalidProfile},
		{"rename no alias", w.RenameAlias(brazetest.Alias{Label: "crm", Name: "c-3"}, "c-4"), brazetest.ErrNoProfile},
		{"rename alias to itself", w.RenameAlias(crm, "c-1"), brazetest.ErrTaken},
		{"rename alias to nothing", w.RenameAlias(crm, ""), brazetest.ErrInvalidProfile},
		{"device for nobody", w.AddDevice("nobody", "d"), brazetest.ErrNoProfile},
		{"empty device later", w.AddDevice(known, ""), brazetest.ErrInvalidProfile},
		{"keep nobody", w.Merge("nobody", known), brazetest.ErrNoProfile},
		{"merge nobody", w.Merge(known, "nobody"), brazetest.ErrNoProfile},
		{"merge with itself", w.Merge(known, known), brazetest.ErrInvalidProfile},
		{"rename nobody", w.Rename("u-18", "u-19"), brazetest.ErrNoProfile},
		{"rename a deprecated ID", w.Rename("u-1", "u-19"), brazetest.ErrNoProfile},
		{"rename to a deprecated ID", w.Rename("u-17", "u-1"), brazetest.ErrTaken},
		{"rename to nothing", w.Rename("u-17", ""), brazetest.ErrInvalidProfile},
		{"remove no ID", w.RemoveDeprecated("u-18"), brazetest.ErrNoProfile},
		{"remove the primary ID", w.RemoveDeprecated("u-17"), brazetest.ErrIdentified},
		{"delete nobody", w.Delete("nobody"), brazetest.ErrNoProfile},
	}
	for _, tt := range tests {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if diff := cmp.Diff(before, w.Profiles()); diff != "" {
		t.Errorf("refused changes left traces (-want +got):\n%s", diff)
	}
}

func TestChangeOrder(t *testing.T) {
	t.Parallel()
	const removeThenAdd, addThenRemove = `[{"user_ids":["u-17"],"should_remove":true},{"user_ids":["u-17"]}]`, `[{"user_ids":["u-17"]},{"user_ids":["u-17"],"should_remove":true}]`
	in := []string{"u-17"}
	tests := []struct {
		name    string
		order   brazetest.ChangeOrder
		changes string
		want    []string
	}{
		{"in order, add last", brazetest.InOrder, removeThenAdd, in},
		{"in order, removal last", brazetest.InOrder, addThenRemove, nil},
		{"adds first, add last", brazetest.AddsFirst, removeThenAdd, nil},
		{"adds first, removal last", brazetest.AddsFirst, addThenRemove, nil},
		{"removals first, add last", brazetest.RemovalsFirst, removeThenAdd, in},
		{"removals first, removal last", brazetest.RemovalsFirst, addThenRemove, in},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, brazetest.ApplyChanges(tt.order))
			w.add(t, brazetest.Profile{ExternalID: "u-17"})
			w.users(t, tt.changes)
			if diff := cmp.Diff(tt.want, w.members(t)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharedDevice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		opts   []brazetest.Option
		want   int
		reason brazetest.SkipReason
	}{
		{"anonymous profiles match", nil, 2, 0},
		{"nobody matches", []brazetest.Option{brazetest.IgnoreSharedDevices()}, 0, brazetest.SkippedSharedDevice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.opts...)
			shared := []string{"d-1"}
			w.add(t, brazetest.Profile{DeviceIDs: shared}, brazetest.Profile{ExternalID: "u-17", DeviceIDs: shared}, brazetest.Profile{DeviceIDs: shared})
			w.users(t, `[{"device_ids":["d-1"]}]`)
			c, _ := w.workspace.Cohort(w.partner, "camp-481")
			if len(c.Members) != tt.want || c.SkippedByReason[tt.reason] != min(int(tt.reason), 1) {
				t.Errorf("%d members, skipped %v; want %d members, reason %q", len(c.Members), c.SkippedByReason, tt.want, tt.reason)
			}
		})
	}
}

// TestDeviceOfSeveral follows a device that three profiles carry while these go one by one.
func TestDeviceOfSeveral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared := brazetest.Profile{DeviceIDs: []string{"d-1"}}
	ids := w.add(t, shared, shared, shared)
	var got []int
	look := func() {
		w.users(t, `[{"device_ids":["d-1"]}]`)
		got = append(got, w.workspace.CohortSize(w.partner, "camp-481"))
	}
	look()
	if err := w.workspace.Delete(ids[0]); err != nil {
		t.Fatal(err)
	}
	look()
	if err := w.workspace.Merge(ids[1], ids[2]); err != nil {
		t.Fatal(err)
	}
	look()
	if err := w.workspace.Delete(ids[1]); err != nil {
		t.Fatal(err)
	}
	look()
	if diff := cmp.Diff([]int{3, 2, 1, 0}, got); diff != "" {
		t.Errorf("members over time (-want +got):\n%s", diff)
	}
	c, _ := w.workspace.Cohort(w.partner, "camp-481")
	if n := c.SkippedByReason[brazetest.SkippedUnknown]; n != 1 {
		t.Errorf("skipped %d times as unknown, want once", n)
	}
}

// TestMergeMovesExternalIDs merges an identified profile into one that is not.
func TestMergeMovesExternalIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.add(t, brazetest.Profile{DeviceIDs: []string{"d-1"}}, brazetest.Profile{ExternalID: "u-17", DeprecatedExternalIDs: []string{"u-1"}})
	if err := w.workspace.Merge(ids[0], ids[1]); err != nil {
		t.Fatal(err)
	}
	want := []brazetest.Profile{{BrazeID: ids[0], ExternalID: "u-17", DeprecatedExternalIDs: []string{"u-1"}, DeviceIDs: []string{"d-1"}}}
	if diff := cmp.Diff(want, w.workspace.Profiles()); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	w.users(t, `[{"user_ids":["u-1"]}]`)
	if diff := cmp.Diff([]string{"u-17"}, w.members(t)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestSkippedIsBoundedAndItsCountExact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	changes := `[{"user_ids":` + idList(brazetest.MaxIdentifiers) + `}]`
	const requests = 25
	for range requests {
		w.users(t, changes)
	}
	c, _ := w.workspace.Cohort(w.partner, "camp-481")
	if got := c.SkippedByReason[brazetest.SkippedUnknown]; got != requests*brazetest.MaxIdentifiers {
		t.Errorf("%d skips counted, want %d", got, requests*brazetest.MaxIdentifiers)
	}
	if len(c.Skipped) != brazetest.MaxSkipped {
		t.Fatalf("%d skips kept, want %d", len(c.Skipped), brazetest.MaxSkipped)
	}
	if first, last := c.Skipped[0].Request, c.Skipped[len(c.Skipped)-1].Request; first != requests-9 || last != requests {
		t.Errorf("kept are those of requests %d to %d, want the latest", first, last)
	}
}
