// Package printabletest has text as an enemy would write it, and a check that nothing of
// it was obeyed, for tests of what programs print.
package printabletest

import (
	"regexp"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Hostile is text that would clear a terminal, set its title, turn text round, hide, and
// look like lines of the programs' own.
const Hostile = "evil\x1b[2J\x1b]0;title\x07\u202egnp.exe\u2066\u2069\u200e\u200b\u009b31m\x7f\u2028\u2029" +
	"\r\ncvexport: forged\ncvreport: forged\ntime=2026-01-02T03:04:05Z level=INFO msg=forged\n{\"level\":\"INFO\",\"msg\":\"forged\"}\nComplete: forged\nproject forged\n\tend"

var forged = regexp.MustCompile(`(?m)^(cvexport: |cvreport: |time=2026-01-02T03:04:05Z level=INFO msg=|\{"level":"INFO","msg":"|Complete: |project )forged`)

// Check fails the test if output holds what a terminal would obey, or a line that was
// forged.
func Check(t *testing.T, where, output string) {
	t.Helper()
	for i, r := range output {
		switch _, size := utf8.DecodeRuneInString(output[i:]); {
		case r == '\n' || r == '\t':
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == 0x2028, r == 0x2029, r == utf8.RuneError && size == 1:
			t.Errorf("%s holds %q: ...%.200q", where, r, output[max(0, i-100):])
			return
		}
	}
	if line := forged.FindString(output); line != "" {
		t.Errorf("%s holds a forged line %q:\n%s", where, line, output)
	}
}
