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
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// Finding is a problem with a committed export. Project and Iteration are zero for an
// object whose key is no iteration's.
type Finding struct {
	Project   schema.ID `json:"project_id"`
	Iteration schema.ID `json:"iteration_id"`
	Table     string    `json:"table"`
	Key       string    `json:"key"`
	Problem   string    `json:"problem"`

	// The names in the exports record, as far as it can be read.
	ProjectName   string `json:"project_name,omitempty"`
	IterationName string `json:"iteration_name,omitempty"`
}

func (f Finding) String() string {
	if f.Project.IsZero() {
		return fmt.Sprintf("%s: %s", f.Key, f.Problem)
	}
	named := func(id schema.ID, name string) string {
		if name == "" {
			return id.String()
		}
		return fmt.Sprintf("%s (%s)", id, name)
	}
	return fmt.Sprintf("project %s iteration %s table %s: %s", named(f.Project, f.ProjectName), named(f.Iteration, f.IterationName), f.Table, f.Problem)
}

// Report is the result of [Verify].
type Report struct {
	Iterations int   `json:"iterations"` // committed exports checked
	Objects    int   `json:"objects"`    // objects read, the exports records too
	Rows       int64 `json:"rows"`       // rows read
	Bytes      int64 `json:"bytes"`      // bytes read

	// Findings are ordered by the keys of their exports records, and within an export
	// as it lists its objects.
	Findings []Finding `json:"findings"`

	// Unread are objects that could not be read, in the same order: no finding, and not
	// known to be intact.
	Unread []Finding `json:"unread"`

	// Uncommitted are the keys, in order, of objects of iterations without an exports
	// record: their first export is running, or was interrupted. The views hide them;
	// they are no findings.
	Uncommitted []string `json:"uncommitted"`
}

// Verify reads every committed object of a set of tables and compares it with its
// exports record: presence, size, checksum, rows, columns, key and export id, and that
// the set's first table lists the images that the other tables name. Each object is
// first copied to the folder dir, or the system's if it is empty, which must not be
// inside the warehouse. checked, if it is not nil, is called after each iteration with
// its exports record and findings.
//
// An object that cannot be read, because of the network or a permission, is no finding.
// The error is about the store or dir and ends the verification; it is an [*UnreadError]
// if the warehouse could not be read. What is wrong with the warehouse is in the report,
// which holds what was seen so far. An export that runs at the same time may appear as a
// finding.
func Verify(ctx context.Context, s store.Store, set schema.TableSet, dir string, checked func(Export, []Finding)) (Report, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	v := verifier{store: s, set: set, dir: dir}
	committed, err := v.list(ctx)
	if err != nil {
		if !errors.Is(err, store.ErrNoBucket) && ctx.Err() == nil {
			err = &UnreadError{err}
		}
		return v.report, fmt.Errorf("verify %s: %w", s.URL(""), err)
	}
	const maxUnread = 3 // iterations in a row
	unread := 0
	for i, it := range committed {
		c := exportCheck{verifier: &v, iteration: it}
		if err := c.run(ctx); err != nil {
			return v.report, fmt.Errorf("verify project %s iteration %s: %w", it.project, it.iteration, err)
		}
		v.report.Iterations++
		v.report.Findings = append(v.report.Findings, c.findings...)
		v.report.Unread = append(v.report.Unread, c.unread...)
		if checked != nil {
			checked(c.export, c.findings)
		}
		if unread++; !c.gaveUp {
			unread = 0
		}
		if left := len(committed) - i - 1; unread == maxUnread && left > 0 {
			return v.report, fmt.Errorf("verify %s: %w", s.URL(""), &UnreadError{fmt.Errorf("the last %d iterations could not be read, and the other %d were not tried", unread, left)})
		}
	}
	return v.report, nil
}

// UnreadError means that a warehouse, or a part of it, could not be read, which says
// nothing about what is in it.
type UnreadError struct{ Err error }

func (e *UnreadError) Error() string { return "could not be read: " + e.Err.Error() }
func (e *UnreadError) Unwrap() error { return e.Err }

