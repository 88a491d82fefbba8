package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
	"github.com/cvexport/cvexport/load/store/storetest"
)

const probeKey = "_cvexport/preconditions.txt"

// careless is a store that heeds some conditions only.
type careless struct {
	*storetest.Memory
	absent, version bool  // which conditions it ignores
	replace         error // what it says about any write over an object
}

func (s careless) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	there, err := s.Stat(ctx, key)
	if exists := err == nil; exists && (s.absent && old == "" || s.version && old != "") {
		old = there.Version
	} else if exists && old != "" && s.replace != nil {
		return store.Object{}, s.replace
	}
	return s.Memory.Put(ctx, key, src, old, others...)
}

func TestProbe(t *testing.T) {
	service := cloud.Service{Endpoint: "http://127.0.0.1:1", Stale: "0", Instead: "use another"}
	gone := errors.New("gone")
	for name, tc := range map[string]struct {
		store  careless
		before string // the object's content, if there is one
		want   error
		says   string
		puts   int // that were done
		again  int // by the next run
	}{
		"heeds both":                     {puts: 2},
		"an earlier probe was cut":       {before: "cvexport probes this store. X\n", puts: 1},
		"ignores that it must not be":    {store: careless{absent: true}, want: store.ErrUnsafe, says: `"Old Server 1.0"`, puts: 2, again: 2},
		"ignores the version":            {store: careless{version: true}, want: store.ErrUnsafe, says: "If-Match", puts: 2, again: 1},
		"ignores that, cut":              {store: careless{absent: true}, before: "x", want: store.ErrUnsafe, says: "use another", puts: 2, again: 2},
		"objects cannot be replaced":     {store: careless{replace: errors.New("immutable")}, puts: 1},
		"cannot be written":              {store: careless{Memory: &storetest.Memory{BeforePut: func(string) error { return gone }}}, want: gone},
		"an endless object in its place": {before: strings.Repeat("x", 1<<20), puts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.store
			if s.Memory == nil {
				s.Memory = storetest.NewMemory()
			}
			if tc.before != "" {
				s.Set(probeKey, []byte(tc.before))
			}
			for run, puts := range []int{tc.puts, tc.again} {
				s.Puts = nil
				place, err := cloud.NewPlace("s3://bucket", "a/warehouse")
				if err != nil {
					t.Fatal(err)
				}
				place.Served("Old Server 1.0")
				for range 2 { // the second time it is known
					err := place.Probe(t.Context(), s, service)
					if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), tc.says) {
						t.Errorf("run %d: error %v, want %v that says %q", run, err, tc.want, tc.says)
					}
				}
				if len(s.Puts) != puts {
					t.Errorf("run %d: %d puts, want %d", run, len(s.Puts), puts)
				}
			}
		})
	}
}

func TestCopiedWarehouseIsProbedAgain(t *testing.T) {
	s := storetest.NewMemory()
	for i, endpoint := range []string{"a", "a", "b"} {
		place, err := cloud.NewPlace("s3://bucket", "")
		if err != nil {
			t.Fatal(err)
		}
		s.Puts = nil
		if err := place.Probe(t.Context(), s, cloud.Service{Endpoint: endpoint, Stale: "0"}); err != nil {
			t.Fatal(err)
		}
		if want := []int{2, 0, 1}[i]; len(s.Puts) != want {
			t.Errorf("endpoint %s: %d puts, want %d", endpoint, len(s.Puts), want)
		}
	}
}

// Two first runs at once must not take each other's objects for a sign of a bad store.
func TestProbesAtOnce(t *testing.T) {
	for at := 1; at <= 4; at++ { // after the other run's put number at
		s, n := storetest.NewMemory(), 0
		second := func() error {
			place, err := cloud.NewPlace("s3://bucket", "")
			if err != nil {
				return err
			}
			return place.Probe(context.Background(), s, cloud.Service{Stale: "0"})
		}
		s.BeforePut = func(string) error {
			if n++; n == at {
				if err := second(); err != nil {
					return fmt.Errorf("the other run: %w", err)
				}
			}
			return nil
		}
		if err := second(); err != nil {
			t.Errorf("put %d: %v", at, err)
		}
		if got := string(s.Objects[probeKey].Body); !strings.HasPrefix(got, "This store refuses") {
			t.Errorf("put %d: the object says %q", at, got)
		}
	}
}
