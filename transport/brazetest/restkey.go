package brazetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/cohortkit/cohortkit/keys"
)

// restKey is a REST API key of a workspace, as the server remembers it.
type restKey struct {
	workspace   *Workspace
	fingerprint string
	permissions []string // none for all
}

// GenerateRESTKey creates a REST API key of the workspace with these permissions, as the dashboard does under APIs and
// Identifiers. A permission is the path of its endpoint with dots, such as "segments.list" or "users.export.ids"; none
// at all means every permission the fake knows. They cannot be changed later. A permission that belongs to no endpoint of
// the fake ends the test, or panics for a server made by [Start].
func (w *Workspace) GenerateRESTKey(permissions ...string) keys.RESTKey {
	for _, p := range permissions {
		if !slices.ContainsFunc(endpoints[ListSegments:], func(e endpoint) bool { return e.permission() == p }) {
			w.server.fatalf("brazetest: generate REST key: no endpoint of the fake wants the permission %q: use one such as \"segments.list\"", p)
		}
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: it ends the program instead
	text := hex.EncodeToString(raw[:])
	key := keys.NewRESTKey(strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-"))
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	w.server.restKeys[hashRESTKey(key.Reveal())] = &restKey{
		workspace:   w,
		fingerprint: key.Fingerprint(),
		permissions: slices.Clone(permissions),
	}
	return key
}

// DeleteRESTKey deletes a REST API key: calls with it are a 401 from then on. A key that is not the workspace's ends the
// test, or panics for a server made by [Start].
func (w *Workspace) DeleteRESTKey(key keys.RESTKey) {
	h := hashRESTKey(key.Reveal())
	w.server.mu.Lock()
	known := w.server.restKeys[h]
	own := known != nil && known.workspace == w
	if own {
		delete(w.server.restKeys, h)
	}
	w.server.mu.Unlock()
	if !own {
		w.server.fatalf("brazetest: delete REST key: the workspace has no such key: use one that it generated")
	}
}

func hashRESTKey(text string) secretHash {
	return sha256.Sum256([]byte("brazetest REST key\x00" + text))
}

// bearer returns the token of the Authorization header, or "".
func bearer(h http.Header) string {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// findRESTKey finds the key of the Authorization header.
func (s *Server) findRESTKey(h http.Header) *restKey {
	token := bearer(h)
	if token == "" {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.restKeys[hashRESTKey(token)]
}

func (k *restKey) may(permission string) bool {
	return len(k.permissions) == 0 || slices.Contains(k.permissions, permission)
}
