package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/schema"
)

// Scope is the part of a warehouse that a question is about. The zero value is all of it.
type Scope struct {
	Project    string   // an id; empty: every project
	Iterations []string // ids; none: every iteration
}

// Holds reports whether an iteration is in the scope.
func (s Scope) Holds(project, iteration schema.ID) bool {
	return (s.Project == "" || s.Project == project.String()) && (len(s.Iterations) == 0 || slices.Contains(s.Iterations, iteration.String()))
}

func (s Scope) isAll() bool { return s.Project == "" && len(s.Iterations) == 0 }

// Where returns the condition for the rows of the scope in SQL.
func (s Scope) Where() string {
	conditions := []string{"true"}
	if s.Project != "" {
		conditions = append(conditions, "project_id = "+rows.Quote(s.Project))
	}
	if len(s.Iterations) > 0 {
		conditions = append(conditions, "iteration_id IN ("+quoteAll(s.Iterations)+")")
	}
	return strings.Join(conditions, " AND ")
}

// unit is what is cached or not: the file of an iteration in a table.
type unit struct{ table, project, iteration string }

const (
	projectPrefix   = "project_id="
	iterationPrefix = "iteration_id="
	fileName        = "data.parquet"
)

// key is the file's path below the warehouse's folder.
func (u unit) key() string {
	return u.table + "/" + projectPrefix + u.project + "/" + iterationPrefix + u.iteration + "/" + fileName
}

func (u unit) file(root string) string { return filepath.Join(root, filepath.FromSlash(u.key())) }

// state is what a listing tells of a unit.
type state struct {
	version  string // the file's time, size and number; empty if they do not tell it from another
	size     int64
	modified time.Time
	problem  error // it is no file
}

// settled is how far from now a file's time must be to tell it from a later one of the
// same size that is written in its place: longer than a tick of the system's clock. A later
// one of cvexport's has a later time in any case.
const settled = 100 * time.Millisecond

// listing has the units of some tables.
type listing struct {
	units   map[unit]state
	digests map[string]string // of all units of a table; none if one has no version
}

// list lists the units of tables of the warehouse in a folder.
func list(ctx context.Context, root string, tables []schema.Table, scope Scope, most int) (listing, error) {
	l := listing{map[unit]state{}, map[string]string{}}
	began := time.Now()
	for _, t := range tables {
		digest, whole, count := sha256.New(), true, 0
		projects, err := subfolders(filepath.Join(root, t.Name), projectPrefix, scope.Project)
		if err != nil {
			return l, err
		}
		for _, p := range projects {
			iterations := scope.Iterations
			folder := filepath.Join(root, t.Name, projectPrefix+p)
			if len(iterations) == 0 {
				if iterations, err = subfolders(folder, iterationPrefix, ""); err != nil {
					return l, err
				}
			}
			if err := ctx.Err(); err != nil {
				return l, err
			}
			for _, i := range iterations {
				file := folder + string(filepath.Separator) + iterationPrefix + i + string(filepath.Separator) + fileName
				info, err := os.Stat(file)
				if isMissing(err) {
					if _, err := os.Lstat(file); isMissing(err) {
						continue
					} // else it is a link to nothing
				}
				if errors.Is(err, fs.ErrPermission) {
					return l, err
				}
				var s state
				switch {
				case err != nil:
					s.problem = err
				case !info.Mode().IsRegular():
					s.problem = regular.Check(unit{t.Name, p, i}.key(), info)
				default:
					s.size, s.modified = info.Size(), info.ModTime()
					if began.Sub(s.modified).Abs() > settled {
						s.version = fmt.Sprintf("%x-%x-%x", s.modified.UnixNano(), s.size, numberOf(info))
					}
				}
				if count++; count > most {
					return l, fmt.Errorf("table %s has more than %d files: if that is right, raise --max-objects", t.Name, most)
				}
				l.units[unit{t.Name, p, i}] = s
				whole = whole && s.version != ""
				for _, part := range []string{p, i, s.version} {
					_, _ = io.WriteString(digest, part+"/")
				}
			}
		}
		if whole {
			l.digests[t.Name] = hex.EncodeToString(digest.Sum(nil))
		}
	}
	return l, nil
}

// subfolders returns what follows the prefix in the names of a folder's entries, in
// order; or only, if that is not empty.
func subfolders(folder, prefix, only string) (names []string, err error) {
	if only != "" {
		return []string{only}, nil
	}
	f, err := os.Open(folder)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	all, err := f.Readdirnames(-1)
	if isMissing(err) {
		return nil, nil
	}
	for _, name := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names, err
}

// isMissing reports whether the error is that there is no such file, or a file where a
// folder is looked for.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
