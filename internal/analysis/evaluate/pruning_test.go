package evaluate_test

import (
	"context"
	"database/sql"
	"regexp"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/evaluate"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// explained checks DuckDB's plan of each query before it is run.
type explained struct {
	*sql.DB
	testing.TB
	scans int
}

var scanned = regexp.MustCompile(`"Scanning Files": "([0-9]+/[0-9]+)"`)

func (e *explained) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	var key, plan string
	if err := e.QueryRowContext(ctx, "EXPLAIN (FORMAT json) "+query).Scan(&key, &plan); err != nil {
		return nil, err
	}
	found := scanned.FindAllStringSubmatch(plan, -1)
	if len(found) == 0 {
		e.Errorf("the plan reads no file: %s", plan)
	}
	for _, f := range found {
		e.scans++
		if f[1] != "1/3" {
			e.Errorf("a scan reads the files %s, in %s", f[1], query)
		}
	}
	return e.DB.QueryContext(ctx, query, args...)
}

// What an iteration costs does not grow with the warehouse.
func TestReadsItsIterationAlone(t *testing.T) {
	config := simulated.Config{Kind: simulated.Detection, Images: 4, Iterations: 3}
	service, err := simulated.New(config)
	if err != nil {
		t.Fatal(err)
	}
	p := service.Projects()[0]
	e := &explained{DB: exported.OpenViews(t, exported.Warehouse(t, config)), TB: t}
	if _, err := evaluate.COCO(t.Context(), e, p.ID.String(), p.Iterations[1].ID.String()); err != nil {
		t.Fatal(err)
	}
	if e.scans < 6 {
		t.Errorf("%d scans were checked", e.scans)
	}
}
