package program

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/cvexport/cvexport/patience"
)

// Patience has the flags that bound how long to wait for a server.
type Patience struct {
	bounds patience.Bounds
}

// Add adds the flags.
func (p *Patience) Add(flags *pflag.FlagSet) {
	flags.Func("stall-timeout", fmt.Sprintf("end a try when no byte has moved either way for this `duration` (default %s)", patience.DefaultStall), above0(&p.bounds.Stall))
	flags.Func("give-up-after", fmt.Sprintf("try an operation again for this `duration` since its first failure, and wait for no server that asks for longer (default %s)", patience.DefaultGiveUp), above0(&p.bounds.GiveUp))
	flags.Func("retries", "try an operation again at most this `number` of times (default: as often as --give-up-after allows)", func(text string) error {
		const most = 1000
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > most {
			return fmt.Errorf("want a number from 0 to %d", most)
		}
		if p.bounds.Retries = n; n == 0 {
			p.bounds.Retries = -1
		}
		return nil
	})
	for old, now := range map[string]string{"longest-wait": "--give-up-after", "request-timeout": "--stall-timeout"} {
		flags.Func(old, "", func(string) error { return errors.New("it has been replaced: use " + now) })
		flags.Lookup(old).Hidden = true
	}
}

func above0(d *time.Duration) func(string) error {
	return func(text string) error {
		parsed, err := time.ParseDuration(text)
		if err != nil || parsed <= 0 {
			return errors.New("want a duration above 0, such as 90s or 15m")
		}
		*d = parsed
		return nil
	}
}

// Brief is the patience of a person who waits for an answer.
func Brief() Patience {
	const giveUp = 15 * time.Second
	return Patience{bounds: patience.Bounds{GiveUp: giveUp}}
}

// Bounds are what the flags say. log, which may be nil, is told of each failure that is
// tried again.
func (p *Patience) Bounds(log *slog.Logger) patience.Bounds {
	b := p.bounds
	b.Log = log
	return b
}
