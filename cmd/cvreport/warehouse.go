package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// warehousePath takes a folder or a file:// URL.
func warehousePath(address string) (string, error) {
	address, err := local.Folder(store.ParseAddress(address))
	if err != nil {
		return "", &usageError{err}
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
func openWarehouse(ctx context.Context, root string) (*sql.DB, error) {
	return openFor(ctx, root, anyName, anyName)
}

// openViews opens a warehouse without the functions.
func openViews(ctx context.Context, root string) (*sql.DB, error) {
	return openFor(ctx, root, anyName, func(string) bool { return false })
}

// openFor opens a warehouse of which only the tables that are there are looked at,
// the others are empty, and only the wanted functions are made.
func openFor(ctx context.Context, root string, there, wanted func(name string) bool) (_ *sql.DB, err error) {
	script := schema.Script{Dialect: schema.DuckDB, Warehouse: filepath.ToSlash(root)}
	for _, t := range schema.Tables() {
		found := false
		if there(t.Name) {
			found, err = local.HasFile(filepath.Join(root, t.Name), ".parquet")
		}
		if err != nil {
			return nil, fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
		}
		if !found {
			script.Empty = append(script.Empty, t.Name)
		}
	}
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 && !wanted(v.Name) {
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
