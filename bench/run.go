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
	"strings"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

type benchmark struct {
	images, runs int
	pages        simulated.Config
	dir, self    string
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
	head := fmt.Sprintf("%s images of %d predictions and up to %d regions and tags; medians of %d runs, with half the range.\n%s, %d processors, %s, duckdb-go %s, %s.\n\n",
		strings.TrimSpace(fmt.Sprint(b.images)), b.pages.Predictions, b.pages.Regions, b.runs, machine(), runtime.NumCPU(), runtime.Version(), duckDB, time.Now().UTC().Format(time.DateOnly))
	return head + "| | ours | DuckDB | ratio |\n| --- | --- | --- | --- |\n" + strings.Join(b.lines, ""), nil
}

// compare adds a line of two series.
func (b *benchmark) compare(what, unit string, ours, theirs series) {
	b.lines = append(b.lines, fmt.Sprintf("| %s | %s %s | %s %s | %.2f |\n", what, ours, unit, theirs, unit, ours.median()/theirs.median()))
}

// convert is pages on disk to published Parquet, four tables.
func (b *benchmark) convert(ctx context.Context) error {
	var cpu, memory, theirCPU, theirMemory, cpu10, memory10 series
	for range b.runs {
		if err := b.clean("ours.out", "peer.out"); err != nil {
			return err
		}
		ours, err := run(ctx, nil, b.path("ours"), b.path("pages"), b.path("ours.out"))
		if err != nil {
			return err
		}
		theirs, err := run(ctx, nil, b.self, "peer", b.path("pages"), b.path("peer.out"))
		if err != nil {
			return err
		}
		cpu, memory = append(cpu, ours.cpu), append(memory, ours.memory)
		theirCPU, theirMemory = append(theirCPU, theirs.cpu), append(theirMemory, theirs.memory)
	}
	for range max(1, b.runs/2) {
		if err := b.clean("ours10.out"); err != nil {
			return err
		}
		more, err := run(ctx, nil, b.path("ours"), b.path("pages10"), b.path("ours10.out"))
		if err != nil {
			return err
		}
		cpu10, memory10 = append(cpu10, more.cpu), append(memory10, more.memory)
	}
	size, err := parquetBytes(b.path("ours.out"), tables)
	if err != nil {
		return err
	}
	theirSize, err := parquetBytes(b.path("peer.out"), tables)
	if err != nil {
		return err
	}
	b.compare("CPU, pages on disk to published Parquet", "s", cpu, theirCPU)
	b.compare("peak memory", "MiB", memory, theirMemory)
	b.compare("bytes of Parquet", "MB", series{size}, series{theirSize})
	b.lines = append(b.lines,
		fmt.Sprintf("| CPU, 10 times the images | %s s | | %.2f times ours above |\n", cpu10, cpu10.median()/cpu.median()),
		fmt.Sprintf("| peak memory, 10 times the images | %s MiB | | %.2f times ours above |\n", memory10, memory10.median()/memory.median()))
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

// scan is DuckDB reading our files against its own.
func (b *benchmark) scan(ctx context.Context) error {
	took, err := run(ctx, nil, b.self, "scan", fmt.Sprint(3*b.runs), b.path("ours.out"), b.path("peer.out"))
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

// export is the whole export over loopback HTTP, against fetching the pages and
// letting DuckDB have them.
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
		fetched, err := run(ctx, service.env, b.self, "fetch", service.images(), b.path("fetched"))
		if err != nil {
			return err
		}
		theirs, err := run(ctx, nil, b.self, "peer", b.path("fetched"), b.path("peer.out"))
		if err != nil {
			return err
		}
		cpu, memory, theirCPU = append(cpu, ours.cpu), append(memory, ours.memory), append(theirCPU, fetched.cpu+theirs.cpu)
	}
	b.compare("CPU, whole export over loopback HTTP", "s", cpu, theirCPU)
	b.lines = append(b.lines, fmt.Sprintf("| peak memory of it | %s MiB | | |\n", memory))
	return nil
}

// wall is how close to the service's limits an export comes, if every answer takes
// 300 ms and 10 a second are allowed.
func (b *benchmark) wall(ctx context.Context) error {
	const images, allowed = 100_000, 10
	config := b.pages
	config.Kind, config.Images = simulated.Multilabel, images
	ours, err := b.exportOnce(ctx, config, 300*time.Millisecond, allowed)
	if err != nil {
		return err
	}
	ideal := math.Ceil(images/float64(extract.PageSize)) / allowed
	b.lines = append(b.lines, fmt.Sprintf("| wall clock, %d images, 300 ms an answer, %d allowed a second | %.1f s | pages/%d: %.1f s | %.2f |\n", images, allowed, ours.wall, allowed, ideal, ours.wall/ideal))
	return nil
}

// large is an export of ten million predictions with boxes.
func (b *benchmark) large(ctx context.Context) error {
	config := b.pages
	config.Kind, config.Images, config.Predictions = simulated.Detection, 100_000, 100
	ours, err := b.exportOnce(ctx, config, 0, 0)
	if err != nil {
		return err
	}
	b.lines = append(b.lines, fmt.Sprintf("| peak memory, %d images of %d predictions over HTTP | %.0f MiB | | |\n", config.Images, config.Predictions, ours.memory))
	return nil
}

// exportOnce measures one export from a service of its own. allowed is how many
// requests it allows a second; 0: any number.
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
	// The simulated service works out its figures when it is first asked for them,
	// which takes seconds; the real one has them.
	if err := service.warm(ctx); err != nil {
		return usage{}, err
	}
	return service.export(ctx, b, rate)
}
