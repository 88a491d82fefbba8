package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/site"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/secret"
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

It answers only who has the address that it prints, which has a secret token in it:
open that address in a browser. Who has it sees everything in the warehouse.
Nothing is encrypted, so it must be an address of this machine unless --any-address
is given.`,
		Example: `  cvreport serve
  cvreport serve --warehouse s3://my-bucket/vision --listen 127.0.0.1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.add(cmd)
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:8771", "address to serve on, on this machine; port 0 takes a free one, as is done if nothing is given and the port is in use")
	f.BoolVar(&c.anyAddress, "any-address", false, "allow an address for --listen that others can reach")
	f.StringSliceVar(&c.hosts, "host", nil, "host `name` or address that browsers may use, besides this machine's own; may be given several times")
	return cmd
}

func (c *serveCommand) run(cmd *cobra.Command) (err error) {
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
	source, temp, err := c.source(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	source.MaxAge = time.Minute
	if _, err := source.Prepare(ctx, query.NoFunction); err != nil { // not only when a page is requested
		return err
	}
	errorLog := log.New(program.Messages(cmd.ErrOrStderr()), "cvreport: ", 0)
	guard := site.NewGuard(c.hosts...)
	if host, _, err := net.SplitHostPort(c.listen); err == nil {
		guard.Hosts = append(guard.Hosts, host)
	}
	pages := &site.Site{
		Version: programVersion(), Guard: guard, Pictures: pictures, PictureMemory: c.pictureMemory, Log: errorLog,
		Open: source.Open, Explain: source.Explain,
	}
	serve := func(address string) error {
		server := &http.Server{Handler: pages, ErrorLog: errorLog}
		return program.Serve(ctx, address, server, func(ctx context.Context, url string) error {
			// The token is for who reads this.
			fmt.Fprintf(program.Raw(cmd.OutOrStdout()), "Reports of %s are at %s%s until this program is interrupted.\n", printable.Line(secret.Redact(c.warehouse)), url, guard.Path())
			<-ctx.Done()
			return nil
		})
	}
	err = serve(c.listen)
	if errors.Is(err, syscall.EADDRINUSE) && !cmd.Flags().Changed("listen") { // by somebody else, perhaps
		err = serve("127.0.0.1:0")
	}
	return err
}
