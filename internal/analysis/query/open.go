package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// All is true of every name of a table, view or function.
func All(string) bool { return true }

// NoFunction is true of the names of tables and views only.
func NoFunction(name string) bool {
	return slices.ContainsFunc(schema.Tables(), func(t schema.Table) bool { return t.Name == name }) ||
		slices.ContainsFunc(schema.Views(), func(v schema.View) bool { return v.Name == name && len(v.Arguments) == 0 })
}

// Open opens an in-memory database over the warehouse in a folder: its tables, of
// which those not wanted are empty, all views, and the wanted functions. DuckDB needs
// no extension for that and downloads none. What is run in it may do anything:
// [Source.Open] is for the statements of others.
func Open(ctx context.Context, folder string, tables, functions func(name string) bool) (_ *sql.DB, err error) {
	return session{}.open(ctx, folder, tables, functions)
}

func (s session) open(ctx context.Context, folder string, tables, functions func(name string) bool) (_ *sql.DB, err error) {
	script := schema.Script{Dialect: schema.DuckDB, Warehouse: filepath.ToSlash(folder), Without: unwanted(functions)}
	for _, t := range schema.Tables() {
		hasFiles := false
		if tables(t.Name) {
			if hasFiles, err = local.HasFile(filepath.Join(folder, t.Name), ".parquet"); err != nil {
				return nil, fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
			}
		}
		if !hasFiles {
			script.Empty = append(script.Empty, t.Name)
		}
	}
	db, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(execute(ctx, db, []string{script.String()}), s.confine(ctx, db)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the warehouse %s: %w", folder, err), db.Close())
	}
	return db, nil
}

// unwanted returns the functions that are not wanted.
func unwanted(functions func(name string) bool) (names []string) {
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 && !functions(v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}

// openCached opens the warehouse of a cache, as far as the scope goes. The findings are
// of iterations that it leaves out.
func (s session) openCached(ctx context.Context, c *cache.Cache, scope cache.Scope, wanted func(name string) bool) (_ *sql.DB, findings []load.Finding, err error) {
	db, err := s.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	attached, err := c.Attach(ctx, db, wanted, scope)
	if err != nil {
		return nil, nil, err
	}
	script := schema.Script{Dialect: schema.DuckDB, Rows: map[string]string{}, Without: unwanted(wanted), Bare: !wanted("comment")}
	for _, t := range schema.Tables() {
		if rows, ok := attached.Rows(t); ok {
			script.Rows[t.Name] = rows
		} else {
			script.Empty = append(script.Empty, t.Name)
		}
	}
	if err := errors.Join(execute(ctx, db, []string{script.String()}), s.confine(ctx, db)); err != nil {
		return nil, nil, fmt.Errorf("opening the cache %s: %w", c.File, err)
	}
	return db, attached.Findings, nil
}
