package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Finding is something wrong with a committed export. Project and Iteration
// are nil for an object whose key is no iteration's.
type Finding struct {
	Project   schema.ID
	Iteration schema.ID
	Table     string
	Key       string
	Problem   string
}

func (f Finding) String() string {
	if f.Project.IsZero() {
		return fmt.Sprintf("%s: %s", f.Key, f.Problem)
	}
	return fmt.Sprintf("project %s iteration %s table %s: %s", f.Project, f.Iteration, f.Table, f.Problem)
}

// Report is what [Verify] saw.
type Report struct {
	Iterations int   // committed exports checked
	Objects    int   // objects read, the exports records too
	Rows       int64 // rows read
	Bytes      int64 // bytes read

	// Findings are in the order of their exports records' keys, and within an
	// export in the order in which it lists its objects.
	Findings []Finding

	// Uncommitted are the keys, in order, of objects of iterations without an exports
	// record: the first export of these is running, or was interrupted. The
	// views hide them; they are no finding.
	Uncommitted []string
}

// Verify reads every committed object of the warehouse and compares it with
// its exports record: presence, size, checksum, rows, columns, the table's
// key, the export's id, and that images lists the images the other tables
// name. Each object is first copied to the folder dir, or the system's if it is
// empty, which must not be inside the warehouse. When an iteration was checked, checked is called, if
// it is not nil, with its exports record and what was found.
//
// The error is about the store or dir and ends the verification; what is wrong
// with the warehouse is in the report, which holds what was seen so far.
// An export that runs meanwhile may show as a finding.
func Verify(ctx context.Context, s store.Store, dir string, checked func(Export, []Finding)) (Report, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	v := verifier{store: s, dir: dir}
	committed, err := v.list(ctx)
	if err != nil {
		return v.report, fmt.Errorf("verify %s: %w", s.URL(""), err)
	}
	for _, it := range committed {
		c := exportCheck{verifier: &v, iteration: it}
		if err := c.run(ctx); err != nil {
			return v.report, fmt.Errorf("verify project %s iteration %s: %w", it.project, it.iteration, err)
		}
		v.report.Iterations++
		v.report.Findings = append(v.report.Findings, c.findings...)
		if checked != nil {
			checked(c.export, c.findings)
		}
	}
	return v.report, nil
}

type verifier struct {
	store  store.Store
	dir    string
	report Report
}

// iteration is an iteration of the warehouse, and which tables have an object of it.
type iteration struct {
	project, iteration schema.ID
	tables             map[string]bool
}

// list finds the iterations that have an exports record, in the order of their
// keys. It reports the objects that belong to none.
func (v *verifier) list(ctx context.Context) ([]iteration, error) {
	var committed []iteration
	index := map[string]int{} // of the iterations in committed, by the exports record's key
	tables := schema.Tables()
	exports := tables[len(tables)-1]
	for i := range tables { // exports first
		t := tables[len(tables)-1-i]
		for obj, err := range v.store.List(ctx, t.Name+"/") {
			if err != nil {
				return nil, fmt.Errorf("list table %s: %w", t.Name, err)
			}
			project, iter, ok := parseKey(t, obj.Key)
			if !ok {
				if strings.HasSuffix(obj.Key, ".parquet") {
					v.report.Findings = append(v.report.Findings, Finding{Table: t.Name, Key: obj.Key,
						Problem: "not an object of an export, but queries over the table read it: move it out of the warehouse"})
				}
				continue
			}
			record := exports.Path(project, iter)
			if t.Name == exports.Name {
				index[record] = len(committed)
				committed = append(committed, iteration{project, iter, map[string]bool{}})
			}
			if at, ok := index[record]; ok {
				committed[at].tables[t.Name] = true
			} else {
				v.report.Uncommitted = append(v.report.Uncommitted, obj.Key)
			}
		}
	}
	slices.Sort(v.report.Uncommitted)
	return committed, nil
}

// parseKey is the inverse of [schema.Table.Path].
func parseKey(t schema.Table, key string) (project, iteration schema.ID, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return project, iteration, false
	}
	project, err := schema.ParseID(strings.TrimPrefix(parts[1], "project_id="))
	if err != nil {
		return project, iteration, false
	}
	iteration, err = schema.ParseID(strings.TrimPrefix(parts[2], "iteration_id="))
	return project, iteration, err == nil && t.Path(project, iteration) == key
}

