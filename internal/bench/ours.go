package main

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	cohortID   = "camp-481"
	cohortName = "Spring sale"
)

// ledgerDir returns the folder of the ledger.
func (j job) ledgerDir() string { return filepath.Join(j.Dir, "ledger") }

func ledgerKey() ledger.Key {
	return ledger.Key{Endpoint: endpointURL, Partner: "tinyclues", Workspace: "acme", CohortID: cohortID}
}

// unlimited is the limiter that makes nobody wait.
type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

func newImporter(e *endpoint) (*cohort.Importer, error) {
	address, err := transport.ParseEndpoint(endpointURL)
	if err != nil {
		return nil, err
	}
	client, err := transport.New(address, transport.WithHTTPClient(&http.Client{Transport: e}))
	if err != nil {
		return nil, err
	}
	return cohort.NewImporter(client, "acme", keys.Credentials{
		Partner: "tinyclues", PartnerKey: keys.NewPartnerKey("pk-us-0001"), ImportKey: keys.NewImportKey("cs-ws-0001"),
	}, cohort.WithLimiter(unlimited{}))
}

// externalIDs yields the lines of a file, each a new string, as a source would.
func externalIDs(name string) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		s, err := openLines(name)
		if err != nil {
			yield(identity.ID{}, err)
			return
		}
		defer s.close()
		for s.Scan() {
			if !yield(identity.ExternalID(s.Text()), nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(identity.ID{}, err)
		}
	}
}

// importMembers fills the ledger with the list that the first run leads from.
func importMembers(ctx context.Context, j job) (result, error) {
	state, err := ledger.OpenDir(j.ledgerDir())
	if err != nil {
		return result{}, err
	}
	entry := ledger.Entry{Key: ledgerKey(), Header: ledger.Header{Name: cohortName, CreatedAt: time.Now(), Naming: ledger.Named}}
	return result{}, ledger.Import(ctx, state, entry, func(yield func(ledger.Member, error) bool) {
		for id, err := range externalIDs(j.list(0)) {
			if !yield(ledger.Member{ID: id, State: ledger.In}, err) {
				return
			}
		}
	})
}

// syncMembers brings the cohort in step with the new list.
func syncMembers(ctx context.Context, j job) (r result, err error) {
	if j.Profile != "" {
		f, err := os.Create(j.Profile)
		if err != nil {
			return r, err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return r, errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
		}()
	}
	return synchronize(ctx, j.ledgerDir(), j.to())
}

// syncFirst fills a cohort that has nobody yet.
func syncFirst(ctx context.Context, j job) (r result, err error) {
	dir := filepath.Join(j.Dir, "ledger-first")
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}()
	return synchronize(ctx, dir, j.list(0))
}

// synchronize makes the cohort have the members of a list.
func synchronize(ctx context.Context, dir, list string) (result, error) {
	var e endpoint
	importer, err := newImporter(&e)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	state, err := ledger.OpenDir(dir)
	if err != nil {
		return result{}, err
	}
	// The guard is for mistakes, and whoever asks for much churn makes none.
	syncer, err := cohort.NewSyncer(importer, state, cohort.WithRemovalGuard(1, 0))
	if err != nil {
		return result{}, err
	}
	report, err := syncer.Sync(ctx, cohort.Cohort{ID: cohortID, Name: cohortName}, cohort.Identifiers(externalIDs(list)))
	if err != nil {
		return result{}, err
	}
	return result{
		Seconds: since(start), Removals: report.Removals.Accepted, Adds: report.Adds.Accepted,
		Requests: int(e.requests.Load()), Changes: report.DataPoints(), Sends: true,
	}, nil
}

// rewriteLedger has the ledger write its files anew, which it does by itself when what has changed amounts to an eighth of them.
func rewriteLedger(ctx context.Context, j job) (r result, err error) {
	state, err := ledger.OpenDir(j.ledgerDir())
	if err != nil {
		return r, err
	}
	session, err := state.Open(ctx, ledgerKey())
	if err != nil {
		return r, err
	}
	start := time.Now()
	if purger, ok := session.(ledger.Purger); ok {
		err = purger.Purge(ctx)
	}
	if closeErr := session.Close(); err == nil {
		err = closeErr
	}
	r.Seconds = since(start)
	return r, err
}
