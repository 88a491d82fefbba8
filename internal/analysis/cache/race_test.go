package cache_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// Between the look at the cache and its copy, others may put a newer file into its place,
// or remove its folder: no row is there twice.
func TestReplacedBeforeItIsCopied(t *testing.T) {
	const images = 20
	c := cache.Cache{
		Folder: exported.Warehouse(t, simulated.Config{Kind: simulated.Multiclass, Images: images, Iterations: 2}),
		File:   filepath.Join(t.TempDir(), "folder", "cache.duckdb"), Temp: t.TempDir(),
	}
	count := func(c cache.Cache, t schema.Table) (n int, err error) {
		ctx := context.Background()
		db, err := sql.Open("duckdb", "")
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		db.SetMaxOpenConns(1)
		a, err := c.Attach(ctx, db, func(name string) bool { return name == t.Name }, cache.Scope{})
		if err != nil {
			return 0, err
		}
		rows, _ := a.Rows(t)
		return n, db.QueryRowContext(ctx, "SELECT count(*) FROM ("+rows+")").Scan(&n)
	}
	for name, meanwhile := range map[string]func() error{
		"replaced": func() error {
			other := c
			other.File = filepath.Join(t.TempDir(), "cache.duckdb")
			if _, err := count(other, schema.Images); err != nil {
				return err
			}
			return os.Rename(other.File, c.File)
		},
		"removed": func() error { return os.Remove(c.File) },
		"damaged": func() error { return os.WriteFile(c.File, []byte("garbage"), 0o600) },
	} {
		if err := os.RemoveAll(filepath.Dir(c.File)); err != nil {
			t.Fatal(err)
		}
		if _, err := count(c, schema.Exports); err != nil { // a cache without images
			t.Fatal(err)
		}
		late := c
		late.BeforeCopy(func() {
			if err := meanwhile(); err != nil {
				t.Error(err)
			}
		})
		n, err := count(late, schema.Images)
		if name == "removed" {
			if !errors.Is(err, os.ErrNotExist) && n != 2*images {
				t.Errorf("%s: %d images, %v", name, n, err)
			}
		} else if err != nil || n != 2*images {
			t.Errorf("%s: %d images, want %d; %v", name, n, 2*images, err)
		}
		if n, err := count(c, schema.Images); err != nil || n != 2*images {
			t.Errorf("%s, the next question: %d images, want %d; %v", name, n, 2*images, err)
		}
	}
}