type verifier struct {
	store  store.Store
	set    schema.TableSet
	dir    string
	report Report
}

// iteration is an iteration, and which tables have an object of it.
type iteration struct {
	project, iteration schema.ID
	tables             map[string]int64 // with its size
}

// list finds the iterations with an exports record, ordered by key. It reports the
// objects that belong to none.
func (v *verifier) list(ctx context.Context) ([]iteration, error) {
	var committed []iteration
	index := map[string]int{} // of the iterations in committed, by the exports record's key
	for _, t := range append([]schema.Table{v.set.Commit}, v.set.Data...) {
		for obj, err := range v.store.List(ctx, t.Name+"/") {
			if err != nil {
				return nil, fmt.Errorf("list table %s: %w", t.Name, err)
			}
			project, iter, ok := t.ParsePath(obj.Key)
			if !ok {
				if strings.HasSuffix(obj.Key, "/") {
					v.report.Findings = append(v.report.Findings, Finding{Table: t.Name, Key: obj.Key, Problem: "it is no folder, or one that cannot be read, so that nothing in it was verified"})
				}
				if strings.HasSuffix(obj.Key, ".parquet") {
					v.report.Findings = append(v.report.Findings, Finding{Table: t.Name, Key: obj.Key,
						Problem: "not an object of an export, but queries over the table read it: move it out of the warehouse"})
				}
				continue
			}
			record := v.set.Commit.Path(project, iter)
			if t.Name == v.set.Commit.Name {
				index[record] = len(committed)
				committed = append(committed, iteration{project, iter, map[string]int64{}})
			}
			if at, ok := index[record]; ok {
				committed[at].tables[t.Name] = obj.Size
			} else {
				v.report.Uncommitted = append(v.report.Uncommitted, obj.Key)
			}
		}
	}
	slices.Sort(v.report.Uncommitted)
	return committed, nil
}

// exportCheck checks one export.
type exportCheck struct {
	*verifier
	iteration iteration
	export    Export
	images    map[schema.ID]struct{} // nil until the images were read
	findings  []Finding
	unread    []Finding
	gaveUp    bool // on the store, which did not answer
}

// missed reports that an object could not be read.
func (c *exportCheck) missed(table, key string, err error) {
	c.unread = append(c.unread, c.finding(table, key, (&UnreadError{err}).Error()))
	c.gaveUp = c.gaveUp || patience.MayPass(err)
}

func (c *exportCheck) found(table, key, format string, args ...any) {
	c.findings = append(c.findings, c.finding(table, key, fmt.Sprintf(format, args...)))
}

func (c *exportCheck) finding(table, key, problem string) Finding {
	f := Finding{Project: c.iteration.project, Iteration: c.iteration.iteration, Table: table, Key: key, Problem: problem}
	if n := c.export.ProjectName; n != nil {
		f.ProjectName = *n
	}
	if n := c.export.IterationName; n != nil {
		f.IterationName = *n
	}
	return f
}

