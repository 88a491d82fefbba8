package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/cvexport/cvexport/load/store"
)

// probeKey is the object that a warehouse is probed with. It is outside of the tables, and
// stays: its content says that the warehouse was probed.
const probeKey = "_cvexport/preconditions.txt"

// Service is what a probe needs to know of the service.
type Service struct {
	Endpoint string // where it is, as far as the warehouse's address does not say
	Stale    string // a version that no object has
	Instead  string // what to use instead of a server that fails
}

// known is what has been learned of a place.
type known struct {
	bucket atomic.Bool            // it exists
	server atomic.Pointer[string] // what it calls itself

	mu     sync.Mutex
	probed bool
	unsafe error // if probed
}

// Served notes what a server calls itself: the header Server of its answers.
func (p Place) Served(header string) { p.known.server.Store(&header) }

// Probe is [store.Store]'s, for the store s of this place. The probe is an object that must
// not exist, written twice, and once over a version that it never had. A copy of the
// warehouse elsewhere is probed again.
func (p Place) Probe(ctx context.Context, s store.Store, service Service) error {
	p.known.mu.Lock()
	defer p.known.mu.Unlock()
	if p.known.probed {
		return p.known.unsafe
	}
	err := probe(ctx, s, store.NewBytesSource(fmt.Appendf(nil,
		"This store refuses a write whose condition does not hold, so cvexport can publish to it.\nWithout this file, the next run would try it again.\nwarehouse: %s\nendpoint: %s\n", p.URL(""), service.Endpoint)), service.Stale)
	if errors.Is(err, store.ErrUnsafe) {
		server := "its server"
		if name := p.known.server.Load(); name != nil && *name != "" {
			server = fmt.Sprintf("its server (%.60q)", *name)
		}
		err = fmt.Errorf("warehouse %s: %s %w, so two runs at once could damage an iteration; %s", p.URL(""), server, err, service.Instead)
	} else if err != nil {
		return err
	}
	p.known.probed, p.known.unsafe = true, err
	return err
}

// probe writes the objects, the last of which is passed.
func probe(ctx context.Context, s store.Store, passed store.BytesSource, stale string) error {
	if is, err := isThere(ctx, s, passed); is || err != nil {
		return err
	}
	before, err := s.Put(ctx, probeKey, attempt(), "")
	switch {
	case errors.Is(err, store.ErrConflict): // a probe that was cut short, or runs at this moment
		if before, err = s.Stat(ctx, probeKey); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	switch _, err := s.Put(ctx, probeKey, attempt(), ""); {
	case err == nil:
		return fmt.Errorf("wrote %s although the request said that it must not exist (If-None-Match): %w", probeKey, store.ErrUnsafe)
	case !errors.Is(err, store.ErrConflict):
		return err
	}
	switch _, err := s.Put(ctx, probeKey, attempt(), stale); {
	case err == nil:
		return fmt.Errorf("wrote %s over another version than the request named (If-Match): %w", probeKey, store.ErrUnsafe)
	case !errors.Is(err, store.ErrConflict):
		// A bucket whose objects cannot be replaced for a while answers with other errors. It
		// is safe, but not known to keep conditions, so each run probes it.
		return ctx.Err()
	}
	// Another run may have passed it meanwhile. If it is not written, the next run probes again.
	if _, err := s.Put(ctx, probeKey, passed, before.Version); err != nil {
		return ctx.Err()
	}
	return nil
}

// attempt is a content that no other attempt has: Put takes an object that has the content
// for its own.
func attempt() store.BytesSource {
	return store.NewBytesSource([]byte("cvexport probes this store. " + rand.Text() + "\n"))
}

func isThere(ctx context.Context, s store.Store, want store.BytesSource) (bool, error) {
	r, err := s.Open(ctx, probeKey)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close() // only reading
	found, err := io.ReadAll(io.LimitReader(r, want.Size()+1))
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", s.URL(probeKey), err)
	}
	expected := make([]byte, want.Size())
	if _, err := want.ReadAt(expected, 0); err != nil && err != io.EOF {
		return false, err
	}
	return string(found) == string(expected), nil
}
