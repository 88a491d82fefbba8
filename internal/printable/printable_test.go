package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for s, want := range map[string]string{
		"":              "",
		"a\tb\nc":       "a\tb\nc",
		"猫 спутник été": "猫 спутник été",
		"שלום مرحبا हिन्दी ไทย 🐈\ufe0f": "שלום مرحبا हिन्दी ไทย 🐈\ufe0f",
		"1\u00a0000\u202f%":            "1\u00a0000\u202f%",
		"\x1b[31mred\x1b]0;t\a":        `\u001b[31mred\u001b]0;t\u0007`,
		"a\rb\r\n\x00\x7f\b":           `a\rb\r` + "\n" + `\u0000\u007f\u0008`,
		"\u009b31m\u0085":              `\u009b31m\u0085`,
		"\u202egpj.exe\u202c":          `\u202egpj.exe\u202c`,
		"\u2066a\u2069\u200e\u200f":    `\u2066a\u2069\u200e\u200f`,
		"a\u2028b\u2029c\u200bd\ufeff": `a\u2028b\u2029c\u200bd\ufeff`,
		"\xff\x9b1m":                   `\xff\x9b1m`,
		"\xe7\x8c":                     `\xe7\x8c`,
		"می\u200cخواهم 👩\u200d🔬":       "می\u200cخواهم 👩\u200d🔬",
		"pay\u200cpal\u200d":           `pay\u200cpal\u200d`,
		"\U000e0041":                   `\udb40\udc41`,
		"\ufffd":                       "\ufffd",
	} {
		if got := Text(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got, want := Line("a\nb\tc\r"), `a\nb\tc\r`; got != want {
		t.Errorf("Line: %q, want %q", got, want)
	}
	if got, want := Message("a\nlevel=INFO msg=b\n"), "a\n  level=INFO msg=b"; got != want {
		t.Errorf("Message: %q, want %q", got, want)
	}
}

// FuzzText: nothing that a terminal obeys is left, what prints stays, and a JSON text stays
// the same; [JSON] shows what does not print.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"a\nb", "\x1b[1m", "\u202e", "\xff", "می\u200cخ", "\U000e0041"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if bad := strings.IndexFunc(got, func(r rune) bool {
			return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029
		}); bad >= 0 || !utf8.ValidString(got) {
			t.Errorf("%q: %q", s, got)
		}
		if Text(got) != got || Line(Line(s)) != Line(s) || strings.Contains(Line(s), "\n") {
			t.Errorf("%q: again it is another", s)
		}
		body, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if json.Unmarshal(body, &before) != nil || json.Unmarshal([]byte(Text(string(body))), &after) != nil || before != after {
			t.Errorf("%q: the JSON %s is another: %s", s, body, Text(string(body)))
		}
		var shown string
		if err := json.Unmarshal([]byte(JSON(string(body))), &shown); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		for _, r := range shown {
			if unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%q shows as %q", s, shown)
			}
		}
	})
}
