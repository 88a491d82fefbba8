//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// archive is a warehouse of many iterations, made of one.
type archive struct {
	root       string
	export     load.Export // the one that was exported
	iterations int
}

const iterationsPerProject = 100

// project and iteration return the ids of the archive's nth iteration.
func (a archive) project(n int) schema.ID   { return madeID(a.export.Project, n/iterationsPerProject) }
func (a archive) iteration(n int) schema.ID { return madeID(a.export.Iteration, n) }

// madeID returns an id that differs from another in n, and for 0 not at all.
func madeID(id schema.ID, n int) schema.ID {
	for at := len(id) - 1; n > 0; at-- {
		id[at] ^= byte(n)
		n >>= 8
	}
	return id
}

// exportOne exports an iteration of 20 images of the simulated service to a folder.
func exportOne(ctx context.Context, root string) (_ load.Export, err error) {
	service, err := simulated.New(simulated.Config{Seed: 1, Kind: simulated.Detection, Images: 20})
	if err != nil {
		return load.Export{}, err
	}
	server := httptest.NewServer(service)
	defer server.Close()
	client, err := extract.NewClient(extract.Options{Endpoint: server.URL, Key: "simulated", Rate: 1e6})
	if err != nil {
		return load.Export{}, err
	}
	warehouse, err := local.New(root)
	if err != nil {
		return load.Export{}, err
	}
	p := service.Projects()[0]
	result, err := jobs.Export(ctx, client, warehouse, jobs.Request{
		Project: p.ID, Iteration: p.Iterations[0].ID.String(), Concurrency: 1,
		ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, Version: "bench",
	})
	return result.Export, err
}

// makeArchive makes a warehouse of that many iterations in a folder: the data of the
// exported one, linked, and an exports record of each.
func makeArchive(ctx context.Context, from string, e load.Export, root string, iterations int) (archive, error) {
	a := archive{root, e, iterations}
	warehouse, err := local.New(from)
	if err != nil {
		return a, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for n := range iterations {
		group.Go(func() error { return errors.Join(ctx.Err(), a.add(warehouse, n)) })
	}
	return a, group.Wait()
}

// add adds the nth iteration.
func (a archive) add(from store.Store, n int) error {
	e := a.export
	e.Project, e.Iteration = a.project(n), a.iteration(n)
	name, iteration := fmt.Sprintf("Project %d", n/iterationsPerProject), fmt.Sprintf("Iteration %d", n%iterationsPerProject+1)
	e.ProjectName, e.IterationName = &name, &iteration
	e.TrainedAt = e.TrainedAt.AddDate(0, 0, n%iterationsPerProject)
	e.Objects = append([]load.ObjectRecord{}, e.Objects...)
	for i, o := range e.Objects {
		table, known := schema.Evaluation.Find(o.Table)
		if !known {
			return fmt.Errorf("unknown table %s", o.Table)
		}
		e.Objects[i].Key = table.Path(e.Project, e.Iteration)
		path, err := a.makeFolder(e.Objects[i].Key)
		if err == nil {
			err = os.Link(from.URL(o.Key), path)
		}
		if err != nil {
			return err
		}
	}
	record, err := load.EncodeRecord(e)
	if err != nil {
		return err
	}
	path, err := a.makeFolder(schema.Exports.Path(e.Project, e.Iteration))
	if err != nil {
		return err
	}
	return os.WriteFile(path, record, 0o600)
}

func (a archive) makeFolder(key string) (path string, err error) {
	path = filepath.Join(a.root, filepath.FromSlash(key))
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}
