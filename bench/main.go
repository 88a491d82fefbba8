//go:build unix

// Command bench compares cvexport with the obvious alternative: a script that saves the
// pages and flattens them with DuckDB or Polars. All process the same pages, in turn, in
// one run. It prints a table of ratios, and writes it to a file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"

	"github.com/cvexport/cvexport/internal/simulated"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs the benchmark, or one of its parts that run in their own process.
func command(ctx context.Context, args []string) error {
	if len(args) > 2 {
		switch args[0] {
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

// prepare writes the pages and builds the programs.
func (b *benchmark) prepare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	npm := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = "bench/polars"
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("installing Polars with npm, which has it for Linux on x86-64: %w\n%s", err, out)
	}
	for name, images := range map[string]int{"pages": b.images, "pages10": 10 * b.images} {
		if err := writePages(filepath.Join(b.dir, name), images, b.pages); err != nil {
			return err
		}
	}
	for name, folder := range map[string]string{"ours": "./bench/ours", "cvexport": "./cmd/cvexport"} {
		built := b.path(name + ".built")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "disable_grpc_modules,grpcnotrace", "-o", built, folder)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return errors.Join(err, errors.New(string(out)))
		}
		if err := install(built, b.path(name)); err != nil {
			return err
		}
	}
	b.self = b.path("bench")
	return install(self, b.self)
}

// install copies a program. The linker leaves it in the page cache in such large pieces
// that up to 10 MiB more would count as memory of its process. It is not read as a
// whole, because this process's memory counts towards the peak of those it starts.
func install(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	const executable = 0o755
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, executable)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (b *benchmark) path(name string) string { return filepath.Join(b.dir, name) }
