package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/patience"
)

// Quick is a context for opening a store that tries again at once, and not often.
func Quick(t *testing.T) context.Context {
	return patience.With(t.Context(), patience.Bounds{Retries: 4, Delay: time.Millisecond})
}

// Opener opens a new warehouse behind a gate.
type Opener func(t *testing.T) (store.Store, *Gate)

// TestCloud tests what every store in a cloud must do, whatever happens on the way there.
func TestCloud(t *testing.T, open Opener) {
	Test(t, func(t *testing.T) store.Store {
		s, _ := open(t)
		return s
	})
	TestUploads(t, open, singleFaults())
	testFailingUploads(t, open)
	testConflict(t, open)
	testProbe(t, open)
	testEndless(t, open)
}

// testEndless checks that an answer without end is not read for ever.
func testEndless(t *testing.T, open Opener) {
	t.Run("a listing without end", func(t *testing.T) {
		if testing.Short() {
			t.Skip("reads 64 MiB of XML byte by byte, which takes the race detector half a minute")
		}
		s, gate := open(t)
		spaces := bytes.Repeat([]byte(" "), 1<<20)
		gate.Server = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for err := error(nil); err == nil; {
				_, err = w.Write(spaces)
			}
		})
		for _, err := range s.List(t.Context(), "images/") {
			CheckError(t, err, "listing "+s.URL("images"), "larger than 64 MiB")
		}
	})
}

// testProbe checks that a server that ignores one of the conditions is refused, and one
// that heeds both is not.
func testProbe(t *testing.T, open Opener) {
	for name, tc := range map[string]struct {
		ignores string
		want    string
	}{
		"heeds conditions":      {"", ""},
		"ignores If-None-Match": {"If-None-Match", "must not exist"},
		"ignores If-Match":      {"If-Match", "(If-M"},
	} {
		t.Run(name, func(t *testing.T) {
			s, gate := open(t)
			gate.Interfere = Ignoring(tc.ignores)
			err := s.Probe(t.Context())
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				gate.Interfere = func(_ int32, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
					t.Error("it was probed twice")
					Busy(w)
				}
				if err := s.Probe(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, store.ErrUnsafe) {
				t.Fatalf("error = %v", err)
			}
			CheckError(t, err, s.URL(""), tc.want)
		})
	}
}

// TestRefusals checks what is said about a 401 or 403, by the code of the answer.
func TestRefusals(t *testing.T, open Opener, answer func(w http.ResponseWriter, code string), want map[string]string) {
	for code, want := range want {
		t.Run("refused: "+code, func(t *testing.T) {
			s, gate := open(t)
			gate.Server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodHead || code == "" {
					answer(w, code)
					return
				}
				refused := httptest.NewRecorder()
				answer(refused, code)
				maps.Copy(w.Header(), refused.Header())
				w.WriteHeader(refused.Code)
			})
			_, stat := s.Stat(t.Context(), Key)
			_, read := s.Open(t.Context(), Key)
			_, put := s.Put(t.Context(), Key, RandomSource(10, 1), "")
			var list error
			for _, list = range s.List(t.Context(), "images/") {
			}
			for _, err := range []error{stat, read, put, list} {
				if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrNoBucket) {
					t.Errorf("error = %v", err)
					continue
				}
				CheckError(t, err, want)
			}
		})
	}
}

// Fault is what happens to the upload of a source.
type Fault struct {
	Source    store.Source
	Interfere Interference
}

// TestUploads puts a source under each fault, once as a new object and once over an old
// one.
func TestUploads(t *testing.T, open Opener, faults map[string]Fault) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				s, gate := open(t)
				old := putBefore(t, s, over)
				gate.Interfere = fault.Interfere
				obj, err := s.Put(t.Context(), Key, fault.Source, old)
				if err != nil {
					t.Fatalf("over an object %v: %v", over, err)
				}
				if gate.Uploads.Load() == 0 {
					t.Error("no upload came through the gate")
				}
				if found := CheckContent(t, s, Key, fault.Source); found != obj {
					t.Errorf("Put = %+v, Stat = %+v", obj, found)
				}
			}
		})
	}
}

// singleFaults are those of the first request of an upload, which is usually the only one.
func singleFaults() map[string]Fault {
	small, large := RandomSource(1000, 1), RandomSource(1_000_000, 2)
	return map[string]Fault{
		"busy, small":              {small, Instead(1, Busy)},
		"busy, large":              {large, Instead(1, Busy)},
		"throttled, small":         {small, Instead(1, Throttled)},
		"throttled, large":         {large, Instead(1, Throttled)},
		"throttled, several times": {small, firstFail(3, Throttled)},
		"cut, small":               {small, Instead(1, Cut)},
		"cut, in the middle":       {large, Halfway},
		"lost answer, small":       {small, Afterwards(1, Busy)},
		"lost answer, large":       {large, Afterwards(1, Busy)},
		"lost answer, cut":         {small, Afterwards(1, Cut)},
		"lost answer, later busy":  {small, allFail(true)},
	}
}

