package load

import (
	"errors"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// spool collects the rows of one table in a local Parquet file that nobody else sees.
// It is not safe for concurrent use.
type spool struct {
	table    schema.Table
	exportID schema.ID
	dir      string
	file     *store.TempFile // nil after finish and abort
	writer   *tablefile.Writer
}

// newSpool creates a file for the table in the folder dir, or the system's if it is
// empty, which must not be inside a warehouse. The file has no name (on Windows, a
// name that does not end in .parquet), so that a killed program leaves nothing
// behind.
func newSpool(dir string, t schema.Table, exportID schema.ID, rowGroupRows int64) (*spool, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	s := &spool{table: t, exportID: exportID, dir: dir}
	file, err := store.NewTempFile(dir)
	if err != nil {
		return nil, s.failed("create", err)
	}
	s.writer = tablefile.NewWriter(file, t, exportID, rowGroupRows)
	s.file = file
	return s, nil
}

// append writes the rows of rec, which must have exactly the columns of the table,
// plain or as dictionaries. After an error the spool can only be aborted.
func (s *spool) append(rec arrow.RecordBatch) error {
	if s.file == nil {
		return s.failed("write", errClosed)
	}
	return s.failed("write", s.writer.Append(rec))
}

// flush writes the buffered rows as a row group.
func (s *spool) flush() error { return s.failed("write", s.writer.Flush()) }

// finish completes the file, opens it again and compares its rows with those
// appended. The spool cannot be used afterwards, even if finish fails; the caller
// closes the Table returned.
func (s *spool) finish() (*Table, error) {
	if s.file == nil {
		return nil, s.failed("finish", errClosed)
	}
	file := s.file
	s.file = nil
	err := s.writer.Close()
	t := &Table{store.NewFile(file, s.writer.Size(), s.writer.CRC32C()), s.table, s.exportID, s.writer.Rows()}
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, errors.Join(s.failed("finish", err), file.Close())
	}
	return t, nil
}

// abort removes the file. After finish it does nothing.
func (s *spool) abort() error {
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	s.writer.Discard()
	return file.Close()
}

var errClosed = errors.New("the spool was finished or aborted")

// failed adds to an error what was being done, and what the user can do.
func (s *spool) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	hint := store.FileHint(err, "temporary files, or use another folder for them")
	if errors.Is(err, os.ErrNotExist) {
		hint = "; create the folder, or use another one for temporary files"
	}
	return fmt.Errorf("%s the spool file of table %s in %s: %w%s", what, s.table.Name, s.dir, err, hint)
}

// Table is the finished Parquet file of one table, the [store.Source] of the object
// that [Publish] writes. Closing it removes the file.
type Table struct {
	*store.File
	table    schema.Table
	exportID schema.ID
	rows     int64
}

var _ store.Source = (*Table)(nil)

// Schema returns the table whose rows the file holds.
func (t *Table) Schema() schema.Table { return t.table }

// Rows returns the number of rows.
func (t *Table) Rows() int64 { return t.rows }

// check opens the file and compares it with what was written.
func (t *Table) check() error {
	info, err := t.Stat()
	if err != nil {
		return err
	}
	if info.Size() != t.Size() {
		return fmt.Errorf("%d bytes were written, the file has %d", t.Size(), info.Size())
	}
	fr, err := tablefile.Open(t, t.Size())
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	rows, err := fr.Rows()
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	if rows != t.rows {
		return fmt.Errorf("%d rows were written, the file has %d", t.rows, rows)
	}
	if id := fr.Metadata(schema.MetaExportID); id != t.exportID.String() {
		return fmt.Errorf("export %s was written, the file says %q", t.exportID, id)
	}
	return nil
}
