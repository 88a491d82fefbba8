package patience

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzParseAfter: a wait that is read is a number or a date, and never negative by overflow.
func FuzzParseAfter(f *testing.F) {
	for _, seed := range []string{"1", "1.5", "86400", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", "1e9", "0x10", ".5", "Inf", "NaN"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wait := ParseAfter(text, time.Second, time.Unix(0, 0))
		_, dateErr := http.ParseTime(text)
		if digits := text != "" && strings.Trim(text, "0123456789.") == ""; dateErr != nil && (wait < 0 || wait > 0 && !digits) {
			t.Errorf("%q is read as %s", text, wait)
		}
		if wait > math.MaxInt64-1 && len(text) < 9 {
			t.Errorf("%q is read as %s", text, wait)
		}
	})
}
