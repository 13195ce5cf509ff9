package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

//go:embed campaigns/*.csv
var campaigns embed.FS

// campaign is an audience to export.
type campaign struct {
	cohort cohort.Cohort
	file   string
}

// story returns the campaigns of the demo.
func story() []campaign {
	return []campaign{
		{cohort.Cohort{ID: "camp-481", Name: "Spring sale, top 5%", CreatedAt: time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)}, "campaigns/spring-sale.csv"},
		{cohort.Cohort{ID: "camp-502", Name: "Win-back, 90 days", CreatedAt: time.Date(2026, 3, 9, 7, 30, 0, 0, time.UTC)}, "campaigns/win-back.csv"},
	}
}

// demo plays the story against the fake, in this process.
func demo(ctx context.Context, out *screen) error {
	braze, err := brazetest.Start()
	if err != nil {
		return err
	}
	defer func() { _ = braze.Close() }()
	partner := braze.AddPartner("tinyclues", "Tinyclues")
	workspace := braze.AddWorkspace("acme")
	workspace.Enable(partner)
	if err := seed(workspace); err != nil {
		return err
	}

	out.linef("1. On the %s page of their dashboard, the customer generates a data import key.", partner.Name())
	importKey := workspace.GenerateKey(partner)
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		return err
	}
	out.linef("   They hand over the key and the REST endpoint %s.", endpoint.URL())

	client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
	if err != nil {
		return err
	}
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
		Partner:    partner.Slug(),
		PartnerKey: partner.Key("EU-01"),
		ImportKey:  importKey,
	})
	if err != nil {
		return err
	}
	// A service keeps its ledger in files: see ledger.OpenDir. This one is forgotten when the demo ends.
	syncer, err := cohort.NewSyncer(importer, ledger.NewMemory(), cohort.WithPartnerName(partner.Name()))
	if err != nil {
		return err
	}

	out.linef("2. The partner checks the keys.")
	if err := importer.Check(ctx); err != nil {
		return err
	}
	out.linef("   The endpoint accepts them.")

	out.linef("3. The partner exports two campaigns. Each becomes a cohort.")
	for _, c := range story() {
		report, err := exportFile(ctx, out, syncer, c, people)
		if err != nil {
			return err
		}
		if err := tell(out, workspace, partner, report); err != nil {
			return err
		}
	}

	out.linef("")
	out.linef("4. The marketer builds a segment with the filter %q. Its drop-down shows:", partner.Filter())
	for _, name := range workspace.DropDown(partner) {
		out.linef("   - %s", name)
	}

	out.linef("")
	out.linef("5. A week later some have left the audiences, others have joined, and some visitors have signed up. Only the difference goes out.")
	if err := passWeek(workspace); err != nil {
		return err
	}
	for _, c := range story() {
		before := workspace.CohortSize(partner, c.cohort.ID)
		report, err := exportFile(ctx, out, syncer, c, func(file io.Reader) iter.Seq2[identity.Person, error] { return weekLater(people(file)) })
		if err != nil {
			return err
		}
		out.linef("   matched   %d members, %d before", workspace.CohortSize(partner, report.CohortID), before)
	}

	out.linef("")
	out.linef("6. Nothing has changed since, so another export sends nothing.")
	for _, c := range story() {
		report, err := exportFile(ctx, out, syncer, c, func(file io.Reader) iter.Seq2[identity.Person, error] { return weekLater(people(file)) })
		if err != nil {
			return err
		}
		if report.Requests > 0 {
			return fmt.Errorf("an export without a change made requests: %v", report)
		}
	}
	return nil
}

// exportFile exports a campaign's file, as read by this function.
func exportFile(ctx context.Context, out *screen, syncer *cohort.Syncer, c campaign, read func(io.Reader) iter.Seq2[identity.Person, error]) (cohort.Report, error) {
	out.linef("")
	out.linef("   %q (%s)", c.cohort.Name, c.cohort.ID)
	file, err := campaigns.Open(c.file)
	if err != nil {
		return cohort.Report{}, err
	}
	defer func() { _ = file.Close() }()
	return export(ctx, out, syncer, c.cohort, read(file))
}

// tell prints what Braze keeps to itself and the fake can tell: who was matched, who was skipped, and why.
func tell(out *screen, workspace *brazetest.Workspace, partner *brazetest.Partner, report cohort.Report) error {
	c, ok := workspace.Cohort(partner, report.CohortID)
	if !ok {
		return fmt.Errorf("the fake has no cohort %s", report.CohortID)
	}
	skipped := 0
	for _, n := range c.SkippedByReason {
		skipped += n
	}
	// Some rows name a customer by an external ID, and others the same one by an alias: two additions of one user.
	again := report.Adds.Accepted - skipped - len(c.Members)
	out.linef("   matched   %d members; %d accepted = those + %d named twice + %d skipped in silence, which only the fake can tell:",
		len(c.Members), report.Adds.Accepted, again, skipped)
	for _, reason := range slices.Sorted(maps.Keys(c.SkippedByReason)) {
		out.linef("             %d: %v", c.SkippedByReason[reason], reason)
	}
	if again < 0 || again > report.Rows.Read-len(c.Members)-skipped {
		return fmt.Errorf("%d members and %d skipped do not add up to %d accepted", len(c.Members), skipped, report.Adds.Accepted)
	}
	out.linef("   filter    %s", report.Filter())
	return nil
}

// seed fills the workspace with its users, so that the campaigns meet every case: Braze knows all customers but each eleventh; of the
// visitors without an account it has lost some (devices that begin with 0), and some have signed up since (1 and 2), after which their device no
// longer matches.
func seed(workspace *brazetest.Workspace) error {
	customers, devices := make(map[int]bool), make(map[string]bool)
	for _, c := range story() {
		csv, err := campaigns.ReadFile(c.file)
		if err != nil {
			return err
		}
		for person, err := range people(bytes.NewReader(csv)) {
			if _, broken := errors.AsType[*identity.RejectError](err); broken {
				continue
			} else if err != nil {
				return err
			}
			if n, ok := customer(person); ok {
				customers[n] = true
			} else if len(person.DeviceIDs) > 0 {
				devices[person.DeviceIDs[0]] = true
			}
		}
	}
	for n := range customers {
		if n%11 == 0 {
			continue
		}
		_, err := workspace.AddProfile(brazetest.Profile{
			ExternalID: fmt.Sprintf("u-%06d", n),
			Aliases:    []brazetest.Alias{{Label: "crm", Name: fmt.Sprintf("c-%05d", n)}},
		})
		if err != nil {
			return err
		}
	}
	for device := range devices {
		if device[0] == '0' {
			continue
		}
		id, err := workspace.AddProfile(brazetest.Profile{DeviceIDs: []string{device}})
		if err != nil {
			return err
		}
		if device[0] == '1' || device[0] == '2' {
			if _, err := workspace.Identify(id, accountOf(device)); err != nil {
				return err
			}
		}
	}
	return nil
}

// customer returns the customer number of a person: u-002335 and the alias c-02335 are the same customer.
func customer(person identity.Person) (int, bool) {
	text, ok := strings.CutPrefix(person.ExternalID, "u-")
	if !ok && len(person.Aliases) > 0 {
		text, ok = strings.CutPrefix(person.Aliases[0].Name, "c-")
	}
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}
