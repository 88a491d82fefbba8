package mirror

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"

	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// known is what the cache was found to be, so that an iteration without news costs no
// request and no look into a file. It is by the keys of the exports records.
type known map[string]knownIteration

type knownIteration struct {
	// Listed is the version of the exports record as the warehouse lists it.
	Listed string `json:"listed"`

	// Files are the versions of the cache's files, by table: what the record says, whole.
	// One that is empty is of a table that the record does not list, and without a file.
	Files map[string]string `json:"files"`
}

// knownName is the file that it is kept in, which may be missing.
const knownName = ".cvexport-known"

// maxKnown is how long the file may be, in bytes: that of half a million iterations.
const maxKnown = 256 << 20

// readKnown reads the file. One that cannot be read is as none.
func (c *Cache) readKnown() known {
	k := known{}
	text, err := regular.Read(filepath.Join(c.Folder(), knownName), maxKnown)
	if err != nil || json.Unmarshal(text, &k) != nil || k == nil {
		return known{}
	}
	return k
}

func (c *Cache) writeKnown(k known) error {
	err := private.Replace(filepath.Join(c.Folder(), knownName), func(w io.Writer) error { return json.NewEncoder(w).Encode(k) })
	if err != nil {
		err = fmt.Errorf("noting what the cache has: %w%s", err, store.FileHint(err, "the cache"))
	}
	return err
}

// has reports whether the files of an iteration, in those tables that are wanted, are
// known to be what its exports record says.
func (k knownIteration) has(record string, files []store.Object, want func(table string) bool) bool {
	project, id, ok := schema.Exports.ParsePath(record)
	if !ok {
		return false
	}
	versions := map[string]string{}
	for _, f := range files {
		versions[f.Key] = f.Version
	}
	for _, t := range schema.Evaluation.All() {
		version, known := k.Files[t.Name]
		switch wanted := want(t.Name) || t.Name == schema.Exports.Name; {
		case wanted && !known, known && wanted && versions[t.Path(project, id)] != version:
			return false
		}
	}
	return k.Files[schema.Exports.Name] != ""
}

// note notes what an iteration has been found to be.
func (k known) note(m *iteration) {
	record := schema.Exports.Path(m.project, m.id)
	if m.skipped || len(m.findings) > 0 || m.listed.Version == "" {
		delete(k, record)
		return
	}
	files := map[string]string{}
	if before := k[record]; before.Listed == m.listed.Version {
		maps.Copy(files, before.Files) // of tables that were not wanted now
	}
	maps.Copy(files, m.have)
	k[record] = knownIteration{m.listed.Version, files}
}
