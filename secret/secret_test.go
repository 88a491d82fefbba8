package secret

import (
	"os"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	key  = "0123456789abcdef0123456789abcdef"
	name = "VISION_TRAINING_KEY"
)

// wide is a text in UTF-16, with or without a mark.
func wide(text string, big bool) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		if big {
			b = append(b, byte(unit>>8), byte(unit))
		} else {
			b = append(b, byte(unit), byte(unit>>8))
		}
	}
	return string(b)
}

// What editors, shells and container runtimes leave around a key is not a part of it.
func TestText(t *testing.T) {
	for _, file := range []string{"key-with-bom.txt", "key-utf16.txt", "key-name-value.txt"} {
		raw, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Text(raw, name); got != key || err != nil {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	for raw, want := range map[string]string{
		key: key, key + "\n": key, " \t" + key + "\r\n\r\n": key, `"` + key + `"`: key, "'" + key + "'\n": key, "`" + key + "`": key, `" ` + key + ` "`: key,
		"\ufeff" + key: key, "\ufeff\"" + key + "\"\r\n": key,
		wide("\ufeff"+key+"\r\n", false): key, wide("\ufeff"+key+"\r\n", true): key, wide(key, false): key, wide(key+"\n", true): key,
		name + "=" + key: key, "export " + name + "=" + key + "\n": key, name + ` = "` + key + `"`: key, "vision_training_key='" + key + "'": key,
		"": "", "\n": "", "\ufeff": "", `""`: "", name + "=": "", name + `=""`: "",
		"AccountName=a;AccountKey=AAAA==": "AccountName=a;AccountKey=AAAA==", `"sv=1&sig=a%3D"`: "sv=1&sig=a%3D", "OTHER=" + key: "OTHER=" + key,
	} {
		if got, err := Text([]byte(raw), name); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", raw, got, err, want)
		}
	}
	for raw, want := range map[string]string{
		key + "\n" + key:             "several lines",
		"# the key\n" + key:          "several lines",
		`"` + key:                    "a quote at one end",
		key + "'":                    "a quote at one end",
		`""` + key + `""`:            "or two at both",
		"\xff\xfe" + key[:3]:         "the middle of a UTF-16 character",
		"\xfe" + key:                 "neither UTF-8 nor UTF-16",
		key[:16] + "\x00":            "do not print",
		key[:16] + "\u200b" + key:    "do not print",
		wide("\ufeffa\ufeffb", true): "do not print",
	} {
		if got, err := Text([]byte(raw), name); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), key[:16]) {
			t.Errorf("%q: %q, error %v, want %s", raw, got, err, want)
		}
	}
}

// FuzzText: a secret is UTF-8 of one line without quotes around it, and reading it again
// changes nothing.
func FuzzText(f *testing.F) {
	for _, seed := range []string{key, "\ufeff" + key, wide(key, true), `"` + key + `"`, name + "=" + key, "export " + name + "='a'\n", "a\nb", "\xff\xfe", "\x00", `"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := Text(raw, name)
		if err != nil {
			if len(raw) > 20 && strings.Contains(err.Error(), string(raw)) {
				t.Errorf("the error repeats %q", raw)
			}
			return
		}
		if !utf8.ValidString(text) || strings.TrimSpace(text) != text || strings.ContainsAny(text, "\r\n\x00\ufeff") || strings.Trim(text, quotes) != text {
			t.Errorf("%q is read as %q", raw, text)
		}
		if again, err := Text([]byte(text)); again != text || err != nil {
			t.Errorf("%q is read as %q, %v", text, again, err)
		}
	})
}
