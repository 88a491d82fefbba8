package program

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"
)

// Version returns the version of the program: what the linker has set for a release,
// or else that of the module.
func Version(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// build says what a program was made of. What its builder did not record is empty.
type build struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"` // of the commit
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	DuckDB   string `json:"duckdb"` // empty in a program without it
	Arrow    string `json:"arrow"`
}

// NewVersion returns the command version of a program. duckDB, which asks for DuckDB's
// version, is nil in a program without it.
func NewVersion(program, linked string, duckDB func(context.Context) (string, error)) *cobra.Command {
	output := "text"
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say the version, and what the program was built from",
		Example: "  " + program + ` version
  ` + program + ` version --output json                           # for a report of an error`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			b := build{Program: program, Version: Version(linked), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Arrow: arrow.PkgVersion}
			if info, ok := debug.ReadBuildInfo(); ok {
				b.read(info.Settings)
			}
			if duckDB != nil {
				if b.DuckDB, err = duckDB(cmd.Context()); err != nil {
					return fmt.Errorf("asking DuckDB for its version: %w", err)
				}
			}
			return b.print(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().Func("output", "`format` of the result: text or json (default text)", func(text string) error {
		if output = text; text != "text" && text != "json" {
			return errors.New("want text or json")
		}
		return nil
	})
	return cmd
}

func (b *build) read(settings []debug.BuildSetting) {
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
}

func (b *build) print(w io.Writer, output string) error {
	if output == "json" {
		body, err := json.MarshalIndent(b, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", body)
		}
		return err
	}
	commit := cmp.Or(b.Commit, "unknown")
	if b.Modified {
		commit += ", modified"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s\ncommit\t%s\ndate\t%s\nGo\t%s %s\n", b.Program, b.Version, commit, cmp.Or(b.Date, "unknown"), b.Go, b.Platform)
	if b.DuckDB != "" {
		fmt.Fprintf(t, "DuckDB\t%s\n", b.DuckDB)
	}
	fmt.Fprintf(t, "Arrow\t%s\n", b.Arrow)
	return t.Flush()
}
