package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/schema"
)

// session says what a DuckDB may touch.
type session struct {
	temp   string   // the folder for what does not fit into memory; empty: DuckDB's choice
	within []string // the only folders whose files it may read and write; nil: all, and the network
	memory int      // that it may use, in MiB; 0 for [DefaultMemory]
}

// settings are those that a query may still change if it is confined. None of them names
// a file or a server.
var settings = []string{
	"TimeZone", "Calendar", "threads", "memory_limit", "max_temp_directory_size", "preserve_insertion_order",
	"default_order", "default_null_order", "integer_division", "ieee_floating_point_ops", "schema", "search_path",
}

// start opens an in-memory database. Its files go to the session's folder: otherwise
// DuckDB puts them into .tmp in the current folder, for everybody to read, even if that
// is a link.
func (s session) start(ctx context.Context) (_ *sql.DB, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("starting duckdb: %w", err)
	}
	db.SetMaxOpenConns(1) // the settings of a session belong to one connection
	statements := []string{
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET TimeZone = 'UTC'",
	}
	if s.temp != "" {
		statements = append(statements, "SET temp_directory = '"+escape(filepath.Join(s.temp, "spill"))+"'")
	}
	if err := errors.Join(execute(ctx, db, statements), s.limitMemory(ctx, db)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// confine closes everything to the session but its folders, for good: no statement can
// open it again.
func (s session) confine(ctx context.Context, db *sql.DB) error {
	if s.within == nil {
		return nil
	}
	var folders []string
	for _, folder := range s.within {
		folder, err := filepath.Abs(folder)
		if err != nil {
			return err
		}
		folders = append(folders, folder, schema.GlobEscape(folder)) // which is the same to DuckDB, in a pattern
	}
	return execute(ctx, db, []string{
		"SET allow_community_extensions = false",
		"SET allow_persistent_secrets = false",
		"SET allowed_directories = " + list(folders),
		"SET enable_external_access = false",
		"SET allowed_configs = " + list(settings),
		"SET lock_configuration = true",
	})
}

func list(texts []string) string {
	var quoted []string
	for _, text := range texts {
		quoted = append(quoted, "'"+escape(text)+"'")
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func execute(ctx context.Context, db *sql.DB, statements []string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// DefaultMemory is how much memory DuckDB may use, in MiB, if the machine has it: a file
// of a kilobyte can make it take all there is. What needs more is done on disk.
const DefaultMemory = 4096

func (s session) limitMemory(ctx context.Context, db *sql.DB) error {
	if s.memory > 0 {
		return setMemory(ctx, db, s.memory)
	}
	var now string // such as 18.7 GiB, four fifths of the machine's
	if err := db.QueryRowContext(ctx, "SELECT current_setting('memory_limit')").Scan(&now); err != nil {
		return fmt.Errorf("starting duckdb: %w", err)
	}
	var n float64
	var unit string
	if _, err := fmt.Sscanf(now, "%f %s", &n, &unit); err == nil && (unit == "bytes" || unit == "KiB" || unit == "MiB" || unit == "GiB" && n <= DefaultMemory/1024) {
		return nil
	}
	return setMemory(ctx, db, DefaultMemory)
}

func setMemory(ctx context.Context, db *sql.DB, mebibytes int) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf("SET memory_limit = '%dMiB'", mebibytes)); err != nil {
		return fmt.Errorf("limiting duckdb's memory: %w", err)
	}
	return nil
}

// DuckDBVersion asks DuckDB for its version, such as v1.5.6.
func DuckDBVersion(ctx context.Context) (version string, err error) {
	db, err := session{}.start(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT library_version FROM pragma_version()").Scan(&version)
	return version, err
}
