package load

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// FuzzKey: whatever passes for an object's key stays inside the warehouse, in a
// folder and in a bucket; and only what Path makes is read as an iteration's key.
func FuzzKey(f *testing.F) {
	for _, t := range schema.Tables() {
		f.Add(t.Path(projectA, iterationA))
	}
	for _, seed := range []string{"", "/", "a", "../a", "a/../../b", "a/./b", "a//b", `a\..\b`, "a\x00b", "images/project_id=x/iteration_id=y/data.parquet",
		"images/project_id=26571C15-AC69-4B76-8806-DE27E33EB796/iteration_id=26571c15-ac69-4b76-8806-de27e33eb796/data.parquet"} {
		f.Add(seed)
	}
	root := f.TempDir()
	folder, err := newLocal(root)
	if err != nil {
		f.Fatal(err)
	}
	bucket, err := newPlace("gs://bucket", "a/warehouse")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string) {
		path, err := folder.path(key)
		name, nameErr := bucket.name(key)
		if (err == nil) != (nameErr == nil) {
			t.Errorf("%q: a folder says %v, a bucket %v", key, err, nameErr)
		}
		if err == nil {
			if back, err := filepath.Rel(root, path); err != nil || filepath.ToSlash(back) != key {
				t.Errorf("%q is at %s, which is %q there: %v", key, path, back, err)
			}
			if !strings.HasPrefix(name, "a/warehouse/") || bucket.key(name) != key {
				t.Errorf("%q is called %q in a bucket", key, name)
			}
		}
		for _, table := range schema.Tables() {
			if project, iteration, ok := parseKey(table, key); ok && (err != nil || table.Path(project, iteration) != key) {
				t.Errorf("%q is read as %s of %s, %s", key, table.Name, project, iteration)
			}
		}
	})
}

// FuzzAddress: whatever is taken for a warehouse's address has a root inside its
// bucket, and an error repeats no token.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"", "folder", "/folder", "file:///folder", "file://host/folder", "gs://bucket", "gs://bucket/a/../..", "s3://bucket/a//b",
		"azblob://container/folder", "azblob://account.blob.core.windows.net/container?sig=TOKEN", "az://container", "http://host", "gs:///", "azblob://a:b@c/d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		where, err := parseAddress(text)
		if err == nil && where.scheme != "file" {
			place, placeErr := where.place()
			if placeErr == nil && place.root != "" {
				placeErr = checkKey(place.root)
				if placeErr != nil {
					t.Errorf("%q has the root %q: %v", text, place.root, placeErr)
				}
			}
			err = placeErr
		}
		if _, token, found := strings.Cut(text, "?sig="); err != nil && found && len(token) > 8 && strings.HasPrefix(text, "azblob://") && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
	})
}

// FuzzExportRecord: whatever lies in place of an exports record is an error or a
// record, and never a panic.
func FuzzExportRecord(f *testing.F) {
	e := newExport(exportA, projectA, iterationA)
	e.FinishedAt = e.StartedAt
	e.Objects = []ObjectRecord{{Table: "images", Key: "k", Rows: 1, Bytes: 2, CRC32C: 3}}
	body, err := encodeExport(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add(bytes.Repeat([]byte("PAR1"), 10))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		e, err := decodeExport(body)
		if err == nil && len(e.Objects) > 1<<16 {
			t.Errorf("a record of %d bytes lists %d objects", len(body), len(e.Objects))
		}
	})
}
