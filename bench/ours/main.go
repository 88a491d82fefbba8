// Command ours decodes, writes and publishes pages from disk like an export does. bench
// measures its process.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/transform"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ours PAGES WAREHOUSE")
		os.Exit(2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as cvexport does
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder, warehouse string) (err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	export := load.Export{ExportID: schema.ID{1}, Project: schema.ID{2}, Iteration: schema.ID{3}, Status: "Completed", StartedAt: time.Now()}
	mem := memory.DefaultAllocator
	spools, err := load.NewSpools("", schema.Evaluation, export.ExportID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spools.Close()) }()
	decoder := transform.NewDecoder(transform.Options{ExportID: export.ExportID, Memory: mem})
	images := int32(0)
	var body bytes.Buffer
	for _, name := range files {
		if err := readFile(&body, name); err != nil {
			return err
		}
		page, err := decoder.Decode(body.Bytes(), 0, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := page.NumberImages(mem, images); err != nil {
			return err
		}
		images += int32(len(page.IDs))
		for _, t := range []schema.Table{schema.Images, schema.Predictions, schema.Tags, schema.Regions} {
			if err := spools.Append(t, page.ByTable(t.Name)); err != nil {
				return err
			}
		}
		page.Release()
	}
	figures, err := transform.TagPerformances(mem, export.ExportID, nil)
	if err != nil {
		return err
	}
	defer figures.Release()
	if err := spools.Append(schema.TagPerformance, figures); err != nil {
		return err
	}
	tables, err := spools.Finish()
	if err != nil {
		return err
	}
	store, err := open.Open(ctx, warehouse)
	if err != nil {
		return err
	}
	defer store.Close()
	prior, err := load.ReadPrior(ctx, store, schema.Evaluation, export.Project, export.Iteration)
	if err != nil {
		return err
	}
	_, err = load.Publish(ctx, store, export, tables, prior)
	return err
}

// readFile reads a file into a reused buffer, as an export does with the service's
// answers.
func readFile(body *bytes.Buffer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	body.Reset()
	_, err = body.ReadFrom(f)
	return errors.Join(err, f.Close())
}
