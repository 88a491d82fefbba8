package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/program"
)

type serveCommand struct {
	reportFlags
	listen     string
	anyAddress bool
	hosts      []string
}

func newServe() *cobra.Command {
	c := &serveCommand{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the reports of a whole warehouse on this machine",
		Long: `Serve shows the pages of cvreport html for a whole warehouse in a browser on this
machine: its projects, their iterations, and any two compared. A page is made when
it is requested, and again when the warehouse has changed. Nothing is written.
It serves until it is interrupted, and then ends with exit code 0.

Everybody who can reach the address sees everything in the warehouse, so it must be
an address of this machine unless --any-address is given.`,
		Example: `  cvreport serve
  cvreport serve --warehouse s3://my-bucket/vision --listen 127.0.0.1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.add(cmd)
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:8771", "address to serve on, on this machine; port 0 takes a free one")
	f.BoolVar(&c.anyAddress, "any-address", false, "allow an address for --listen that others can reach")
	f.StringSliceVar(&c.hosts, "host", nil, "host `name` that browsers may use, besides localhost and addresses; may be given several times")
	return cmd
}

func (c *serveCommand) run(cmd *cobra.Command) error {
	local, err := program.IsLoopback(c.listen)
	switch {
	case err != nil:
		return query.UsageErrorf("--listen: %w", err)
	case !local && !c.anyAddress:
		return query.UsageErrorf("--listen %q is not on this machine: use 127.0.0.1, or give --any-address", c.listen)
	}
	pictures, err := c.pictures()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	source := c.source(cmd)
	source.MaxAge = time.Minute
	if _, err := source.Prepare(ctx, query.NoFunction); err != nil { // not only when a page is requested
		return err
	}
	errorLog := log.New(program.Messages(cmd.ErrOrStderr()), "cvreport: ", 0)
	site := &report.Site{
		Version: programVersion(), Hosts: c.hosts, Pictures: pictures, Log: errorLog,
		Open: func(ctx context.Context) (*sql.DB, error) { return source.Open(ctx, query.NoFunction) },
	}
	server := &http.Server{Handler: site, ErrorLog: errorLog}
	return program.Serve(ctx, c.listen, server, func(ctx context.Context, url string) error {
		fmt.Fprintf(program.Outlet(cmd.OutOrStdout()), "Reports of %s are at %s/ until this program is interrupted.\n", c.warehouse, url)
		<-ctx.Done()
		return nil
	})
}
