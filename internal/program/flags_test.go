package program

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestFlagError(t *testing.T) {
	for args, want := range map[string]string{
		"--rate=fast":     `--rate "fast" is not a number`,
		"--rate=1e999":    `--rate "1e999" is too large`,
		"--pages=1.5":     `--pages "1.5" is not a whole number`,
		"--wait=5":        `--wait "5" is not a duration such as 90s, 15m or 2h`,
		"--wait=5 m":      `--wait "5 m" is not a duration such as 90s, 15m or 2h`,
		"--quiet=perhaps": `--quiet "perhaps" is not true or false`,
		"--odd=x":         `invalid argument "x" for "--odd" flag: it is odd`,
		"--unknown":       `unknown flag: --unknown`,
	} {
		cmd := &cobra.Command{SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
		cmd.SetFlagErrorFunc(FlagError)
		cmd.Flags().Float64("rate", 1, "")
		cmd.Flags().Int("pages", 1, "")
		cmd.Flags().Duration("wait", time.Minute, "")
		cmd.Flags().Bool("quiet", false, "")
		cmd.Flags().Func("odd", "", func(string) error { return errors.New("it is odd") })
		cmd.SetArgs([]string{args})
		if err := cmd.Execute(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
		if err := FlagError(cmd, errors.New("else")); !strings.Contains(err.Error(), "else") {
			t.Error(err)
		}
	}
}
