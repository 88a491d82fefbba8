package schema

import (
	"fmt"
	"strings"
	"time"
)

// ParseTime parses a time as the service writes it: RFC 3339, or the same without a
// zone, which means UTC. Images, tags and regions have no zone, iterations and projects
// have a Z. Fractions are cut off after microseconds, like in DuckDB and BigQuery. The
// result is in microseconds since 1970-01-01T00:00:00Z. It is in the years 1 to 9999, which
// is what BigQuery's TIMESTAMP holds; .NET's least date, 0001-01-01, is the first of them.
func ParseTime[S ~string | ~[]byte](s S) (int64, error) {
	const date = len("2006-01-02")
	text := strings.ToUpper(string(s))
	if len(text) > date && !strings.ContainsAny(text[date:], "Z+-") {
		text += "Z"
	}
	t, err := time.Parse(time.RFC3339, text)
	if year := t.UTC().Year(); err != nil || year < 1 || year > 9999 {
		return 0, fmt.Errorf("%s is not a time (want 2020-02-11T16:43:08.98791, with or without a zone)", clip(s))
	}
	return t.UnixMicro(), nil
}
