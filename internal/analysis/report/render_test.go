package report

import "testing"

// A name without anything to see still is something to click on.
func TestVisibleName(t *testing.T) {
	for name, want := range map[string]string{"a": "a", " a ": " a ", "": "(no name)", " \t\u200b\u2029": "(no name)", "\u202ex": `\u202ex`, "a\tb": `a\tb`} {
		if got := visibleName(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}
