package schema

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2020-02-11T16:43:08.98791":      "2020-02-11T16:43:08.98791Z",
		"2020-02-11T16:43:09.1094547":    "2020-02-11T16:43:09.109454Z",
		"2020-02-11T16:38:19.95Z":        "2020-02-11T16:38:19.95Z",
		"2020-02-11T16:38:19":            "2020-02-11T16:38:19Z",
		"2020-02-11T16:38:19z":           "2020-02-11T16:38:19Z",
		"2020-02-11t16:38:19.123456789Z": "2020-02-11T16:38:19.123456Z",
		"2020-02-11T16:38:19.5+05:30":    "2020-02-11T11:08:19.5Z",
		"2020-02-11T16:38:19-08:00":      "2020-02-12T00:38:19Z",
		"1969-12-31T23:59:59.999999":     "1969-12-31T23:59:59.999999Z",
		"0001-01-01T00:00:00":            "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.9999999":    "9999-12-31T23:59:59.999999Z",
		"2020-02-29T00:00:00":            "2020-02-29T00:00:00Z",
		"":                               "",
		"2020-02-11":                     "",
		"2020-02-11 16:38:19":            "",
		"2020-02-30T00:00:00":            "",
		"2019-02-29T00:00:00":            "",
		"2020-13-01T00:00:00":            "",
		"2020-00-01T00:00:00":            "",
		"2020-01-00T00:00:00":            "",
		"2020-01-01T24:00:00":            "",
		"2020-01-01T00:60:00":            "",
		"2016-12-31T23:59:60":            "",
		"2020-01-01T00:00:00.":           "",
		"2020-01-01T00:00:00.1234567890": "2020-01-01T00:00:00.123456Z",
		"2020-01-01T00:00:00.12x":        "",
		"2020-01-01T00:00:00+0530":       "",
		"2020-01-01T00:00:00+25:00":      "",
		"2020-01-01T00:00:00ZZ":          "",
		"+020-01-01T00:00:00":            "",
		"20 0-01-01T00:00:00":            "",
	} {
		got, err := ParseTime(in)
		switch {
		case want == "" && err == nil:
			t.Errorf("ParseTime(%q) = %d", in, got)
		case want != "" && (err != nil || time.UnixMicro(got).UTC().Format(time.RFC3339Nano) != want):
			t.Errorf("ParseTime(%q) = %s, %v; want %s", in, time.UnixMicro(got).UTC().Format(time.RFC3339Nano), err, want)
		}
	}
}

// FuzzParseTime: what is taken means what the standard library says it means.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2020-02-11T16:43:08.98791", "2020-02-11T16:38:19.95Z", "2020-02-11T16:38:19.5+05:30", "2020-02-30T00:00:00", "0000-01-01T00:00:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTime(s)
		if err != nil {
			return
		}
		upper := []byte(s)
		for i, c := range upper {
			if c == 't' || c == 'z' {
				upper[i] = c - 'a' + 'A'
			}
		}
		at, err := time.Parse("2006-01-02T15:04:05.999999999Z07:00", string(upper))
		if err != nil {
			at, err = time.Parse("2006-01-02T15:04:05.999999999", string(upper))
		}
		if err != nil || at.UnixMicro() != got {
			t.Errorf("ParseTime(%q) = %d, want %d, %v", s, got, at.UnixMicro(), err)
		}
	})
}
