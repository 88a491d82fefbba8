package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A key in a file or a variable is read if it can only be that, else refused by the name of
// its place. No error shows it.
func TestKey(t *testing.T) {
	const want = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "lab.key")
	for raw, wrong := range map[string]string{
		want: "", " " + want + "\r\n": "", "\ufeff" + want: "", `"` + want + `"`: "", "VISION_TRAINING_KEY=" + want + "\n": "", "export VISION_TRAINING_KEY='" + want + "'": "",
		"VISION_PREDICTION_KEY=" + want: "a variable that is not", "OTHER_KEY=": "a variable that is not", "endpoint: x\nkey: " + want: "several lines", "key: " + want: "spaces or other characters",
		want + "\x00" + want: "do not print", want + "ü": "other characters that no key has", `"` + want: "a quote at one end", "<" + want + ">": "other characters that no key has",
		"${VISION_TRAINING_KEY}": "other characters that no key has", "\xff" + want: "neither UTF-8 nor UTF-16", `{"key":"` + want + `"}`: "other characters that no key has",
		"": "empty", " \n": "empty", `""`: "empty", "VISION_TRAINING_KEY=": "empty",
	} {
		if err := os.WriteFile(file, []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		check := func(k key, place, wrong string) {
			t.Helper()
			got, err := k.read()
			switch {
			case wrong == "" && (got != want || err != nil):
				t.Errorf("%q: %q, %v", raw, got, err)
			case wrong != "" && (err == nil || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), want)):
				t.Errorf("%q: %q, error %v, want %s of %s", raw, got, err, wrong, place)
			}
		}
		check(key{File: file}, file, wrong)
		if strings.Contains(raw, "\x00") {
			continue // no variable has one
		}
		if wrong == "empty" {
			wrong = "no training key: set"
		}
		t.Setenv("LAB_KEY", strings.Replace(raw, "VISION_TRAINING_KEY", "LAB_KEY", 1))
		check(key{Env: "LAB_KEY"}, "LAB_KEY", wrong)
		t.Setenv("LAB_KEY", raw)
		check(key{Env: "LAB_KEY"}, "LAB_KEY", wrong)
	}
}
