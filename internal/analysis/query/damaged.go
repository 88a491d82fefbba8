package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// readable lists the files of the wanted tables in the folder of the warehouse at an
// address, without the iterations
// that have a damaged file among them. The findings say which these are. DuckDB opens
// every file of a table, and fails if there is one that it cannot read.
func (s session) readable(ctx context.Context, address, folder string, tables func(name string) bool) (files map[string][]string, findings []load.Finding, err error) {
	warehouse, err := local.New(folder)
	if err != nil {
		return nil, nil, err
	}
	db, err := s.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := s.confine(ctx, db); err != nil {
		return nil, nil, err
	}
	files = map[string][]string{}
	for _, t := range schema.Tables() {
		if !tables(t.Name) {
			continue
		}
		for obj, err := range warehouse.List(ctx, t.Name+"/") {
			if err != nil {
				return nil, nil, err
			}
			if !strings.HasSuffix(obj.Key, ".parquet") {
				continue
			}
			files[t.Name] = append(files[t.Name], obj.Key)
			project, iteration, ok := t.ParsePath(obj.Key)
			if !ok {
				continue
			}
			if obj.Version == "" {
				_, err := warehouse.Stat(ctx, obj.Key)
				findings = append(findings, load.Finding{Project: project, Iteration: iteration, Table: t.Name, Key: obj.Key, Problem: fmt.Sprintf("the iteration is left out: %v", err)})
				continue
			}
			if err := checkReadable(ctx, db, warehouse, obj); err != nil {
				reason, _, _ := strings.Cut(err.Error(), "\n") // the other lines are the statement
				findings = append(findings, load.Finding{Project: project, Iteration: iteration, Table: t.Name, Key: obj.Key, Problem: fmt.Sprintf(
					"it is damaged, so the iteration is left out; to mend it, run cvexport export --project %s --iteration %s --force --warehouse %q (%s)", project, iteration, address, reason)})
			}
		}
	}
	for _, t := range schema.Tables() {
		files[t.Name] = slices.DeleteFunc(files[t.Name], func(key string) bool {
			return slices.ContainsFunc(findings, func(f load.Finding) bool { return key == t.Path(f.Project, f.Iteration) })
		})
	}
	return files, findings, ctx.Err()
}

// allSound reports whether each object of the wanted tables is a file, and its footer is
// one that DuckDB can read: it passes over what is no file in silence, and believes a
// footer of some megabytes that takes gigabytes.
func allSound(ctx context.Context, folder string, tables func(name string) bool) (bool, error) {
	warehouse, err := local.New(folder)
	if err != nil {
		return false, err
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, t := range schema.Tables() {
		if !tables(t.Name) {
			continue
		}
		for obj, err := range warehouse.List(ctx, t.Name+"/") {
			if err != nil {
				return false, errors.Join(err, group.Wait())
			}
			if strings.HasSuffix(obj.Key, ".parquet") {
				group.Go(func() error {
					if obj.Version == "" || checkFooter(ctx, warehouse, obj) != nil {
						return errNotSound
					}
					return nil
				})
			}
		}
	}
	return group.Wait() == nil, ctx.Err()
}

var errNotSound = errors.New("not sound")

// checkReadable returns an error if DuckDB cannot read a file. If an export replaces it
// meanwhile, the new one counts.
func checkReadable(ctx context.Context, db *sql.DB, warehouse *local.Store, obj store.Object) error {
	const maxTries = 20 // an export replaces a file once
	for try := 1; ; try++ {
		err := checkFooter(ctx, warehouse, obj)
		if err == nil {
			_, err = db.ExecContext(ctx, "DESCRIBE FROM read_parquet('"+escape(warehouse.URL(obj.Key))+"')")
		}
		now, statErr := warehouse.Stat(ctx, obj.Key)
		if err == nil || statErr != nil || now.Version == obj.Version || try == maxTries {
			return err
		}
		obj = now
	}
}

func checkFooter(ctx context.Context, warehouse *local.Store, obj store.Object) (err error) {
	file, err := warehouse.OpenAt(ctx, obj.Key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = tablefile.CheckFooter(file, obj.Size)
	return err
}
