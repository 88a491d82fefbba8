package load

import (
	"bytes"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// FuzzKey checks that only what Path makes is read as an iteration's key.
func FuzzKey(f *testing.F) {
	for _, t := range schema.Tables() {
		f.Add(t.Path(projectA, iterationA))
	}
	f.Add("images/project_id=x/iteration_id=y/data.parquet")
	f.Add("images/project_id=26571C15-AC69-4B76-8806-DE27E33EB796/iteration_id=26571c15-ac69-4b76-8806-de27e33eb796/data.parquet")
	f.Fuzz(func(t *testing.T, key string) {
		for _, table := range schema.Tables() {
			if project, iteration, ok := table.ParsePath(key); ok && (store.CheckKey(key) != nil || table.Path(project, iteration) != key) {
				t.Errorf("%q is read as %s of %s, %s", key, table.Name, project, iteration)
			}
		}
	})
}

// FuzzExportRecord: whatever lies in place of an exports record is an error or a
// record, and never a panic.
func FuzzExportRecord(f *testing.F) {
	e := newExport(exportA, projectA, iterationA)
	e.FinishedAt = e.StartedAt
	e.Objects = []ObjectRecord{{Table: "images", Key: "k", Rows: 1, Bytes: 2, CRC32C: 3}}
	body, err := EncodeRecord(e)
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
		e, err := DecodeRecord(body)
		if err == nil && len(e.Objects) > 1<<16 {
			t.Errorf("a record of %d bytes lists %d objects", len(body), len(e.Objects))
		}
	})
}
