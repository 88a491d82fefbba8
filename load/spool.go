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
	file, err := store.NewTempFile(dir, "cvexport-"+t.Name+"-*.spool")
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
	if err := s.writer.Append(rec); err != nil {
		return s.failed("write", err)
	}
	return nil
}

// finish completes the file, opens it again and compares its rows with those
// appended. The spool cannot be used afterwards, even if finish fails; the caller
// closes the Table returned.
func (s *spool) finish() (*Table, error) {
	if s.file == nil {
		return nil, s.failed("finish", errClosed)
	}
	file := s.file
	s.file = nil
	t := &Table{table: s.table, exportID: s.exportID, file: file}
	err := s.writer.Close()
	if err == nil {
		t.rows, t.size, t.crc = s.writer.Rows(), s.writer.Size(), s.writer.CRC32C()
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

// flush writes the buffered rows as a row group.
func (s *spool) flush() error {
	if err := s.writer.Flush(); err != nil {
		return s.failed("write", err)
	}
	return nil
}

// spoolHint returns what the user can do about a temporary file that cannot be written.
func spoolHint(err error) string {
	if errors.Is(err, os.ErrNotExist) {
		return "; create the folder, or use another one for temporary files"
	}
	return store.FileHint(err, "temporary files, or use another folder for them")
}

var errClosed = errors.New("the spool was finished or aborted")

func (s *spool) failed(what string, err error) error {
	return fmt.Errorf("%s the spool file of table %s in %s: %w%s", what, s.table.Name, s.dir, err, spoolHint(err))
}

// Table is the finished Parquet file of one table, the [store.Source] of the object
// that [Publish] writes.
type Table struct {
	table    schema.Table
	exportID schema.ID
	file     *store.TempFile
	rows     int64
	size     int64
	crc      uint32
}

var _ store.Source = (*Table)(nil)

// Schema returns the table whose rows the file holds.
func (t *Table) Schema() schema.Table { return t.table }

// Rows returns the number of rows.
func (t *Table) Rows() int64 { return t.rows }

// Size returns the file's size in bytes.
func (t *Table) Size() int64 { return t.size }

// CRC32C returns the checksum of what was written to the file.
func (t *Table) CRC32C() uint32 { return t.crc }

// ReadAt reads from the file.
func (t *Table) ReadAt(p []byte, off int64) (int, error) { return t.file.ReadAt(p, off) }

// Close removes the file. Closing it again does nothing.
func (t *Table) Close() error { return t.file.Close() }

// check opens the file and compares it with what was written.
func (t *Table) check() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != t.size {
		return fmt.Errorf("%d bytes were written, the file has %d", t.size, info.Size())
	}
	fr, err := tablefile.Open(t, t.size)
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
