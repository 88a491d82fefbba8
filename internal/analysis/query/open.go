package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// All is true of every name of a table, view or function.
func All(string) bool { return true }

// NoFunction is true of the names of tables and views only.
func NoFunction(name string) bool {
	return !slices.ContainsFunc(schema.Views(), func(v schema.View) bool { return v.Name == name && len(v.Arguments) > 0 })
}

// Open opens an in-memory database over the warehouse in a folder: its tables, of
// which those not wanted are empty, all views, and the wanted functions. DuckDB needs
// no extension for that and downloads none.
func Open(ctx context.Context, folder string, tables, functions func(name string) bool) (_ *sql.DB, err error) {
	return openFiles(ctx, folder, nil, tables, functions)
}

// openFiles opens the warehouse with no other files than the given ones, or with all
// if files is nil.
func openFiles(ctx context.Context, folder string, files map[string][]string, tables, functions func(name string) bool) (_ *sql.DB, err error) {
	script := schema.Script{Dialect: schema.DuckDB, Warehouse: filepath.ToSlash(folder), Files: files}
	for _, t := range schema.Tables() {
		hasFiles := len(files[t.Name]) > 0
		if files == nil && tables(t.Name) {
			if hasFiles, err = local.HasFile(filepath.Join(folder, t.Name), ".parquet"); err != nil {
				return nil, fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
			}
		}
		if !hasFiles {
			script.Empty = append(script.Empty, t.Name)
		}
	}
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 && !functions(v.Name) {
			script.Without = append(script.Without, v.Name)
		}
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("starting duckdb: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	db.SetMaxOpenConns(1) // the settings of a session belong to one connection
	for _, s := range []string{
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET TimeZone = 'UTC'",
		script.String(),
	} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, fmt.Errorf("opening the warehouse %s: %w", folder, err)
		}
	}
	return db, limitMemory(ctx, db)
}

// DefaultMemory is how much memory DuckDB may use, in MiB, if the machine has it: a file
// of a kilobyte can make it take all there is. What needs more is done on disk.
const DefaultMemory = 4096

func limitMemory(ctx context.Context, db *sql.DB) error {
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
