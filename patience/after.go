package patience

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// waitHeaders are those in which a server says how long to wait, in the order in which
// they count, with the unit of their numbers. The first two are Azure's.
var waitHeaders = []struct {
	name string
	unit time.Duration
}{{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}}

// After returns how long the first of these headers asks to wait: 0 if there is none, it
// cannot be read, or its time is over. Text is how it is written.
func After(h http.Header) (wait time.Duration, text string) {
	now := time.Now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date // the server's clock, against which it reckons
	}
	for _, header := range waitHeaders {
		if text := strings.TrimSpace(h.Get(header.name)); text != "" {
			return max(ParseAfter(text, header.unit, now), 0), text
		}
	}
	return 0, ""
}

var number = regexp.MustCompile(`^\d+(\.\d+)?$`)

// ParseAfter reads a number of units, also a fraction, or a date as HTTP writes it. It
// returns 0 for what is neither.
func ParseAfter(text string, unit time.Duration, now time.Time) time.Duration {
	if number.MatchString(text) {
		n, err := strconv.ParseFloat(text, 64)
		const longest = float64(math.MaxInt64)
		if n *= float64(unit); err != nil || n >= longest {
			return math.MaxInt64
		}
		return time.Duration(n)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return at.Sub(now)
}
