//go:build unix

// Command bench compares cvexport with the obvious alternative: a script that saves the
// pages and flattens them with DuckDB or Polars. All process the same pages, in turn, in
// one run. It prints a table of ratios, and writes it to a file. Bench queries does so
// with what cvreport's questions cost over archives of many iterations.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/internal/simulated"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs the benchmark, or one of its parts that run in their own process.
func command(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "queries" {
		return benchQueries(ctx, args[1:])
	}
	if len(args) > 2 {
		switch args[0] {
		case "archive":
			return prepareArchive(ctx, args[1], args[2])
		case "native":
			return native(ctx, args[1], args[2])
		case "peer":
			return peer(ctx, args[1], args[2])
		case "fetch":
			return fetch(ctx, args[1], args[2])
		case "scan":
			runs, err := strconv.Atoi(args[1])
			if err != nil {
				return err
			}
			return scan(ctx, runs, args[2:])
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := benchmark{pages: simulated.Config{Seed: 1, Tags: 40, Predictions: 40, Regions: 5}}
	flags.IntVar(&b.images, "images", 10_240, "images of the page set")
	flags.IntVar(&b.runs, "runs", 5, "runs of each, of which the median counts")
	results := flags.String("o", "bench/results.md", "file to write the table to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %s", flags.Arg(0))
	}
	table, err := b.run(ctx)
	if err != nil {
		return err
	}
	fmt.Print(table)
	return os.WriteFile(*results, []byte(table), 0o644)
}

func benchQueries(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench queries", flag.ContinueOnError)
	sizes := []int{20, 200, 2000}
	flags.Func("iterations", "sizes of the archives, such as 20,200,2000,20000", func(text string) error {
		sizes = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 || n > 1<<16 {
				return fmt.Errorf("%q is not a number from 1 to 65536", word)
			}
			sizes = append(sizes, n)
		}
		return nil
	})
	runs := flags.Int("runs", 5, "runs of each, of which the least counts")
	results := flags.String("o", "bench/queries.md", "file to write the table to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	table, err := queries(ctx, sizes, *runs)
	if err != nil {
		return err
	}
	fmt.Print(table)
	return os.WriteFile(*results, []byte(table), 0o644)
}

// prepare writes the pages and builds the programs.
func (b *benchmark) prepare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := run(ctx, nil, "npm", "install", "--prefix", "bench/polars", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"); err != nil {
		return fmt.Errorf("installing Polars with npm, which has it for Linux on x86-64: %w", err)
	}
	for name, images := range map[string]int{"pages": b.images, "pages10": 10 * b.images} {
		if err := writePages(b.path(name), images, b.pages); err != nil {
			return err
		}
	}
	programs := map[string]string{"bench": self}
	for name, folder := range map[string]string{"ours": "./bench/ours", "cvexport": "./cmd/cvexport"} {
		programs[name] = b.path(name + ".built")
		_, err := run(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-tags", "disable_grpc_modules,grpcnotrace", "-o", programs[name], folder)
		if err != nil {
			return err
		}
	}
	// The linker leaves a program in the page cache in such large pieces that up to 10 MiB
	// more would count as memory of its process. A copy does not have them.
	for name, built := range programs {
		if _, err := run(ctx, nil, "cp", built, b.path(name)); err != nil {
			return err
		}
	}
	return nil
}

func (b *benchmark) path(name string) string { return filepath.Join(b.dir, name) }