// exportCheck checks one export.
type exportCheck struct {
	*verifier
	iteration iteration
	export    Export
	images    map[schema.ID]struct{} // nil until the images were read
	findings  []Finding
}

func (c *exportCheck) found(table, key, format string, args ...any) {
	c.findings = append(c.findings, Finding{c.iteration.project, c.iteration.iteration, table, key, fmt.Sprintf(format, args...)})
}

func (c *exportCheck) run(ctx context.Context) error {
	t := schema.Exports
	key := t.Path(c.iteration.project, c.iteration.iteration)
	body, _, err := fetchExport(ctx, c.store, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.found(t.Name, key, "it was listed, but is not there")
		return nil
	case errors.Is(err, errDamaged):
		c.found(t.Name, key, "%v", err)
		return nil
	case err != nil:
		return err
	}
	c.report.Objects++
	c.report.Bytes += int64(len(body))
	if c.export, err = decodeExport(body); err != nil {
		c.found(t.Name, key, "it cannot be read as an exports record: %v", err)
		return nil
	}
	c.export.Project, c.export.Iteration = c.iteration.project, c.iteration.iteration
	if err := c.rows(ctx, t, key, store.NewBytesSource(body), 1); err != nil {
		return err
	}

	listed := map[string]bool{t.Name: true}
	for _, o := range c.export.Objects {
		if listed[o.Table] {
			c.found(o.Table, o.Key, "the exports record lists it twice")
			continue
		}
		listed[o.Table] = true
		if err := c.object(ctx, o); err != nil {
			return fmt.Errorf("table %s: %w", o.Table, err)
		}
	}
	for _, t := range schema.DataTables() {
		key := t.Path(c.iteration.project, c.iteration.iteration)
		switch {
		case listed[t.Name]:
		case c.export.SchemaVersion >= schema.Version:
			c.found(t.Name, key, "the exports record does not list it")
		case c.iteration.tables[t.Name]:
			c.found(t.Name, key, "it is there, but the exports record does not list it")
		}
	}
	return nil
}

// object checks one object against what the exports record says of it.
func (c *exportCheck) object(ctx context.Context, o ObjectRecord) (err error) {
	table, known := dataTable(o.Table)
	if o.Key != table.Path(c.iteration.project, c.iteration.iteration) {
		c.found(o.Table, o.Key, "the exports record lists it under a key that is not the table's")
		return nil
	}
	file, err := c.download(ctx, o.Table, o.Key)
	if err != nil || file == nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if file.size != o.Bytes || file.crc != o.CRC32C {
		if id := exportIDOf(file, file.size); id != "" && id != c.export.ExportID.String() {
			c.found(o.Table, o.Key, "it is of export %s, not of %s, which is committed: another export is running or was interrupted; export the iteration again", id, c.export.ExportID)
		} else {
			c.found(o.Table, o.Key, "it is damaged: %d bytes, crc32c %08x; the exports record says %d, %08x; export the iteration again", file.size, file.crc, o.Bytes, o.CRC32C)
		}
		return nil
	}
	if !known {
		return nil // of a later version, which knows its columns
	}
	if n := *c.export.rowsOf(o.Table); n != o.Rows {
		c.found(o.Table, o.Key, "the exports record says both %d and %d rows", n, o.Rows)
	}
	return c.rows(ctx, table, o.Key, file, o.Rows)
}

// dataTable returns the table of a name; of one that is not known, which a
// later version added, the name alone.
func dataTable(name string) (t schema.Table, known bool) {
	for _, t := range schema.DataTables() {
		if t.Name == name {
			return t, true
		}
	}
	return schema.Table{Name: name}, false
}

// download copies an object and sums it. Without the object, or with one that
// breaks off, it reports that and returns no file.
func (c *exportCheck) download(ctx context.Context, table, key string) (*copied, error) {
	file, err := download(ctx, c.store, c.dir, table, key, nil)
	if bad, ok := errors.AsType[*unreadable](err); ok {
		if errors.Is(bad, fs.ErrNotExist) {
			c.found(table, key, "it is missing; export the iteration again")
		} else {
			c.found(table, key, "it cannot be read to its end: %v", bad)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.report.Objects++
	c.report.Bytes += file.size
	return file, nil
}
