package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/ping"
)

func (c *common) addPing(cmd *cobra.Command) {
	from := ""
	if cmd.Name() == nightlyName {
		from = " (default CVEXPORT_PING, or the configuration's ping)"
	}
	f := cmd.Flags()
	f.StringVar(&c.Ping, "ping", "", "`URL` of a monitor to tell when the run begins and how it ended, as healthchecks.io takes it; others who use the machine can read it here"+from)
	f.StringVar(&c.PingFile, "ping-file", "", "file that holds the URL for --ping")
}

// nightlyName is the command whose monitor the environment and the configuration may name.
const nightlyName = "nightly"

type monitorKey struct{}

// withMonitor returns the context of a command that tells a monitor of its run.
func withMonitor(ctx context.Context, told *ping.Run) context.Context {
	return context.WithValue(ctx, monitorKey{}, told)
}

// tellBegin tells the monitor, if there is one, that the command begins. The error says
// that the monitor's address cannot be used.
func (c *common) tellBegin(cmd *cobra.Command) error {
	told, _ := cmd.Context().Value(monitorKey{}).(*ping.Run)
	if told == nil || !tells(cmd) {
		return nil
	}
	to, err := c.Monitor(cmd.Name() == nightlyName)
	if err != nil || to == nil {
		return err
	}
	told.Begin(cmd.Context(), to, userAgent())
	return nil
}

// tells reports whether a command tells a monitor of its runs. A dry run is none.
func tells(cmd *cobra.Command) bool {
	f := cmd.Flags()
	dry := f.Lookup("dry-run")
	return f.Lookup("ping") != nil && (dry == nil || dry.Value.String() != "true")
}

// tellPanic, deferred, tells the monitor of a command that panics, which it lets pass.
func tellPanic(ctx context.Context, told *ping.Run, ended *bool) {
	if !*ended {
		_ = told.End(ctx, fmt.Sprintf("exit code %d: a bug; the program's standard error says more", exitAborted)) // which is about to be said
	}
}

// tellEnd tells the monitor how the command ended; failure is empty if it is done. A command
// whose flags were wrong has not begun: its monitor is sought in what was understood of them.
// The error says that the monitor could not be told.
func tellEnd(ctx context.Context, told *ping.Run, cmd *cobra.Command, failure string) error {
	if told.Begun() || failure == "" || !tells(cmd) {
		return told.End(ctx, failure)
	}
	text := func(flag string) string { return cmd.Flags().Lookup(flag).Value.String() }
	flags := config.Flags{File: text("config"), Ping: text("ping"), PingFile: text("ping-file")}
	to, err := flags.Monitor(cmd.Name() == nightlyName)
	if err != nil || to == nil {
		return nil // the command says so itself
	}
	return told.Fail(ctx, to, userAgent(), failure)
}
