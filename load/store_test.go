package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// randomSource is n bytes that depend on n and the seed alone.
func randomSource(n int, seed uint64) bytesSource {
	body := make([]byte, n)
	random := rand.New(rand.NewPCG(uint64(n), seed))
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	return newBytesSource(body)
}

// liar is a source whose bytes are not what its checksum says.
type liar struct{ bytesSource }

func (l liar) CRC32C() uint32 { return l.bytesSource.CRC32C() + 1 }

func content(t *testing.T, src Source) []byte {
	t.Helper()
	body, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// holdsSource fails the test unless the object is the source, whole.
func holdsSource(t *testing.T, s Store, key string, want Source) Object {
	t.Helper()
	obj, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	version := obj.Version
	if obj, err = sum(t.Context(), s, obj); err != nil {
		t.Fatal(err)
	}
	if obj.Key != key || obj.Size != want.Size() || obj.CRC32C != want.CRC32C() || version == "" {
		t.Errorf("Stat(%s) = %+v, want %d bytes, crc32c %d", key, obj, want.Size(), want.CRC32C())
	}
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content(t, want)) {
		t.Errorf("%s has other bytes than were put", key)
	}
	return obj
}

func absent(t *testing.T, s Store, key string) {
	t.Helper()
	if obj, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat(%s) = %+v, %v; want that it does not exist", key, obj, err)
	}
	if r, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			r.Close()
		}
		t.Errorf("Open(%s): %v; want that it does not exist", key, err)
	}
}

// testStore is what every store must do.
func testStore(t *testing.T, open func(t *testing.T) Store) {
	const key = "images/project_id=p/iteration_id=i/data.parquet"
	small, other, large := randomSource(1000, 1), randomSource(900, 2), randomSource(1_000_000, 3)
	must := func(t *testing.T, s Store, src Source, old string) Object {
		t.Helper()
		obj, err := s.Put(t.Context(), key, src, old)
		if err != nil {
			t.Fatal(err)
		}
		if found := holdsSource(t, s, key, src); found != obj {
			t.Errorf("Put = %+v, Stat = %+v", obj, found)
		}
		return obj
	}
	t.Run("put, and put over it", func(t *testing.T) {
		s := open(t)
		absent(t, s, key)
		versions := map[string]bool{}
		old := ""
		for _, src := range []Source{small, large, other, newBytesSource(nil)} {
			old = must(t, s, src, old).Version
			if versions[old] {
				t.Errorf("version %s twice", old)
			}
			versions[old] = true
		}
		old = must(t, s, small, old).Version
		must(t, s, small, old) // the same again
	})
	t.Run("conflicts change nothing", func(t *testing.T) {
		s := open(t)
		if _, err := s.Put(t.Context(), key, small, "123"); !errors.Is(err, ErrConflict) {
			t.Errorf("put over a missing object: %v", err)
		}
		absent(t, s, key)
		first := must(t, s, small, "")
		second := must(t, s, other, first.Version)
		for name, old := range map[string]string{"not to exist": "", "an older version": first.Version} {
			if _, err := s.Put(t.Context(), key, large, old); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "data.parquet") {
				t.Errorf("put that expects it %s: %v", name, err)
			}
			if now := holdsSource(t, s, key, other); now != second {
				t.Errorf("after a conflict: %+v, was %+v", now, second)
			}
		}
	})
	t.Run("one of two racing puts wins", func(t *testing.T) {
		s := open(t)
		sources := []Source{randomSource(300_000, 4), randomSource(300_000, 5)}
		errs := make([]error, len(sources))
		var wait sync.WaitGroup
		for i, src := range sources {
			wait.Go(func() { _, errs[i] = s.Put(t.Context(), key, src, "") })
		}
		wait.Wait()
		switch {
		case errs[0] == nil && errors.Is(errs[1], ErrConflict):
			holdsSource(t, s, key, sources[0])
		case errs[1] == nil && errors.Is(errs[0], ErrConflict):
			holdsSource(t, s, key, sources[1])
		default:
			t.Errorf("errors = %v", errs)
		}
	})
	t.Run("damaged content is never seen", func(t *testing.T) {
		s := open(t)
		for _, src := range []bytesSource{small, large} {
			if _, err := s.Put(t.Context(), key, liar{src}, ""); err == nil {
				t.Error("no error")
			}
			absent(t, s, key)
		}
	})
	t.Run("a cancelled put changes nothing", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Put(ctx, key, cancelling{large, cancel}, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
		absent(t, s, key)
		must(t, s, small, "")
	})
	t.Run("list", func(t *testing.T) {
		s := open(t)
		keys := []string{"exports/a/data.parquet", "images/a/data.parquet", "images/b/data.parquet", "tags/a/data.parquet"}
		for i := len(keys) - 1; i >= 0; i-- {
			if _, err := s.Put(t.Context(), keys[i], randomSource(10+i, 1), ""); err != nil {
				t.Fatal(err)
			}
		}
		for prefix, want := range map[string][]string{"": keys, "images/": keys[1:3], "images/b": keys[2:3], "none/": nil} {
			var got []string
			for obj, err := range s.List(t.Context(), prefix) {
				if err != nil {
					t.Fatal(err)
				}
				stat, err := s.Stat(t.Context(), obj.Key)
				if err != nil || obj.Size != stat.Size || obj.Version != stat.Version {
					t.Errorf("listed %+v, is %+v, %v", obj, stat, err)
				}
				got = append(got, obj.Key)
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("List(%q) = %v, want %v", prefix, got, want)
			}
		}
		for range s.List(t.Context(), "") {
			break // a caller may stop early
		}
	})
	t.Run("an empty warehouse has no objects", func(t *testing.T) {
		for obj, err := range open(t).List(t.Context(), "exports/") {
			t.Errorf("listed %+v, %v", obj, err)
		}
	})
	t.Run("keys stay inside", func(t *testing.T) {
		s := open(t)
		for _, bad := range []string{"", "../x", "a/../../x", "/etc/x", "a//b", "a/./b", `a\b`, "a\x00b"} {
			if _, err := s.Put(t.Context(), bad, small, ""); err == nil {
				t.Errorf("Put(%q) worked", bad)
			}
			if _, err := s.Stat(t.Context(), bad); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Stat(%q): %v", bad, err)
			}
			if _, err := s.Open(t.Context(), bad); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open(%q): %v", bad, err)
			}
		}
	})
}

