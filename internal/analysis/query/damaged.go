package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/local"
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
			if _, err := db.ExecContext(ctx, "DESCRIBE FROM read_parquet('"+escape(warehouse.URL(obj.Key))+"')"); err != nil {
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
