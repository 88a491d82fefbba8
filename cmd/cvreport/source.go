package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
	storeopen "github.com/cvexport/cvexport/load/store/open"
)

// source is the warehouse of a command, and how it comes to a folder of this
// machine: DuckDB would have to download an extension to read anything else.
type source struct {
	warehouse string
	cache     string
	offline   bool
	quiet     bool
}

func (s *source) addFlags(cmd *cobra.Command) {
	warehouse := os.Getenv("CVEXPORT_WAREHOUSE")
	if warehouse == "" {
		warehouse = "./warehouse"
	}
	f := cmd.Flags()
	f.StringVar(&s.warehouse, "warehouse", warehouse, "where the tables are: a folder, file://, gs://, s3:// or azblob:// (CVEXPORT_WAREHOUSE)")
	f.StringVar(&s.cache, "cache", os.Getenv("CVEXPORT_CACHE"), "folder for the copies of remote warehouses (CVEXPORT_CACHE; default cvexport in the user's cache folder)")
	f.BoolVar(&s.offline, "offline", false, "use the copy of a remote warehouse as it is, without the network")
	f.BoolVar(&s.quiet, "quiet", false, "no progress on standard error")
}

// localFolder is the folder that the warehouse's tables are in. Those of a remote one
// are first copied to its cache, as far as they are wanted and have changed.
// What is wrong with it is told on stderr.
func (s *source) localFolder(ctx context.Context, stderr io.Writer, want func(table string) bool) (root string, err error) {
	of, err := storeopen.Identity(s.warehouse)
	if err != nil {
		return "", &usageError{err}
	}
	if of == "" {
		return warehousePath(s.warehouse)
	}
	folder, err := s.cacheFolder(of)
	if err != nil {
		return "", &usageError{err}
	}
	if s.offline {
		return s.useCache(ctx, stderr, folder, of, want)
	}
	from, err := storeopen.Open(ctx, s.warehouse)
	if err != nil {
		return "", &usageError{err}
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	cache, err := mirror.Open(folder, of)
	if err != nil {
		return "", err
	}
	display := newFetchDisplay(stderr, s.quiet, of)
	updated, err := cache.Update(ctx, from, want, display.show)
	display.done()
	if err != nil {
		return "", fmt.Errorf("%w; run it again, which goes on from there, or use --offline for what the cache has", err)
	}
	for _, f := range updated.Findings {
		fmt.Fprintln(stderr, "cvreport: warning:", f)
	}
	if updated.Iterations == 0 && len(updated.Findings) == 0 {
		return "", fmt.Errorf("warehouse %s: it has no export (export something first, or check --warehouse)", s.warehouse)
	}
	return cache.Folder(), nil
}

func (s *source) isRemote() bool {
	of, err := storeopen.Identity(s.warehouse)
	return err != nil || of != ""
}

// useCache takes the cache as it is, and tells what it lacks.
func (s *source) useCache(ctx context.Context, stderr io.Writer, folder, of string, want func(string) bool) (string, error) {
	if _, err := os.Stat(folder); err != nil {
		return "", fmt.Errorf("there is no cache of %s yet (%w): run it once without --offline", of, err)
	}
	cache, err := mirror.Open(folder, of)
	if err != nil {
		return "", err
	}
	iterations, missing, err := cache.Missing(ctx, want)
	if err != nil {
		return "", fmt.Errorf("looking at the cache in %s: %w", folder, err)
	}
	if iterations == 0 {
		return "", fmt.Errorf("the cache in %s has no export of %s: run it once without --offline", folder, of)
	}
	if missing > 0 {
		fmt.Fprintf(stderr, "cvreport: warning: %d objects that the sql reads are not in the cache as they were committed: rows are missing; run it once without --offline\n", missing)
	}
	return cache.Folder(), nil
}

// cacheFolder is the folder for the cache of a warehouse, one of its own.
func (s *source) cacheFolder(of string) (string, error) {
	base := s.cache
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no place for a copy of the warehouse (%w): give --cache", err)
		}
		base = filepath.Join(user, "cvexport")
	}
	const most = 60
	name := strings.Trim(unsafe.ReplaceAllString(of, "-"), "-.")
	hash := sha256.Sum256([]byte(of))
	return filepath.Abs(filepath.Join(base, name[:min(len(name), most)]+"-"+hex.EncodeToString(hash[:5])))
}

// unsafe is what no file system minds the lack of.
var unsafe = regexp.MustCompile(`[^a-zA-Z0-9._]+`)
