package brazetest

import (
	"sync"

	"github.com/cohortkit/cohortkit/keys"
)

// Workspace is a customer's workspace: profiles, import keys and cohorts, segments, campaigns and Canvases, REST keys. Make one
// with [Server.AddWorkspace].
type Workspace struct {
	server   *Server
	name     string
	instance string
	number   uint32 // of the workspace in its server, part of every Braze ID

	// mu guards what follows. Looking up a request's identifiers takes it for reading, so that requests can do that at
	// the same time; version tells whether a profile changed between the looking up and the applying.
	mu      sync.RWMutex
	version uint64
	pages   map[*Partner]*page
	people  people

	segments  []*savedSegment
	campaigns []*campaign // and Canvases
	sends     []Send
}

// page is a partner's page in a workspace: whether it is enabled, its import keys and its cohorts. The workspace's lock
// guards it.
type page struct {
	workspace *Workspace
	partner   *Partner
	enabled   bool
	issuer    *keys.Issuer
	cohorts   map[string]*cohort
	inflight  map[string]*overlap
}

// WorkspaceOption changes what [Server.AddWorkspace] makes.
type WorkspaceOption interface{ applyWorkspace(*Workspace) }

type onInstance string

func (o onInstance) applyWorkspace(w *Workspace) { w.instance = string(o) }

// OnInstance puts the workspace on an instance other than [DefaultInstance], such as "US-10".
func OnInstance(name string) WorkspaceOption { return onInstance(name) }

// AddWorkspace makes an empty workspace in which no partner is enabled. The name is for people and for the request log;
// two workspaces may share one. An unknown instance ends the test, or panics for a server made by [Start].
func (s *Server) AddWorkspace(name string, opts ...WorkspaceOption) *Workspace {
	w := &Workspace{server: s, name: name, instance: DefaultInstance, pages: make(map[*Partner]*page)}
	for _, o := range opts {
		o.applyWorkspace(w)
	}
	if !knownInstance(w.instance) {
		s.fatalf("brazetest: add workspace %q: no instance is called %q: use one such as EU-01", name, w.instance)
	}
	w.people.init()
	s.mu.Lock()
	defer s.mu.Unlock()
	w.number = uint32(len(s.workspaces))
	s.workspaces = append(s.workspaces, w)
	return w
}

// Name returns the name given to [Server.AddWorkspace].
func (w *Workspace) Name() string { return w.name }

// Instance returns the instance the workspace is on, such as "EU-01".
func (w *Workspace) Instance() string { return w.instance }

// Enable lets the partner import cohorts into the workspace. Before that, and after [Workspace.Disable], its requests
// are a 401.
func (w *Workspace) Enable(p *Partner) { w.setEnabled(p, true) }

// Disable takes back what Enable gave. Keys and cohorts stay, and work again after the next Enable.
func (w *Workspace) Disable(p *Partner) { w.setEnabled(p, false) }

func (w *Workspace) setEnabled(p *Partner, enabled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pageLocked(p).enabled = enabled
}

// GenerateKey generates a data import key on the partner's page, as the customer does in the dashboard. Keys generated
// earlier stay valid. The partner need not be enabled.
func (w *Workspace) GenerateKey(p *Partner) keys.ImportKey {
	key, err := w.issuer(p).Generate()
	if err != nil {
		w.server.fatalf("brazetest: generate key: %v", err)
	}
	w.server.index(key, w, p)
	return key
}

// AdoptKey makes a key of the caller's own valid on the partner's page, such as the fixed key of a golden file. A key
// that is no valid text, or that the partner's page of any workspace already has, ends the test, or panics for a server
// made by [Start].
func (w *Workspace) AdoptKey(p *Partner, key keys.ImportKey) {
	if !w.server.index(key, w, p) {
		w.server.fatalf("brazetest: adopt key: the key belongs to a page of this partner already: use another text")
	}
	if _, err := w.issuer(p).Adopt(key); err != nil {
		w.server.fatalf("brazetest: adopt key: %v", err)
	}
}

// InvalidateKey makes the key invalid for good. A key that the partner's page does not list, or that is invalid
// already, ends the test, or panics for a server made by [Start].
func (w *Workspace) InvalidateKey(p *Partner, key keys.ImportKey) {
	if err := w.issuer(p).Invalidate(key.Fingerprint()); err != nil {
		w.server.fatalf("brazetest: invalidate key: %v", err)
	}
}

// Keys lists the import keys of the partner's page in the order of their creation, invalidated ones too.
func (w *Workspace) Keys(p *Partner) []keys.IssuedKey { return w.issuer(p).List() }

func (w *Workspace) issuer(p *Partner) *keys.Issuer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pageLocked(p).issuer
}

func (w *Workspace) pageLocked(p *Partner) *page {
	pg := w.pages[p]
	if pg == nil {
		pg = &page{
			workspace: w,
			partner:   p,
			issuer:    keys.NewIssuer(),
			cohorts:   make(map[string]*cohort),
			inflight:  make(map[string]*overlap),
		}
		w.pages[p] = pg
	}
	return pg
}

// index remembers whose page a key is on. It reports false for a key that is on a page of the partner already.
func (s *Server) index(key keys.ImportKey, w *Workspace, p *Partner) bool {
	w.mu.Lock()
	pg := w.pageLocked(p)
	w.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	h := hashSecret(key.Reveal())
	if p.pages[h] != nil {
		return false
	}
	p.pages[h] = pg
	return true
}
