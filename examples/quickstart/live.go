package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// live is an export to a real endpoint.
type live struct{ endpoint, partner, workspace, cohort, file, state string }

func (l live) export(ctx context.Context, out *screen) error {
	id, name, ok := strings.Cut(l.cohort, "=")
	if !ok {
		return errors.New(`-cohort takes id=name, for example "camp-481=Spring sale": the id is yours and stays, the name is what marketers look for`)
	}
	endpoint, err := transport.ParseEndpoint(l.endpoint)
	if err != nil {
		return err
	}
	client, err := transport.New(endpoint)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	importer, err := cohort.NewImporter(client, l.workspace, keys.Credentials{
		Partner:    l.partner,
		PartnerKey: keys.NewPartnerKey(os.Getenv("COHORTKIT_PARTNER_KEY")),
		ImportKey:  keys.Env("COHORTKIT_IMPORT_KEY"),
	})
	if err != nil {
		return err
	}
	state, err := ledger.OpenDir(l.state)
	if err != nil {
		return err
	}
	syncer, err := cohort.NewSyncer(importer, state)
	if err != nil {
		return err
	}
	file, err := os.Open(l.file)
	if err != nil {
		return fmt.Errorf("-file: %w", err)
	}
	defer func() { _ = file.Close() }()

	switch err := importer.Check(ctx); {
	case err == nil:
		out.linef("The endpoint %v accepts the keys.", endpoint)
	case errors.Is(err, cohort.ErrInconclusive):
		out.linef("%v", err)
	default:
		return err
	}
	c := cohort.Cohort{ID: id, Name: name}
	out.linef("Export %q (%s)", c.Name, c.ID)
	report, err := export(ctx, out, syncer, c, people(file))
	if err != nil {
		return err
	}
	out.linef("   In the dashboard, build a segment with the filter: %s", report.Filter())
	out.linef("   How many of the users sent were matched, the endpoint does not tell.")
	return nil
}
