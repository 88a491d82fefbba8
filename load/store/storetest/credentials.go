package storetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// TestCredentials uses a store in each way, and closes it.
//
// The tests that call it show that a store takes the credentials of the machine that it
// runs on, from servers on loopback that speak as those of the cloud do. Servers whose
// address no variable changes (Google's login of a user, AWS's SSO) are left out.
func TestCredentials(t *testing.T, s store.Store) {
	t.Helper()
	src := RandomSource(1000, 1)
	if _, err := s.Put(t.Context(), Key, src, ""); err != nil {
		t.Fatal(err)
	}
	CheckContent(t, s, Key, src)
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Serve starts a server on loopback and returns its URL.
func Serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// Answer answers with JSON.
func Answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

// WriteFile writes a file into a new folder and returns its path.
func WriteFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Headers collects the headers of requests.
type Headers struct {
	mu  sync.Mutex
	all []http.Header
}

// Collect collects those of requests to a server.
func (h *Headers) Collect(server http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.all = append(h.all, r.Header.Clone())
		h.mu.Unlock()
		server.ServeHTTP(w, r)
	}
}

// Check fails the test unless there were requests, and all had the right headers.
func (h *Headers) Check(t *testing.T, right func(http.Header) error) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		t.Error("no request came")
	}
	for _, header := range h.all {
		if err := right(header); err != nil {
			t.Error(err)
		}
	}
	h.all = nil
}

// Bearer returns a check that a request has a token.
func Bearer(want string) func(http.Header) error {
	return func(h http.Header) error {
		if got := h.Get("Authorization"); got != "Bearer "+want {
			return fmt.Errorf("a request has %q", got)
		}
		return nil
	}
}
