package load

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// maxBuffered is how many bytes of memory the unwritten rows of all tables take. Beyond
// it the table with the most is written, so that an export of ten times the images takes
// hardly more memory. Its row groups are smaller then: with boxes they have 68,000 rows.
// At 12 MiB it would be 102,000, and 7 MiB more of memory.
const maxBuffered = tablefile.MaxBuffered

// Spools collects the rows of one export, in a spool for each table of a set. It is not
// safe for concurrent use.
type Spools struct {
	spools []*spool
	tables []*Table // those that are finished
}

// NewSpools creates the files in the folder dir, or the system's if it is empty, which
// must not be inside a warehouse. The files have no names (on Windows, names that do not
// end in .parquet), so that a killed program leaves nothing behind.
func NewSpools(dir string, set schema.TableSet, exportID schema.ID) (*Spools, error) {
	s := &Spools{}
	for _, t := range set.Data {
		spool, err := newSpool(dir, t, exportID, tablefile.RowGroupRows)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.spools = append(s.spools, spool)
	}
	return s, nil
}

// Append writes the rows of rec, which must have exactly the columns of the table, plain
// or as dictionaries. After an error the spools can only be closed.
func (s *Spools) Append(t schema.Table, rec arrow.RecordBatch) error {
	largest, all := s.spools[0], int64(0)
	found := false
	for _, spool := range s.spools {
		if spool.table.Name == t.Name {
			found = true
			if err := spool.append(rec); err != nil {
				return err
			}
		}
		if all += spool.writer.Buffered(); spool.writer.Buffered() > largest.writer.Buffered() {
			largest = spool
		}
	}
	switch {
	case !found:
		return fmt.Errorf("table %s has no spool", t.Name)
	case all > maxBuffered:
		return largest.flush()
	}
	return nil
}

// Finish completes all files and returns them in the order of publishing. [Spools.Close]
// closes them.
func (s *Spools) Finish() ([]*Table, error) {
	for _, spool := range s.spools[len(s.tables):] {
		table, err := spool.finish()
		if err != nil {
			return nil, err
		}
		s.tables = append(s.tables, table)
	}
	return s.tables, nil
}

// Close drops the files, finished or not. Closing them again does nothing.
func (s *Spools) Close() error {
	var errs []error
	for _, spool := range s.spools {
		errs = append(errs, spool.abort())
	}
	for _, table := range s.tables {
		errs = append(errs, table.Close())
	}
	return errors.Join(errs...)
}
