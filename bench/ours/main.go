// Command ours is the pipeline behind the service: pages on disk, decoded,
// written and published, as an export does it. bench measures its process.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load"
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

func run(ctx context.Context, folder, warehouse string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	export := load.Export{ExportID: schema.ID{1}, Project: schema.ID{2}, Iteration: schema.ID{3}, Status: "Completed", StartedAt: time.Now()}
	spools := map[string]*load.Spool{}
	for _, t := range schema.DataTables() {
		if spools[t.Name], err = load.NewSpool("", t, export.ExportID, memory.DefaultAllocator); err != nil {
			return err
		}
	}
	decoder := transform.NewDecoder(transform.Options{ExportID: export.ExportID})
	defer decoder.Release()
	images := int32(0)
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		page, err := decoder.Decode(body, 0, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := page.NumberImages(memory.DefaultAllocator, images); err != nil {
			return err
		}
		images += int32(len(page.IDs))
		for _, t := range schema.DataTables()[:4] {
			if err := spools[t.Name].Append(page.ByTable(t.Name)); err != nil {
				return err
			}
		}
		page.Release()
	}
	figures := transform.TagPerformances(memory.DefaultAllocator, export.ExportID, nil)
	defer figures.Release()
	if err := spools[schema.TagPerformance.Name].Append(figures); err != nil {
		return err
	}
	var tables []*load.Table
	for _, t := range schema.DataTables() {
		table, err := spools[t.Name].Finish()
		if err != nil {
			return err
		}
		defer table.Close()
		tables = append(tables, table)
	}
	store, err := load.OpenStore(ctx, warehouse)
	if err != nil {
		return err
	}
	defer store.Close()
	prior, err := load.ReadPrior(ctx, store, export.Project, export.Iteration)
	if err != nil {
		return err
	}
	_, err = load.Publish(ctx, store, export, tables, prior)
	return err
}
