package schema

import (
	"fmt"
	"time"
)

// ParseTime parses a time as the service writes it: RFC 3339, or the same without a
// zone, which means UTC. Images, tags and regions have no zone, iterations and projects
// have a Z. Fractions have up to 9 digits, and are cut off after microseconds, like in
// DuckDB and BigQuery. The result is in microseconds since 1970-01-01T00:00:00Z.
func ParseTime[S ~string | ~[]byte](s S) (int64, error) {
	micros, ok := parseTime(s)
	if !ok {
		return 0, fmt.Errorf("%s is not a time (want 2020-02-11T16:43:08.98791, with or without a zone)", clip(s))
	}
	return micros, nil
}

func parseTime[S ~string | ~[]byte](s S) (int64, bool) {
	const seconds = len("2006-01-02T15:04:05")
	if len(s) < seconds || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't') || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || hour > 23 || minute > 59 || second > 59 || month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	date := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if date.Day() != day { // time.Date turns 30 February into 1 March
		return 0, false
	}
	s = s[seconds:]
	micros := date.Unix() * 1e6
	if len(s) > 0 && s[0] == '.' {
		n := 1
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n == 1 || n > 10 {
			return 0, false
		}
		for i, scale := 1, int64(1e5); i < n && scale > 0; i, scale = i+1, scale/10 {
			micros += int64(s[i]-'0') * scale
		}
		s = s[n:]
	}
	switch {
	case len(s) == 0, len(s) == 1 && (s[0] == 'Z' || s[0] == 'z'):
		return micros, true
	case len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':':
		hours, ok1 := digits(s[1:3])
		minutes, ok2 := digits(s[4:6])
		if !ok1 || !ok2 || hours > 23 || minutes > 59 {
			return 0, false
		}
		offset := int64(hours*60+minutes) * 60e6
		if s[0] == '-' {
			offset = -offset
		}
		return micros - offset, true
	}
	return 0, false
}

func digits[S ~string | ~[]byte](s S) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