func putBefore(t *testing.T, s store.Store, over bool) (version string) {
	t.Helper()
	if !over {
		return ""
	}
	before, err := s.Put(t.Context(), Key, RandomSource(5, 5), "")
	if err != nil {
		t.Fatal(err)
	}
	return before.Version
}

// testConflict checks that somebody else's object, written while an upload failed, is a
// conflict and not taken for the upload's own.
func testConflict(t *testing.T, open Opener) {
	for _, over := range []bool{false, true} {
		s, gate := open(t)
		theirs := RandomSource(700, 7)
		old := putBefore(t, s, over)
		gate.Interfere = func(_ int32, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			gate.Interfere = nil
			if _, err := s.Put(t.Context(), Key, theirs, old); err != nil {
				t.Error(err)
			}
			Busy(w)
		}
		if _, err := s.Put(t.Context(), Key, RandomSource(700, 8), old); !errors.Is(err, store.ErrConflict) {
			t.Errorf("over an object %v: %v", over, err)
		}
		CheckContent(t, s, Key, theirs)
	}
}

// testFailingUploads checks what must stay a failure, with the object as it was.
func testFailingUploads(t *testing.T, open Opener) {
	for name, interfere := range map[string]Interference{"damaged on the way": damage, "shortened on the way": shorten} {
		t.Run(name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				s, gate := open(t)
				old := putBefore(t, s, over)
				gate.Interfere = interfere
				if obj, err := s.Put(t.Context(), Key, RandomSource(1000, 1), old); err == nil || errors.Is(err, store.ErrConflict) {
					t.Errorf("over an object %v: Put = %+v, %v", over, obj, err)
				}
				if over {
					CheckContent(t, s, Key, RandomSource(5, 5))
				} else {
					checkAbsent(t, s, Key)
				}
			}
		})
	}
	t.Run("never done, though the same content was there before", func(t *testing.T) {
		s, gate := open(t)
		src := RandomSource(1000, 1)
		before, err := s.Put(t.Context(), Key, src, "")
		if err != nil {
			t.Fatal(err)
		}
		gate.Interfere = allFail(false)
		if obj, err := s.Put(t.Context(), Key, src, before.Version); err == nil || errors.Is(err, store.ErrConflict) {
			t.Errorf("Put = %+v, %v", obj, err)
		}
		if now := CheckContent(t, s, Key, src); now != before {
			t.Errorf("is %+v, was %+v", now, before)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		s, gate := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		gate.Interfere = func(_ int32, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			cancel()
			Busy(w)
		}
		if _, err := s.Put(ctx, Key, RandomSource(1_000_000, 1), ""); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
		checkAbsent(t, s, Key)
	})
}

// TestTooLarge checks that a source of more bytes than the service takes is refused,
// without reading it.
func TestTooLarge(t *testing.T, s store.Store, size int64, want ...string) {
	t.Helper()
	_, err := s.Put(t.Context(), Key, unreadable{t: t, size: size}, "")
	CheckError(t, err, want...)
}

type unreadable struct {
	store.BytesSource
	t    *testing.T
	size int64
}

func (s unreadable) Size() int64 { return s.size }

func (s unreadable) ReadAt([]byte, int64) (int, error) {
	s.t.Error("a source that is too large was read")
	return 0, io.ErrUnexpectedEOF
}

// TestNoBucket checks that a missing bucket or container is reported as such, and never
// taken for a missing object.
func TestNoBucket(t *testing.T, s store.Store, hint string) {
	t.Helper()
	_, stat := s.Stat(t.Context(), Key)
	_, open := s.Open(t.Context(), Key)
	_, put := s.Put(t.Context(), Key, RandomSource(10, 1), "")
	_, over := s.Put(t.Context(), Key, RandomSource(10, 1), "0123")
	var list error
	for _, list = range s.List(t.Context(), "images/") {
	}
	for name, err := range map[string]error{"Stat": stat, "Open": open, "Put": put, "Put over": over, "List": list} {
		if !errors.Is(err, store.ErrNoBucket) || !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), s.URL("")) ||
			errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want that it says %q", name, err, hint)
		}
	}
	CheckError(t, put, "writing "+s.URL(Key))
	CheckError(t, list, "listing "+s.URL("images"))
}

// TestListsAll checks that a listing goes on after its first page.
func TestListsAll(t *testing.T, s store.Store) {
	t.Helper()
	const keys = "a/1 a/2 a/3 a/4 a/5"
	for key := range strings.FieldsSeq(keys) {
		if _, err := s.Put(t.Context(), key, RandomSource(10, 1), ""); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for obj, err := range s.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, obj.Key)
	}
	if strings.Join(got, " ") != keys {
		t.Errorf("listed %v, want %s", got, keys)
	}
}
