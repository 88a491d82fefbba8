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

// openWarehouse opens an in-memory database with the tables of a folder, and the
// views and functions over them. Nothing is downloaded: the Parquet reader is
// built in.
func openWarehouse(ctx context.Context, root string) (_ *sql.DB, err error) {
	script := schema.Script{Dialect: schema.DuckDB, Warehouse: filepath.ToSlash(root)}
	for _, t := range schema.Tables() {
		found, err := hasParquet(filepath.Join(root, t.Name))
		if err != nil {
			return nil, fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
		}
		if !found {
			script.Empty = append(script.Empty, t.Name)
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
	// Views are of the database, but a session's settings are of a connection.
	db.SetMaxOpenConns(1)
	for _, s := range []string{
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET TimeZone = 'UTC'",
		script.String(),
	} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, fmt.Errorf("opening the warehouse %s: %w", root, err)
		}
	}
	return db, nil
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
