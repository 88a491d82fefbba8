package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/schema"
)

// warehousePath takes a folder or a file:// URL. DuckDB reads files; it would
// have to download an extension to read anything else.
func warehousePath(address string) (string, error) {
	scheme, _, isURL := strings.Cut(address, "://")
	switch {
	case !isURL:
	case scheme == "file":
		u, err := url.Parse(address)
		if err != nil || (u.Host != "" && u.Host != "localhost") || u.Path == "" {
			return "", &usageError{fmt.Errorf("warehouse %q: want file:///folder, with three slashes", address)}
		}
		address = filepath.FromSlash(u.Path)
	case scheme == "gs":
		return "", &usageError{fmt.Errorf("warehouse %s is remote: copy it first, with: gcloud storage rsync -r %s ./warehouse", address, address)}
	default:
		return "", &usageError{fmt.Errorf("warehouse %s:// is remote: copy it to a folder first", scheme)}
	}
	info, err := os.Stat(address)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no folder")
	}
	if err != nil {
		return "", fmt.Errorf("warehouse %s: %w (export something first, or check --warehouse)", address, err)
	}
	return address, nil
}

// openWarehouse opens an in-memory database with one view a table. Nothing is
// downloaded: the Parquet reader is built in.
func openWarehouse(ctx context.Context, root string) (_ *sql.DB, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("starting duckdb: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	// Views are of the database, but a session's settings are of a connection.
	db.SetMaxOpenConns(1)
	statements := []string{
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET TimeZone = 'UTC'",
	}
	for _, t := range schema.Tables() {
		view, err := viewSQL(root, t)
		if err != nil {
			return nil, err
		}
		statements = append(statements, view)
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, fmt.Errorf("opening the warehouse %s: %w", root, err)
		}
	}
	return db, nil
}

// viewSQL makes the view of a table: over its files, or an empty one of the
// same shape while there is none, which the glob would take for an error.
func viewSQL(root string, t schema.Table) (string, error) {
	folder := filepath.Join(root, t.Name)
	found, err := hasParquet(folder)
	if err != nil {
		return "", fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
	}
	if found {
		glob := quote(globEscape(filepath.ToSlash(folder)) + "/**/*.parquet")
		return fmt.Sprintf("CREATE VIEW %s AS FROM read_parquet(%s, hive_partitioning = true, union_by_name = true, hive_types = {'project_id': VARCHAR, 'iteration_id': VARCHAR})", t.Name, glob), nil
	}
	var columns []string
	for _, c := range append(t.Columns, schema.Column{Name: "iteration_id"}, schema.Column{Name: "project_id"}) {
		columns = append(columns, fmt.Sprintf("NULL::%s AS %s", duckType(c), c.Name))
	}
	return fmt.Sprintf("CREATE VIEW %s AS SELECT %s WHERE false", t.Name, strings.Join(columns, ", ")), nil
}

func hasParquet(folder string) (bool, error) {
	found := false
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".parquet") {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	return found, err
}

func duckType(c schema.Column) string {
	switch c.Type {
	case schema.Timestamp:
		return "TIMESTAMPTZ"
	case schema.Double:
		return "DOUBLE"
	case schema.Int32:
		return "INTEGER"
	case schema.Int64:
		return "BIGINT"
	case schema.StringList:
		return "VARCHAR[]"
	case schema.StructList:
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, fmt.Sprintf("%q %s", f.Name, duckType(f)))
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")[]"
	}
	return "VARCHAR"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// globEscape keeps DuckDB from taking a folder's own name for a pattern.
func globEscape(s string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(s)
}
