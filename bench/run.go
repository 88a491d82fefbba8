//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

type benchmark struct {
	images, runs int
	pages        simulated.Config
	dir          string
	lines        []string
}

var tables = []string{"images", "predictions", "tags", "regions"}

// run measures everything and returns the table as Markdown.
func (b *benchmark) run(ctx context.Context) (_ string, err error) {
	if b.dir, err = os.MkdirTemp("", "cvexport-bench-*"); err != nil {
		return "", err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(ctx); err != nil {
		return "", err
	}
	for _, step := range []func(context.Context) error{b.convert, b.scan, b.export, b.large, b.wall} {
		if err := step(ctx); err != nil {
			return "", err
		}
	}
	duckDB := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if strings.HasSuffix(d.Path, "/duckdb-go/v2") {
				duckDB = d.Version
			}
		}
	}
	head := fmt.Sprintf("%d images of %d predictions and up to %d regions and tags; medians of %d runs, with half the range.\n%s, %d processors, %s, duckdb-go %s, %s.\n\n",
		b.images, b.pages.Predictions, b.pages.Regions, b.runs, machine(), runtime.NumCPU(), runtime.Version(), duckDB, time.Now().UTC().Format(time.DateOnly))
	return head + "| | ours | DuckDB | ratio | Polars | ratio |\n| --- | --- | --- | --- | --- | --- |\n" + strings.Join(b.lines, ""), nil
}

// compare adds a line with our values and those of each peer that has any.
func (b *benchmark) compare(what, unit string, ours series, peers ...series) {
	cells := []string{what, fmt.Sprintf("%s %s", ours, unit)}
	for _, theirs := range peers {
		cells = append(cells, fmt.Sprintf("%s %s", theirs, unit), fmt.Sprintf("%.2f", ours.median()/theirs.median()))
	}
	b.line(cells...)
}

func (b *benchmark) line(cells ...string) {
	for len(cells) < 6 {
		cells = append(cells, "")
	}
	b.lines = append(b.lines, "| "+strings.Join(cells, " | ")+" |\n")
}

// convert measures converting pages on disk to published Parquet, four tables.
func (b *benchmark) convert(ctx context.Context) error {
	converters := []struct {
		runs       int
		pages, out string
		program    []string
	}{
		{b.runs, "pages", "ours.out", []string{b.path("ours")}},
		{b.runs, "pages", "peer.out", []string{b.path("bench"), "peer"}},
		{b.runs, "pages", "polars.out", []string{"node", "bench/polars/flatten.js"}},
		{max(1, b.runs/2), "pages10", "ours10.out", []string{b.path("ours")}},
	}
	var cpu, memory, size [4]series
	for n := range b.runs {
		for i, c := range converters {
			if n >= c.runs {
				continue
			}
			if err := b.clean(c.out); err != nil {
				return err
			}
			took, err := run(ctx, nil, c.program[0], slices.Concat(c.program[1:], []string{b.path(c.pages), b.path(c.out)})...)
			if err != nil {
				return err
			}
			bytes, err := parquetBytes(b.path(c.out), tables)
			if err != nil {
				return err
			}
			cpu[i], memory[i], size[i] = append(cpu[i], took.cpu), append(memory[i], took.memory), append(size[i], bytes)
		}
	}
	b.compare("CPU, pages on disk to published Parquet", "s", cpu[0], cpu[1:3]...)
	b.compare("peak memory", "MiB", memory[0], memory[1:3]...)
	b.compare("bytes of Parquet", "MB", size[0], size[1:3]...)
	b.line("CPU, 10 times the images", fmt.Sprintf("%s s", cpu[3]), "", fmt.Sprintf("%.2f times ours above", cpu[3].median()/cpu[0].median()))
	b.line("peak memory, 10 times the images", fmt.Sprintf("%s MiB", memory[3]), "", fmt.Sprintf("%.2f times ours above", memory[3].median()/memory[0].median()))
	return nil
}