// cancelling cancels its reader once it is read behind the beginning.
type cancelling struct {
	bytesSource
	cancel func()
}

func (c cancelling) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 {
		c.cancel()
	}
	return c.bytesSource.ReadAt(p, off)
}

func TestOpenStore(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
	s3Machine(t)
	azureMachine(t, map[string]string{azureAccount: "account", azureKey: "AAAA"})
	for address, want := range map[string]string{
		folder:                      folder + "/images",
		"file://" + folder:          folder + "/images",
		"file://localhost" + folder: folder + "/images",
		"gs://bucket":               "gs://bucket/images",
		"gs://bucket/a/b/":          "gs://bucket/a/b/images",
		"":                          "error: no warehouse",
		file:                        "error: is a file, not a folder",
		"file://elsewhere/x":        "error: three slashes",
		"gs://":                     "error: gs://bucket",
		"gs://bucket/../x":          "error: not a plain relative path",
		"s3://bucket":               "s3://bucket/images",
		"s3://bucket/a/b/":          "s3://bucket/a/b/images",
		"s3://":                     "error: s3://bucket",
		"s3://bucket/../x":          "error: not a plain relative path",
		"azblob://container":        "az://account.blob.core.windows.net/container/images",
		"az://container/a/b/":       "az://account.blob.core.windows.net/container/a/b/images",
		"azblob://account.blob.core.usgovcloudapi.net/container/a": "az://account.blob.core.usgovcloudapi.net/container/a/images",
		"azblob://":                              "error: azblob://container",
		"azblob://account.blob.core.windows.net": "error: azblob://ACCOUNT.blob.core.windows.net/container/folder",
		"azblob://elsewhere.example/container":   "error: azblob://ACCOUNT.blob.core.windows.net/container/folder",
		"azblob://container/../x":                "error: not a plain relative path",
		"azblob://container/x?sig=secret":        "error: AZURE_STORAGE_SAS_TOKEN",
		"https://bucket?sig=secret":              "error: https://: unknown kind",
	} {
		checked, checkErr := CheckAddress(address)
		s, err := OpenStore(t.Context(), address)
		if (err == nil) != (checkErr == nil) {
			t.Errorf("CheckAddress(%q): %v, OpenStore: %v", address, checkErr, err)
		}
		if reason, wrong := strings.CutPrefix(want, "error: "); wrong {
			if err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "secret") {
				t.Errorf("OpenStore(%q): %v, want %q", address, err, reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("OpenStore(%q): %v", address, err)
			continue
		}
		if address != "azblob://container" && address != "az://container/a/b/" && checked != s.URL("") { // whose account is in the environment
			t.Errorf("CheckAddress(%q) = %s, OpenStore.URL = %s", address, checked, s.URL(""))
		}
		if got := filepath.ToSlash(s.URL("images")); got != want {
			t.Errorf("OpenStore(%q).URL = %s, want %s", address, got, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An address is checked on a machine that could open none.
func TestCheckAddress(t *testing.T) {
	s3Machine(t)
	azureMachine(t, nil)
	for _, name := range []string{"STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_REGION"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	for address, want := range map[string]string{
		"gs://bucket/a/":        "gs://bucket/a",
		"s3://bucket":           "s3://bucket",
		"azblob://container/a/": "az://container/a",
		"azblob://account.blob.core.windows.net/container": "az://account.blob.core.windows.net/container",
		"file:///a/b": filepath.FromSlash("/a/b"),
	} {
		if got, err := CheckAddress(address); err != nil || got != want {
			t.Errorf("CheckAddress(%q) = %s, %v; want %s", address, got, err, want)
		}
	}
}

// says fails the test unless there is an error that says all of that.
func says(t *testing.T, err error, all ...string) {
	t.Helper()
	for _, want := range all {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v; want that it says %q", err, want)
		}
	}
}

// testNoBucket is that a missing bucket or container is told as such, also by what
// an export asks first, and never taken for a missing object.
func testNoBucket(t *testing.T, s Store, hint string) {
	t.Helper()
	_, stat := s.Stat(t.Context(), localKey)
	_, open := s.Open(t.Context(), localKey)
	_, put := s.Put(t.Context(), localKey, randomSource(10, 1), "")
	_, over := s.Put(t.Context(), localKey, randomSource(10, 1), "0123")
	_, prior := ReadPrior(t.Context(), s, schema.ID{1}, schema.ID{2})
	_, held := ReadHeld(t.Context(), s, schema.ID{1})
	for name, err := range map[string]error{"Stat": stat, "Open": open, "Put": put, "Put over": over, "ReadPrior": prior, "ReadHeld": held} {
		if err == nil || !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), s.URL("")) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v, want that it says %q", name, err, hint)
		}
	}
}

// testListsAll is that a listing goes on behind its first page.
func testListsAll(t *testing.T, s Store) {
	t.Helper()
	const keys = "a/1 a/2 a/3 a/4 a/5"
	for key := range strings.FieldsSeq(keys) {
		if _, err := s.Put(t.Context(), key, randomSource(10, 1), ""); err != nil {
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
