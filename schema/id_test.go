package schema

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestParseID(t *testing.T) {
	const good = "26571c15-ac69-4b76-8806-de27e33eb796"
	for in, ok := range map[string]bool{
		good:                                     true,
		strings.ToUpper(good):                    true,
		"00000000-0000-0000-0000-000000000000":   true,
		"":                                       false,
		"{" + good + "}":                         false,
		"urn:uuid:" + good:                       false,
		strings.ReplaceAll(good, "-", ""):        false,
		good[:35]:                                false,
		good + "0":                               false,
		"26571c15-ac69-4b76-8806-de27e33eb79g":   false,
		"26571c15_ac69-4b76-8806-de27e33eb796":   false,
		"../../../../../../../../../etc/passwd0": false,
		"2657\x00c15-ac69-4b76-8806-de27e33eb79": false,
		"26571c15-ac69-4b76-8806-de27e33eb7é":    false,
	} {
		id, err := ParseID(in)
		if (err == nil) != ok {
			t.Errorf("ParseID(%q) = %s, %v", in, id, err)
		}
		if ok && id.String() != strings.ToLower(in) {
			t.Errorf("ParseID(%q).String() = %s", in, id)
		}
	}
	if _, err := ParseID(strings.Repeat("x", 10000)); err == nil || len(err.Error()) > 200 {
		t.Errorf("a long text gives a long error: %v", err)
	}
}

// FuzzParseID: what is taken is what another parser takes in this form, and no
// key built from it leaves its place.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"26571c15-ac69-4b76-8806-de27e33eb796", "26571C15-AC69-4B76-8806-DE27E33EB796", "../..", strings.Repeat("-", 36), ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		other, otherErr := uuid.Parse(s)
		if want := otherErr == nil && len(s) == 36; (err == nil) != want || want && id != ID(other) {
			t.Fatalf("ParseID(%q) = %s, %v; want %s, %v", s, id, err, other, otherErr)
		}
		if err != nil {
			return
		}
		if again, err := ParseID(id.String()); err != nil || again != id || id.String() != strings.ToLower(s) {
			t.Errorf("%q is written as %s and read as %s, %v", s, id, again, err)
		}
		for _, table := range Tables() {
			key := table.Path(id, id)
			if strings.Count(key, "/") != 3 || strings.ContainsAny(key, "\\\x00") || strings.Contains(key, "..") || !strings.HasSuffix(key, "/data.parquet") {
				t.Errorf("key %q", key)
			}
		}
	})
}