func (b *benchmark) clean(names ...string) error {
	for _, name := range names {
		if err := os.RemoveAll(b.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// scan measures DuckDB reading our files and its own.
func (b *benchmark) scan(ctx context.Context) error {
	took, err := run(ctx, nil, b.path("bench"), "scan", fmt.Sprint(3*b.runs), b.path("ours.out"), b.path("peer.out"))
	if err != nil {
		return err
	}
	var times [][]series
	if err := json.Unmarshal(took.stdout, &times); err != nil {
		return err
	}
	for q, question := range scans {
		b.compare("DuckDB's scan: "+question.name, "ms", times[0][q], times[1][q])
	}
	return nil
}

// export measures the whole export over loopback HTTP, and fetching the pages and
// converting them with DuckDB.
func (b *benchmark) export(ctx context.Context) error {
	config := b.pages
	config.Kind, config.Images = simulated.Detection, b.images
	service, err := b.serve(ctx, config, 0, 0)
	if err != nil {
		return err
	}
	defer service.stop()
	var cpu, memory, theirCPU series
	for range b.runs {
		if err := b.clean("export.out", "fetched", "peer.out"); err != nil {
			return err
		}
		ours, err := service.export(ctx, b, "10000")
		if err != nil {
			return err
		}
		fetched, err := run(ctx, service.env, b.path("bench"), "fetch", service.performance()+"/images", b.path("fetched"))
		if err != nil {
			return err
		}
		theirs, err := run(ctx, nil, b.path("bench"), "peer", b.path("fetched"), b.path("peer.out"))
		if err != nil {
			return err
		}
		cpu, memory, theirCPU = append(cpu, ours.cpu), append(memory, ours.memory), append(theirCPU, fetched.cpu+theirs.cpu)
	}
	b.compare("CPU, whole export over loopback HTTP", "s", cpu, theirCPU)
	b.line("peak memory of it", fmt.Sprintf("%s MiB", memory))
	return nil
}

// wall measures how close to the service's limits an export comes, if every answer
// takes 300 ms and 10 per second are allowed.
func (b *benchmark) wall(ctx context.Context) error {
	const images, allowed = 100_000, 10
	config := b.pages
	config.Kind, config.Images = simulated.Multilabel, images
	ours, err := b.exportOnce(ctx, config, 300*time.Millisecond, allowed)
	if err != nil {
		return err
	}
	ideal := math.Ceil(images/float64(extract.PageSize)) / allowed
	b.line(fmt.Sprintf("wall clock, %d images, 300 ms an answer, %d allowed a second", images, allowed),
		fmt.Sprintf("%.1f s", ours.wall), fmt.Sprintf("pages/%d: %.1f s", allowed, ideal), fmt.Sprintf("%.2f", ours.wall/ideal))
	return nil
}

// large measures an export of ten million predictions with boxes.
func (b *benchmark) large(ctx context.Context) error {
	config := b.pages
	config.Kind, config.Images, config.Predictions = simulated.Detection, 100_000, 100
	ours, err := b.exportOnce(ctx, config, 0, 0)
	if err != nil {
		return err
	}
	b.line(fmt.Sprintf("peak memory, %d images of %d predictions over HTTP", config.Images, config.Predictions), fmt.Sprintf("%.0f MiB", ours.memory))
	return nil
}

// exportOnce measures one export from a new service. allowed limits its requests per
// second; 0 means no limit.
func (b *benchmark) exportOnce(ctx context.Context, config simulated.Config, latency time.Duration, allowed int) (usage, error) {
	service, err := b.serve(ctx, config, latency, allowed)
	if err != nil {
		return usage{}, err
	}
	defer service.stop()
	if err := b.clean("export.out"); err != nil {
		return usage{}, err
	}
	rate := "10000"
	if allowed > 0 {
		rate = fmt.Sprint(allowed)
	}
	// The simulated service computes its figures on the first request for them, which
	// takes seconds. The real service has them ready.
	if err := service.warm(ctx); err != nil {
		return usage{}, err
	}
	return service.export(ctx, b, rate)
}
