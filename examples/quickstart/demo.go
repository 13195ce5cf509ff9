package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
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

// The campaigns of the story.
func springSale() campaign {
	return campaign{
		cohort.Cohort{ID: "camp-481", Name: "Spring sale, top 5%", CreatedAt: time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)}, "campaigns/spring-sale.csv",
	}
}

func winBack() campaign {
	return campaign{
		cohort.Cohort{ID: "camp-502", Name: "Win-back, 90 days", CreatedAt: time.Date(2026, 3, 9, 7, 30, 0, 0, time.UTC)}, "campaigns/win-back.csv",
	}
}

func exported() []campaign { return []campaign{springSale(), winBack()} }

// demo is the story, played against the fake in this process: step by step, from a key to the users whom a campaign reaches.
type demo struct {
	out       *screen
	partner   *brazetest.Partner
	workspace *brazetest.Workspace
	client    *transport.Client
	importer  *cohort.Importer
	syncer    *cohort.Syncer
}

// play plays the story.
func play(ctx context.Context, out *screen) error {
	braze, err := brazetest.Start()
	if err != nil {
		return err
	}
	defer func() { _ = braze.Close() }()
	d := demo{out: out, partner: braze.AddPartner("tinyclues", "Tinyclues"), workspace: braze.AddWorkspace("acme")}
	d.workspace.Enable(d.partner)
	if err := seed(d.workspace); err != nil {
		return err
	}
	if err := d.handOver(braze); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.check, d.export, d.target, d.estimate, d.exportWeekLater, d.exportAgain, d.troubleshoot,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// handOver has the customer generate a key, and the partner make of it what imports.
func (d *demo) handOver(braze *brazetest.Server) error {
	d.out.linef("1. On the %s page of their dashboard, the customer generates a data import key.", d.partner.Name())
	importKey := d.workspace.GenerateKey(d.partner)
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		return err
	}
	d.out.linef("   They hand over the key and the REST endpoint %s.", endpoint.URL())

	if d.client, err = transport.New(endpoint, transport.WithHTTPClient(braze.Client())); err != nil {
		return err
	}
	d.importer, err = cohort.NewImporter(d.client, "acme", keys.Credentials{
		Partner:    d.partner.Slug(),
		PartnerKey: d.partner.Key("EU-01"),
		ImportKey:  importKey,
	})
	if err != nil {
		return err
	}
	// A service keeps its ledger in files: see ledger.OpenDir. This one is forgotten when the demo ends.
	d.syncer, err = cohort.NewSyncer(d.importer, ledger.NewMemory(), cohort.WithPartnerName(d.partner.Name()))
	return err
}

func (d *demo) check(ctx context.Context) error {
	d.out.linef("2. The partner checks the keys.")
	if err := d.importer.Check(ctx); err != nil {
		return err
	}
	d.out.linef("   The endpoint accepts them.")
	return nil
}

func (d *demo) export(ctx context.Context) error {
	d.out.linef("3. The partner exports two campaigns. Each becomes a cohort.")
	for _, c := range exported() {
		report, err := d.exportFile(ctx, c, people)
		if err != nil {
			return err
		}
		if err := d.tell(report); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) exportWeekLater(ctx context.Context) error {
	d.out.linef("")
	d.out.linef("6. A week later some have left the audiences, others have joined, and some visitors have signed up. Only the difference goes out.")
	if err := passWeek(d.workspace); err != nil {
		return err
	}
	for _, c := range exported() {
		before := d.workspace.CohortSize(d.partner, c.cohort.ID)
		report, err := d.exportFile(ctx, c, peopleWeekLater)
		if err != nil {
			return err
		}
		d.out.linef("   matched   %d members, %d before", d.workspace.CohortSize(d.partner, report.CohortID), before)
	}
	return nil
}

func (d *demo) exportAgain(ctx context.Context) error {
	d.out.linef("")
	d.out.linef("7. Nothing has changed since, so another export sends nothing.")
	for _, c := range exported() {
		report, err := d.exportFile(ctx, c, peopleWeekLater)
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
func (d *demo) exportFile(ctx context.Context, c campaign, read func(io.Reader) iter.Seq2[identity.Person, error]) (cohort.Report, error) {
	d.out.linef("")
	d.out.linef("   %q (%s)", c.cohort.Name, c.cohort.ID)
	file, err := campaigns.Open(c.file)
	if err != nil {
		return cohort.Report{}, err
	}
	defer func() { _ = file.Close() }()
	return export(ctx, d.out, d.syncer, c.cohort, read(file))
}

// tell prints what Braze keeps to itself and the fake can tell: who was matched, who was skipped, and why.
func (d *demo) tell(report cohort.Report) error {
	c, ok := d.workspace.Cohort(d.partner, report.CohortID)
	if !ok {
		return fmt.Errorf("the fake has no cohort %s", report.CohortID)
	}
	skipped := 0
	for _, n := range c.SkippedByReason {
		skipped += n
	}
	// Some rows name a customer by an external ID, and others the same one by an alias: two additions of one user.
	again := report.Adds.Accepted - skipped - len(c.Members)
	d.out.linef("   matched   %d members; %d accepted = those + %d named twice + %d skipped in silence, which only the fake can tell:",
		len(c.Members), report.Adds.Accepted, again, skipped)
	for _, reason := range slices.Sorted(maps.Keys(c.SkippedByReason)) {
		d.out.linef("             %d: %v", c.SkippedByReason[reason], reason)
	}
	if again < 0 || again > report.Rows.Read-len(c.Members)-skipped {
		return fmt.Errorf("%d members and %d skipped do not add up to %d accepted", len(c.Members), skipped, report.Adds.Accepted)
	}
	d.out.linef("   filter    %s", report.Filter())
	return nil
}

// troubleshoot answers the question that partners get most.
func (d *demo) troubleshoot(ctx context.Context) error {
	d.out.linef("")
	d.out.linef("8. Somebody cannot find a cohort. The name of the export, however it was typed, leads to it.")
	diagnosis, err := d.syncer.Troubleshoot(ctx, "spring sale, TOP 5 %")
	if err != nil {
		return err
	}
	d.out.linef("")
	d.out.block(diagnosis)
	return nil
}
