package cohort_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// gate is a limiter that lets everybody pass until it is shut.
type gate struct {
	shut    chan struct{} // opens it again when closed; nil while it has not been shut
	waiting sync.WaitGroup
}

func (g *gate) Wait(ctx context.Context) error {
	if g.shut == nil {
		return nil
	}
	g.waiting.Done()
	select {
	case <-g.shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// costs is what each of many importers takes.
type costs struct {
	made, used, waiting float64 // bytes: never used; after a run; more than that while a run of ten members waits for the limiter
	goroutines          int     // of all, made and used
	working             float64 // goroutines of each that waits
}

// inUse returns the bytes of the heap and of stacks that are in use, once what is not has been collected, pools too.
func inUse() float64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// costsOf makes n importers for the customers of three instances, which share one pool of connections. It is right only while nothing else runs.
func costsOf(tb testing.TB, n int) costs {
	tb.Helper()
	pool := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return answer(http.StatusCreated, success), nil
	})}
	var clients []*transport.Client
	for _, instance := range []string{"EU-01", "US-06", "AU-01"} {
		endpoint, err := transport.ParseEndpoint(instance)
		if err != nil {
			tb.Fatal(err)
		}
		client, err := transport.New(endpoint, transport.WithHTTPClient(pool))
		if err != nil {
			tb.Fatal(err)
		}
		clients = append(clients, client)
	}
	names, credentials := make([]string, n), make([]keys.Credentials, n)
	for i := range names {
		names[i] = fmt.Sprint("workspace ", i)
		credentials[i] = keys.Credentials{Partner: "tinyclues", PartnerKey: keys.NewPartnerKey("pk-us-0001"), ImportKey: keys.NewImportKey(fmt.Sprint("cs-ws-", i))}
	}
	importers := make([]*cohort.Importer, n)
	g := &gate{}
	limiter := cohort.WithLimiter(g)
	run := func(im *cohort.Importer) {
		if report, err := im.Apply(tb.Context(), campaign, adds(10)); err != nil {
			tb.Errorf("%v: %v", report, err)
		}
	}

	var c costs
	before, goroutines := inUse(), runtime.NumGoroutine()
	for i := range importers {
		im, err := cohort.NewImporter(clients[i%len(clients)], names[i], credentials[i], limiter)
		if err != nil {
			tb.Fatal(err)
		}
		importers[i] = im
	}
	c.made = (inUse() - before) / float64(n)
	for _, im := range importers {
		run(im)
	}
	c.used = (inUse() - before) / float64(n)
	c.goroutines = runtime.NumGoroutine() - goroutines

	g.shut = make(chan struct{})
	g.waiting.Add(n)
	var runs sync.WaitGroup
	for _, im := range importers {
		runs.Go(func() { run(im) })
	}
	g.waiting.Wait()
	c.waiting = (inUse()-before)/float64(n) - c.used
	c.working = float64(runtime.NumGoroutine()-goroutines) / float64(n)
	close(g.shut)
	runs.Wait()
	runtime.KeepAlive(importers)
	return c
}

// TestIdleImporters has thousands of importers in one process. The bounds are more than twice what they take.
func TestIdleImporters(t *testing.T) { //nolint:paralleltest // the heap and the goroutines are those of the whole process
	c := costsOf(t, 3000)
	t.Logf("%+v", c)
	if c.goroutines > 0 {
		t.Errorf("idle importers have %d goroutines", c.goroutines)
	}
	if c.made > 1<<10 || c.used > 1<<10 {
		t.Errorf("an idle importer takes %.0f bytes when new and %.0f after a run", c.made, c.used)
	}
	if c.waiting > 64<<10 || c.working > 2.01 {
		t.Errorf("an import of ten members that waits takes %.0f bytes and %.2f goroutines", c.waiting, c.working)
	}
}

