package program

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// kinds are what the flags of each type take.
var kinds = map[string]string{
	"int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false",
	"duration": "a duration such as 90s, 15m or 2h",
}

// FlagError says which value a flag takes, in place of what Go's parser says of the one it
// was given. It is for [cobra.Command.SetFlagErrorFunc].
func FlagError(_ *cobra.Command, err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok || kinds[wrong.GetFlag().Value.Type()] == "" {
		return err
	}
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("--%s %q is too large", wrong.GetFlag().Name, wrong.GetValue())
	}
	return fmt.Errorf("--%s %q is not %s", wrong.GetFlag().Name, wrong.GetValue(), kinds[wrong.GetFlag().Value.Type()])
}