func (c *exportCheck) run(ctx context.Context) error {
	t := c.set.Commit
	key := t.Path(c.iteration.project, c.iteration.iteration)
	body, _, err := FetchRecord(ctx, c.store, key)
	if err == nil {
		c.report.Objects++
		c.report.Bytes += int64(len(body))
		c.export, err = DecodeRecord(body)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.found(t.Name, key, "it was listed, but is not there")
		return nil
	case errors.Is(err, store.ErrNotFile):
		c.found(t.Name, key, "%v", err)
		return nil
	case errors.Is(err, ErrDamaged):
		c.found(t.Name, key, "%v; export the iteration again with --force", err)
		return nil
	case ctx.Err() != nil:
		return err
	case err != nil:
		c.missed(t.Name, key, err)
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
	for _, t := range c.set.Data {
		key := t.Path(c.iteration.project, c.iteration.iteration)
		_, there := c.iteration.tables[t.Name]
		switch {
		case listed[t.Name]:
		case c.export.SchemaVersion >= t.Since:
			c.found(t.Name, key, "the exports record does not list it")
		case there:
			c.found(t.Name, key, "it is there, but the exports record does not list it")
		}
	}
	return nil
}

// object checks one object against what the exports record says of it.
func (c *exportCheck) object(ctx context.Context, o ObjectRecord) (err error) {
	table, known := c.set.Find(o.Table)
	if o.Key != table.Path(c.iteration.project, c.iteration.iteration) || store.CheckKey(o.Key) != nil {
		c.found(o.Table, o.Key, "the exports record lists it under a key that is not the table's")
		return nil
	}
	const slack = 1 << 20 // beyond twice, what another export may have put
	size := c.iteration.tables[o.Table]
	if size > 2*o.Bytes+slack {
		c.found(o.Table, o.Key, "it is damaged: it has %d bytes, and was not read; the exports record says %d; export the iteration again", size, o.Bytes)
		return nil
	}
	file, err := c.fetchAlike(ctx, o, max(o.Bytes, size))
	if err != nil || file == nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	c.report.Objects++
	c.report.Bytes += file.Size()
	if !isRecorded(file, o) {
		if id := exportIDOf(file, file.Size()); id != "" && id != c.export.ExportID.String() {
			c.found(o.Table, o.Key, "it is of export %s, not of %s, which is committed: another export is running or was interrupted; export the iteration again", id, c.export.ExportID)
		} else {
			c.found(o.Table, o.Key, "it is damaged: %d bytes, crc32c %08x; the exports record says %d, %08x; export the iteration again", file.Size(), file.CRC32C(), o.Bytes, o.CRC32C)
		}
		return nil
	}
	if !known {
		return nil // of a later version, which knows its columns
	}
	if n := c.export.Rows[o.Table]; n != o.Rows {
		c.found(o.Table, o.Key, "the exports record says both %d and %d rows", n, o.Rows)
	}
	return c.rows(ctx, table, o.Key, file, o.Rows)
}

func isRecorded(file *store.File, o ObjectRecord) bool {
	return file.Size() == o.Bytes && file.CRC32C() == o.CRC32C
}

// fetchAlike copies an object of at most limit bytes. One that is not as recorded is
// damaged only if it arrives alike twice: what changes on the way, such as a length, is not
// the object's.
func (c *exportCheck) fetchAlike(ctx context.Context, o ObjectRecord, limit int64) (*store.File, error) {
	const most = 3
	var size int64 = -1 // and checksum of the copy before
	var crc uint32
	for try := 1; try <= most; try++ {
		file, err := c.fetch(ctx, o.Table, o.Key, limit, try < most)
		if errors.Is(err, errBroken) {
			continue
		}
		if err != nil || file == nil || isRecorded(file, o) || file.Size() == size && file.CRC32C() == crc {
			return file, err
		}
		size, crc = file.Size(), file.CRC32C()
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
	c.missed(o.Table, o.Key, fmt.Errorf("it arrived different each of %d times", most))
	return nil, nil
}

// errBroken means that an object arrived broken, which another try may mend.
var errBroken = errors.New("it arrived broken")

// fetch copies an object of at most limit bytes and sums it. If it is missing or could not
// be read, it reports that and returns nil; with again, errBroken where the store has not
// given up.
func (c *exportCheck) fetch(ctx context.Context, table, key string, limit int64, again bool) (*store.File, error) {
	file, err := store.Fetch(ctx, c.store, c.dir, key, limit, nil)
	if bad, ok := errors.AsType[*store.UnreadableError](err); ok {
		switch {
		case errors.Is(bad, fs.ErrNotExist):
			c.found(table, key, "it is missing; export the iteration again")
		case errors.Is(bad, store.ErrNotFile):
			c.found(table, key, "%v", bad)
		case errors.Is(bad, store.ErrTooLong):
			c.found(table, key, "it does not end: %v", bad)
		case again && bad.Opened && !patience.MayPass(bad):
			return nil, errBroken
		default:
			c.missed(table, key, bad)
		}
		return nil, nil
	}
	return file, err
}
