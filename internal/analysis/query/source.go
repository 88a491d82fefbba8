package query

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/analysis/mirror"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// Source is a warehouse of any kind. A remote one is copied to a folder first, because
// DuckDB would have to download an extension to read it in place.
type Source struct {
	Warehouse string          // a folder or URL
	Cache     string          // folder for the copies of remote warehouses; empty: in the user's cache folder
	Offline   bool            // use the copy as it is
	Bounds    patience.Bounds // of each operation on a remote warehouse
	MaxAge    time.Duration   // how long Open uses a copy without looking for changes
	Scope     cache.Scope     // what Open is about; the tables have no other rows
	Memory    int             // that DuckDB may use, in MiB; 0 for [DefaultMemory]
	MaxListed int             // objects of a table; 0 for [store.MaxListed]

	Temp          string // the run's folder for temporary files
	Output        string // the folder that a result is written to, if there is one
	AllowExternal bool   // what is run in the database may use other files and the network

	// Warn reports what is wrong with the warehouse or its copy. Progress is called
	// before the copy of a remote warehouse is updated, and before the rows are read, with
	// [Fetching] or [Reading]; it returns functions to report progress with and to end the
	// report. It may be nil.
	Warn     func(message any)
	Progress func(doing, warehouse string) (show func(mirror.Progress), done func())

	mu      sync.Mutex
	folder  string // of the tables, once they have been found
	rows    string // the file with the rows of the tables, once it has been used
	updated time.Time
}

// What [Source.Progress] is about.
const (
	Fetching = "fetching"
	Reading  = "reading"
)

func (s *Source) progress(doing, warehouse string) (show func(mirror.Progress), done func()) {
	if s.Progress == nil {
		return func(mirror.Progress) {}, func() {}
	}
	return s.Progress(doing, warehouse)
}

// Open opens a database over the warehouse, as [Open] does, with the wanted tables and
// functions. Of a remote warehouse, it first copies the wanted tables as far as they
// have changed. It leaves out iterations with a damaged file and warns of them. The
// database belongs to the caller. Unless AllowExternal is set, it opens no files but
// those of the warehouse (or its copy), Temp and Output.
func (s *Source) Open(ctx context.Context, wanted func(name string) bool) (*sql.DB, error) {
	folder, err := s.Prepare(ctx, wanted)
	if err != nil {
		return nil, err
	}
	session := session{temp: s.Temp, memory: s.Memory}
	if !s.AllowExternal {
		session.within = slices.DeleteFunc([]string{folder, s.Temp, s.Output}, func(f string) bool { return f == "" })
	}
	if err := s.checkScope(folder); err != nil {
		return nil, err
	}
	var db *sql.DB
	base, err := cacheFolder(s.Cache, folder)
	if err == nil {
		db, err = s.openCached(ctx, session, folder, base, wanted)
	}
	if err == nil || ctx.Err() != nil || errors.Is(err, cache.ErrWarehouse) {
		return db, err
	}
	s.Warn(fmt.Sprintf("the cache cannot be used, so the files are read, which takes longer: %v", err))
	db, err = s.openCached(ctx, session, folder, s.Temp, wanted)
	return db, s.Explain(err)
}

// checkScope returns an error if the warehouse has nothing of an iteration, or of a
// project, that the scope names.
func (s *Source) checkScope(folder string) error {
	in := ""
	if s.Scope.Project != "" {
		in = " of project " + s.Scope.Project
	}
	for _, id := range s.Scope.Iterations {
		if found, err := hasRows(folder, s.Scope.Project, "iteration_id="+id); err != nil || !found {
			return cmp.Or(err, UsageErrorf("the warehouse has no iteration %s%s: SELECT iteration_id, iteration_name FROM exports lists them", id, in))
		}
	}
	if found, err := hasRows(folder, s.Scope.Project, ""); s.Scope.Project != "" && (err != nil || !found) {
		return cmp.Or(err, UsageErrorf("the warehouse has no project %s: SELECT DISTINCT project_id, project_name FROM exports lists them", s.Scope.Project))
	}
	return nil
}

