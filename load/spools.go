package load

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/schema"
)

// spoolBytes is how much memory the rows of all tables take that wait for their row
// group. Beyond it the table that has most is written, so that an export of ten
// times the images takes hardly more memory; its row groups are smaller then: those of
// boxes have 68,000 rows. At 12 MiB it is 102,000, and 7 MiB more of memory.
const spoolBytes = 8 << 20

// Spools are the spools of one export, one for each of schema.DataTables. They are
// for one goroutine.
type Spools struct {
	spools []*spool
	tables []*Table // those that are finished
}

// NewSpools begins their files in the folder dir, or the system's if it is empty, which
// must not be inside a warehouse. The files have no names (on Windows, names that do not
// end in .parquet), so that a killed program leaves nothing behind.
func NewSpools(dir string, exportID schema.ID) (*Spools, error) {
	s := &Spools{}
	for _, t := range schema.DataTables() {
		spool, err := newSpool(dir, t, exportID, rowGroupRows)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.spools = append(s.spools, spool)
	}
	return s, nil
}

// Append writes the rows of rec, which must have exactly the columns of the table, and
// does not keep it. After an error the spools can only be closed.
func (s *Spools) Append(t schema.Table, rec arrow.RecordBatch) error {
	most, all := s.spools[0], int64(0)
	found := false
	for _, spool := range s.spools {
		if spool.table.Name == t.Name {
			found = true
			if err := spool.append(rec); err != nil {
				return err
			}
		}
		if all += spool.waiting(); spool.waiting() > most.waiting() {
			most = spool
		}
	}
	switch {
	case !found:
		return fmt.Errorf("table %s has no spool", t.Name)
	case all > spoolBytes:
		return most.flush()
	}
	return nil
}

// Finish completes all files, and returns them in the order in which they are
// published. They belong to the spools, and go with them.
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
