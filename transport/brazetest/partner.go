package brazetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/segment"
)

// Partner is a vendor that may import cohorts: the {partner} of /partners/{partner}/cohorts.
type Partner struct {
	server *Server
	slug   string
	name   string
	keys   map[string]keys.PartnerKey // by instance

	pages map[secretHash]*page // by import key; guarded by the server's lock
}

// PartnerOption changes what [Server.AddPartner] makes.
type PartnerOption interface{ applyPartner(*partnerConfig) }

type partnerConfig struct{ given []givenKey }

type givenKey struct {
	key       keys.PartnerKey // zero: one is generated
	instances []string
}

func (g givenKey) applyPartner(c *partnerConfig) { c.given = append(c.given, g) }

// OneKeyFor gives the partner one generated key for all these instances, as Braze in general does for its US instances.
// No instance means every instance.
func OneKeyFor(instances ...string) PartnerOption { return givenKey{instances: instances} }

// WithPartnerKey gives the partner this key on these instances, instead of a generated one. No instance means every instance.
func WithPartnerKey(key keys.PartnerKey, instances ...string) PartnerOption {
	return givenKey{key: key, instances: instances}
}

// AddPartner registers a partner. The slug is the segment of the path, compared byte for byte (its charset is
// undocumented); the display name is what the dashboard shows. By default the partner has a key of its own on each of
// the 15 instances: which instances share one is undocumented but for the US and EU.
//
// A slug that is empty, has a slash or is taken, an unknown instance and an instance with two keys end the test, or
// panic for a server made by [Start].
func (s *Server) AddPartner(slug, displayName string, opts ...PartnerOption) *Partner {
	if slug == "" || strings.Contains(slug, "/") {
		s.fatalf("brazetest: add partner: the slug is empty or has a slash: use one path segment such as \"tinyclues\"")
	}
	var cfg partnerConfig
	for _, o := range opts {
		o.applyPartner(&cfg)
	}
	p := &Partner{
		server: s,
		slug:   slug,
		name:   displayName,
		keys:   make(map[string]keys.PartnerKey, len(restHosts)),
		pages:  make(map[secretHash]*page),
	}
	for _, g := range cfg.given {
		if g.key.IsZero() {
			g.key = newPartnerKey()
		}
		if len(g.instances) == 0 {
			g.instances = allInstances()
		}
		for _, name := range g.instances {
			if !knownInstance(name) {
				s.fatalf("brazetest: add partner %q: no instance is called %q: use one such as EU-01", slug, name)
			}
			if _, twice := p.keys[name]; twice {
				s.fatalf("brazetest: add partner %q: two keys for %s: name each instance once", slug, name)
			}
			p.keys[name] = g.key
		}
	}
	for _, r := range restHosts {
		if _, given := p.keys[r.instance]; !given {
			p.keys[r.instance] = newPartnerKey()
		}
	}
	s.mu.Lock()
	_, taken := s.partners[slug]
	if !taken {
		s.partners[slug] = p
	}
	s.mu.Unlock()
	if taken {
		s.fatalf("brazetest: add partner: the slug %q is taken: use another", slug)
	}
	return p
}

// Slug returns the partner's segment of the path.
func (p *Partner) Slug() string { return p.slug }

// Name returns the partner's display name.
func (p *Partner) Name() string { return p.name }

// Key returns the partner key for an instance such as "EU-01", or the zero key when there is no such instance.
func (p *Partner) Key(instance string) keys.PartnerKey { return p.keys[instance] }

// Filter returns the name of the segment filter under which the dashboard lists the partner's cohorts: "Tinyclues Cohorts".
func (p *Partner) Filter() string { return segment.Cohort(p.name).String() }

// hasKey reports whether the text is the partner's key on the instance, or on any when the instance is "".
func (p *Partner) hasKey(text, instance string) bool {
	key := keys.NewPartnerKey(text)
	if instance != "" {
		return !key.IsZero() && p.keys[instance] == key
	}
	for _, k := range p.keys {
		if k == key {
			return true
		}
	}
	return false
}

func allInstances() []string {
	names := make([]string, len(restHosts))
	for i, r := range restHosts {
		names[i] = r.instance
	}
	return names
}

// newPartnerKey makes up a key. The real format is undocumented; the samples are groups joined by hyphens.
func newPartnerKey() keys.PartnerKey {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: it ends the program instead
	text := hex.EncodeToString(raw[:])
	return keys.NewPartnerKey("pk-" + text[:8] + "-" + text[8:16] + "-" + text[16:24] + "-" + text[24:])
}

// secretHash stands for a data import key wherever the fake has to find or compare one: it keeps none.
type secretHash [sha256.Size]byte

func hashSecret(text string) secretHash {
	return sha256.Sum256([]byte("brazetest import key\x00" + text))
}
