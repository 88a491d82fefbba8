package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/report"
)

// serveCommand serves reports.
type serveCommand struct {
	reportCommand
	listen     string
	anyAddress bool
	hosts      []string
}

func newServe() *cobra.Command {
	c := &serveCommand{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the reports of a whole warehouse on this machine",
		Long: `Serve shows the pages of cvreport html over a whole warehouse in a browser on this
machine: its projects, their iterations, and any two compared. A page is made when
it is asked for, and made anew when the warehouse has changed. Nothing is written.
It serves until it is interrupted, which is its good end: exit code 0.

Whoever reaches the address sees everything in the warehouse, so it is one of this
machine unless --any-address insists.`,
		Example: `  cvreport serve
  cvreport serve --warehouse s3://my-bucket/vision --listen 127.0.0.1:9000`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:8771", "address to serve on, on this machine; port 0 takes a free one")
	f.BoolVar(&c.anyAddress, "any-address", false, "let --listen be an address that others reach")
	f.StringSliceVar(&c.hosts, "host", nil, "name that browsers call it by, besides localhost and addresses; may be given several times")
	return cmd
}

func (c *serveCommand) run(cmd *cobra.Command) error {
	host, _, err := net.SplitHostPort(c.listen)
	if err != nil {
		return &usageError{fmt.Errorf("--listen %q is not host:port: %w", c.listen, err)}
	}
	if ip := net.ParseIP(host); !c.anyAddress && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return &usageError{fmt.Errorf("--listen %q is not on this machine: use 127.0.0.1, or insist with --any-address", c.listen)}
	}
	pictures, err := c.pictures()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	from := &opener{source: &c.source, stderr: cmd.ErrOrStderr()}
	if _, err := from.folder(ctx); err != nil { // rather than when a page is asked for
		return err
	}
	errorLog := log.New(cmd.ErrOrStderr(), "cvreport: ", 0)
	site := &report.Site{Version: programVersion(), Hosts: c.hosts, Open: from.open, Pictures: pictures, Log: errorLog}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("serving reports: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Reports of %s are at http://%s/ until it is interrupted.\n", c.warehouse, listener.Addr())
	return serve(ctx, listener, site, errorLog)
}

// serve serves until ctx ends, and then lets what is asked for finish, for a while.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, errorLog *log.Logger) error {
	server := &http.Server{
		Handler: handler, ErrorLog: errorLog,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving reports: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(late)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
