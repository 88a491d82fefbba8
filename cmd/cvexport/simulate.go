package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/internal/simulated"
)

// simulateCommand serves the simulated service.
type simulateCommand struct {
	listen string
	faults []simulated.Fault
	config simulated.Config
}

func newSimulate() *cobra.Command {
	c := &simulateCommand{}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve the simulated service on loopback",
		Long: `Simulate serves the part of the Custom Vision Training API that an export reads,
on this machine only, with made-up images that depend on the seed alone. Other
kinds and tags have ids of their own, so that one warehouse can hold several; with
more images the projects stay the same. It is for trying things out and for tests,
and can inject faults. It serves until it is interrupted; the exit code is then 0.`,
		Example: `  cvexport simulate
  cvexport simulate --kind detection --images 10000 --iterations 5
  cvexport simulate --rate 10 --latency 300ms
  cvexport simulate --fault reset:page=3,times=1 --fault slow:page=5,delay=3s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:8770", "loopback address to serve on; port 0 takes a free one")
	f.Uint64Var(&c.config.Seed, "seed", 1, "seed of the made-up data")
	f.StringVar((*string)(&c.config.Kind), "kind", string(simulated.Multilabel), "multiclass, multilabel or detection")
	f.IntVar(&c.config.Images, "images", 1000, "images of each iteration")
	f.IntVar(&c.config.Tags, "tags", 0, "tags of each project (default depends on the kind)")
	f.IntVar(&c.config.Predictions, "predictions", 0, "predicted boxes of each image, for detection (default depends on the kind)")
	f.IntVar(&c.config.Regions, "regions", 0, "labelled boxes of each image, for detection (default depends on the kind)")
	f.IntVar(&c.config.Projects, "projects", 1, "projects of the resource")
	f.IntVar(&c.config.Iterations, "iterations", 2, "completed iterations of each project")
	f.StringVar(&c.config.Key, "key", "simulated", "training key to require; this one is not a secret")
	f.Float64Var(&c.config.Rate, "rate", 0, "requests a second before it answers 429 (default no limit)")
	f.DurationVar(&c.config.Latency, "latency", 0, "how long each response takes")
	f.Func("fault", "`fault` to inject, as KIND:page=N,times=N; may be given several times", func(text string) error {
		fault, err := simulated.ParseFault(text)
		c.faults = append(c.faults, fault)
		return err
	})
	return cmd
}

func (c *simulateCommand) run(cmd *cobra.Command) error {
	service, err := simulated.New(c.config)
	if err != nil {
		return usageSeeHelp("%w", err)
	}
	for _, fault := range c.faults {
		service.Fault(fault)
	}
	local, err := program.IsLoopback(c.listen)
	switch {
	case err != nil:
		return usage("--listen: %w", err)
	case !local:
		return usage("--listen %q is not on this machine: use 127.0.0.1 or localhost", c.listen)
	}
	return program.Serve(cmd.Context(), c.listen, &http.Server{Handler: service}, func(ctx context.Context, url string) error {
		printBanner(cmd.OutOrStdout(), url, c.config.Key, service)
		<-ctx.Done()
		return nil
	})
}

func printBanner(w io.Writer, url, key string, service *simulated.Service) {
	fmt.Fprintf(w, "export VISION_TRAINING_ENDPOINT=%s VISION_TRAINING_KEY=%s\n", url, key)
	for _, p := range service.Projects() {
		fmt.Fprintf(w, "# project %s (%s)\n", p.ID, p.Name)
		for _, i := range p.Iterations {
			fmt.Fprintf(w, "#   iteration %s (%s, %s, %d images)\n", i.ID, i.Name, i.Status, i.Images)
		}
		fmt.Fprintf(w, "cvexport export --project %s --iteration latest\n", p.ID)
	}
}