// hasRows reports whether any table has a folder of that name in a project's, or in any
// project's if project is empty.
func hasRows(folder, project, name string) (bool, error) {
	for _, t := range schema.Tables() {
		projects := []string{"project_id=" + project}
		if project == "" {
			entries, err := os.ReadDir(filepath.Join(folder, t.Name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
			projects = nil
			for _, e := range entries {
				projects = append(projects, e.Name())
			}
		}
		for _, p := range projects {
			if _, err := os.Stat(filepath.Join(folder, t.Name, p, name)); err == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// openCached opens a database over the rows of the warehouse in a folder, which are kept in
// another one. What is damaged in the copy of a remote warehouse is fetched again, once.
func (s *Source) openCached(ctx context.Context, session session, folder, base string, wanted func(name string) bool) (*sql.DB, error) {
	db, findings, err := s.openRows(ctx, session, folder, base, wanted)
	if err == nil && len(findings) > 0 && s.isRemote() && !s.Offline {
		err = db.Close()
		for _, f := range findings {
			if removeErr := os.Remove(filepath.Join(folder, filepath.FromSlash(f.Key))); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
				err = errors.Join(err, removeErr)
			}
		}
		if err == nil {
			_, err = s.mirror(ctx, wanted)
		}
		if err != nil {
			return nil, err
		}
		db, findings, err = s.openRows(ctx, session, folder, base, wanted)
	}
	for _, f := range findings {
		s.Warn(f)
	}
	return db, err
}

func (s *Source) openRows(ctx context.Context, session session, folder, base string, wanted func(name string) bool) (*sql.DB, []load.Finding, error) {
	show, done := s.progress(Reading, s.Warehouse)
	c := &cache.Cache{
		File: filepath.Join(base, "rows.duckdb"), Folder: folder, Address: s.Warehouse, Temp: s.Temp, Memory: s.Memory, MaxListed: s.MaxListed,
		Progress: func(p cache.Progress) { show(mirror.Progress(p)) },
	}
	s.mu.Lock()
	s.rows = c.File
	s.mu.Unlock()
	defer done()
	return session.openCached(ctx, c, s.Scope, wanted)
}

// Prepare returns the folder of the warehouse's tables, after it has copied those of
// a remote one.
func (s *Source) Prepare(ctx context.Context, wanted func(table string) bool) (folder string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch remote := s.isRemote(); {
	case remote && s.folder != "" && time.Since(s.updated) < s.MaxAge:
		return s.folder, nil
	case remote:
		folder, err = s.mirror(ctx, wanted)
	default:
		folder, err = localFolder(s.Warehouse)
	}
	if err != nil {
		return "", err
	}
	s.folder, s.updated = folder, time.Now()
	return folder, nil
}

// Explain adds to an error of a question, about the file with the rows or one of the copy,
// what the user can do about it. It removes the file with the rows if that is damaged,
// which is only found out when the damaged part is read.
func (s *Source) Explain(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows != "" && cache.IsDamage(err) {
		if removeErr := os.Remove(s.rows); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			return errors.Join(err, fmt.Errorf("the cache is damaged and cannot be removed: %w", removeErr))
		}
		return fmt.Errorf("%w\nthe cache was damaged and has been removed: run it again", err)
	}
	if err != nil && ofFile.MatchString(err.Error()) {
		err = fmt.Errorf("%w\nif an export has replaced a file meanwhile, ask again; else one may be damaged, and cvexport verify --warehouse %q says which", err, s.Warehouse)
	}
	if err == nil || !s.isRemote() || !strings.Contains(err.Error(), s.folder) {
		return err
	}
	return fmt.Errorf("%w\nif a file in the cache is damaged, remove the cache and run it again: %s", err, s.folder)
}

// ofFile matches DuckDB's errors about the inside of a Parquet file, most of which do not
// name it.
var ofFile = regexp.MustCompile(`Invalid Error: |Can't find next power of 2|Parquet file|Failed to read file|Out of Memory Error`)

func (s *Source) isRemote() bool {
	name, err := open.Identity(s.Warehouse)
	return err != nil || name != ""
}

// localFolder returns the folder of a warehouse that is a folder or a file:// URL.
func localFolder(address string) (string, error) {
	address, err := local.Folder(store.ParseAddress(address))
	if err != nil {
		return "", &UsageError{err}
	}
	info, err := os.Stat(address)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is no such folder")
	} else if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	found := false
	for _, t := range schema.Tables() {
		if err == nil && !found {
			found, err = local.HasFile(filepath.Join(address, t.Name), ".parquet")
		}
	}
	if err == nil && !found {
		err = errors.New("it has no export")
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("warehouse %s: %w (check who may read it)", address, err)
	}
	if err != nil {
		return "", fmt.Errorf("warehouse %s: %w: run cvexport nightly first, or check --warehouse", address, err)
	}
	return filepath.Abs(address) // however it is given, it has one cache
}

// mirror updates the copy of a remote warehouse and returns its folder.
func (s *Source) mirror(ctx context.Context, wanted func(table string) bool) (_ string, err error) {
	name, err := open.Identity(s.Warehouse)
	if err != nil {
		return "", &UsageError{err}
	}
	folder, err := cacheFolder(s.Cache, name)
	if err != nil {
		return "", &UsageError{err}
	}
	if s.Offline {
		return s.offline(ctx, folder, name, wanted)
	}
	from, err := open.Open(patience.With(ctx, s.Bounds), s.Warehouse)
	switch {
	case errors.Is(err, store.ErrLogin): // the address is right
		return "", err
	case err != nil:
		return "", &UsageError{err}
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	from = store.Bounded(from, cmp.Or(s.MaxListed, store.MaxListed))
	cache, err := mirror.Open(folder, name)
	if err != nil {
		return "", err
	}
	s.limit(cache)
	show, done := s.progress(Fetching, name)
	updated, err := cache.Update(ctx, from, wanted, show)
	done()
	if err != nil {
		return "", fmt.Errorf("%w; run it again to continue, or use --offline for what is in the cache", err)
	}
	if updated.Warning != nil {
		s.Warn(updated.Warning)
	}
	for _, f := range updated.Findings {
		s.Warn(f)
	}
	if updated.Iterations == 0 && len(updated.Findings) == 0 {
		return "", fmt.Errorf("warehouse %s: it has no export: run cvexport nightly first, or check --warehouse", s.Warehouse)
	}
	return cache.Folder(), nil
}

// limit limits a copy to the scope.
func (s *Source) limit(copied *mirror.Cache) {
	if s.Scope.Project != "" || len(s.Scope.Iterations) > 0 {
		copied.Holds = s.Scope.Holds
	}
}

// offline returns the folder of the copy as it is, and warns if something is missing.
func (s *Source) offline(ctx context.Context, folder, name string, wanted func(string) bool) (string, error) {
	if _, err := os.Stat(folder); err != nil {
		return "", fmt.Errorf("there is no cache of %s yet (%w): run it once without --offline", name, err)
	}
	cache, err := mirror.Open(folder, name)
	if err != nil {
		return "", err
	}
	s.limit(cache)
	iterations, missing, err := cache.Missing(ctx, wanted)
	if err != nil {
		return "", fmt.Errorf("reading the cache in %s: %w", folder, err)
	}
	if iterations == 0 {
		return "", fmt.Errorf("the cache in %s has no export of %s: run it once without --offline", folder, name)
	}
	if updated := cache.Updated(); updated.IsZero() {
		s.Warn("offline: the cache has no iterations but those that were asked for by --project or --iteration, each as it was then: rows of others are missing")
	} else {
		s.Warn("offline: the rows are those of " + updated.UTC().Format("2006-01-02 15:04:05 MST") + ", or later if an iteration was asked for by --project or --iteration since")
	}
	if missing > 0 {
		s.Warn(fmt.Sprintf("%d objects that the query reads are not in the cache as they were committed, so rows are missing: run it once without --offline", missing))
	}
	return cache.Folder(), nil
}

// cacheFolder returns the folder in base for the copy of the warehouse of that name.
func cacheFolder(base, name string) (string, error) {
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no folder for the copy of the warehouse (%w): give --cache", err)
		}
		base = filepath.Join(user, "cvexport")
	} else if err := open.CheckText(base); err != nil {
		return "", fmt.Errorf("--cache: %w", err)
	}
	const maxLength = 60
	legible := strings.Trim(unsafeInName.ReplaceAllString(name, "-"), "-.")
	hash := sha256.Sum256([]byte(name))
	return filepath.Abs(filepath.Join(base, legible[:min(len(legible), maxLength)]+"-"+hex.EncodeToString(hash[:5])))
}

var unsafeInName = regexp.MustCompile(`[^a-zA-Z0-9._]+`)