// BenchmarkIdleImporters measures what an importer costs among ten thousand: idle, and while a run of ten members waits for its turn.
func BenchmarkIdleImporters(b *testing.B) {
	var c costs
	for b.Loop() {
		c = costsOf(b, 10_000)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(c.made, "B/importer")
	b.ReportMetric(c.used, "B/importer-after-a-run")
	b.ReportMetric(float64(c.goroutines), "goroutines-idle")
	b.ReportMetric(c.waiting, "B/waiting-import")
	b.ReportMetric(c.working, "goroutines/waiting-import")
}

// importersOf returns an importer for each workspace of one partner on two instances of a fake. All draw on one quota.
func importersOf(t *testing.T, server *brazetest.Server, quota *transport.Quota, names ...string) map[string]*cohort.Importer {
	t.Helper()
	partner := server.AddPartner("tinyclues", "Tinyclues")
	importers := make(map[string]*cohort.Importer)
	for i, name := range names {
		instance := []string{"EU-01", "US-06"}[i%2]
		workspace := server.AddWorkspace(name, brazetest.OnInstance(instance))
		workspace.Enable(partner)
		client := newClient(t, instance, transport.WithHTTPClient(server.Client()), transport.WithQuota(quota))
		im, err := cohort.NewImporter(client, name, keys.Credentials{Partner: "tinyclues", PartnerKey: partner.Key(instance), ImportKey: workspace.GenerateKey(partner)})
		if err != nil {
			t.Fatal(err)
		}
		importers[name] = im
	}
	return importers
}

// TestCustomersTakeTurns has one customer with five large cohorts under way, one with one, and one who comes with ten members. A turn is a
// customer's, not a cohort's, and the ten members are in within a second of their fair time.
func TestCustomersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perHour = 7200 // two a second
		quota, err := transport.NewQuota(perHour)
		if err != nil {
			t.Fatal(err)
		}
		server := brazetest.NewServer(t)
		server.Inject(brazetest.Users(), brazetest.Delay(200*time.Millisecond)).Always()
		importers := importersOf(t, server, quota, "acme", "globex", "initech")
		const ofOne, ofEach = 40, 12 // requests
		var wg sync.WaitGroup
		run := func(customer, cohortID string, requests int) {
			wg.Go(func() {
				if report, err := importers[customer].Apply(t.Context(), cohortID, adds(requests*cohort.MaxIdentifiers)); err != nil {
					t.Errorf("%v: %v", report, err)
				}
			})
		}
		for i := range 5 {
			run("acme", fmt.Sprint("large ", i), ofEach)
		}
		run("globex", "large", ofOne)
		if err := wait(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := importers["initech"].SetName(t.Context(), cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: began}); err != nil {
			t.Fatal(err)
		}
		if _, err := importers["initech"].Apply(t.Context(), campaign, adds(10)); err != nil {
			t.Fatal(err)
		}
		const requests, workspaces, trip = 2, 3, 200 * time.Millisecond
		if took, fair := time.Since(began), requests*workspaces*time.Hour/perHour+trip; took > fair+time.Second {
			t.Errorf("ten members took %s, their fair time is %s", took, fair)
		}
		wg.Wait()

		// While globex had work, acme had as many turns.
		counts := make(map[string]int)
		for _, r := range server.Requests() {
			counts[r.Workspace]++
			if counts["globex"] == ofOne {
				break
			}
		}
		if a, g := counts["acme"], counts["globex"]; a > g+6 || a < g-6 {
			t.Errorf("a customer with five cohorts had %d turns while one with one cohort had %d", a, g)
		}
	})
}

// TestCustomersPauseTogether answers one customer with 429. Whoever draws on the same quota waits, on the other instance too.
func TestCustomersPauseTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quota, err := transport.NewQuota(transport.CohortRequestsPerHour)
		if err != nil {
			t.Fatal(err)
		}
		server := brazetest.NewServer(t)
		server.Inject(brazetest.Users().Nth(20), brazetest.RateLimited("90"))
		importers := importersOf(t, server, quota, "acme", "globex", "initech", "umbrella")
		start := time.Now()
		var wg sync.WaitGroup
		for _, im := range importers {
			syncer, err := cohort.NewSyncer(im, ledger.NewMemory())
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if report, err := syncer.Sync(t.Context(), cohort.Cohort{ID: campaign, Name: "Spring sale"}, cohort.Identifiers(numbered(10_000))); err != nil {
					t.Errorf("%v: %v", report, err)
				}
			})
		}
		if err := wait(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if state := quota.State(); state.Workspaces != len(importers) || state.PausedUntil.Sub(start).Truncate(time.Second) != 90*time.Second {
			t.Errorf("in the pause the quota is %+v", state)
		}
		wg.Wait()
		requests := server.Requests()
		if len(requests) != 4*11+1 {
			t.Errorf("%d requests, want 11 of each customer and a repeat", len(requests))
		}
		for _, r := range requests[24:] { // four names and twenty others came before
			if at := r.At.Sub(start); at < 90*time.Second {
				t.Errorf("request %d came %s after the start, within the pause", r.Number, at)
			}
		}
	})
}
