package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const valid = `
warehouse: gs://bucket/vision
rate: 5
resources:
  - name: shop
    endpoint: westeurope
    key: {env: SHOP_KEY}
    projects:
      ids: [0b4c2f3a-5c1d-4e8f-9a7b-1c2d3e4f5a6b]
      include: ["shop-*"]
      exclude: ["*-test"]
    concurrency: 8
  - name: lab
    endpoint: https://lab.cognitiveservices.azure.com
    key:
      file: lab.key
    rate: 1.5
    warehouse: ./lab
`

func TestParse(t *testing.T) {
	f, err := parse("x.yaml", []byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	shop, lab := f.Resources[0], f.Resources[1]
	if f.Warehouse != "gs://bucket/vision" || *f.Rate != 5 || f.Concurrency != nil || shop.Key.Env != "SHOP_KEY" ||
		*shop.Concurrency != 8 || shop.Rate != nil || shop.Projects.Include[0] != "shop-*" || *lab.Rate != 1.5 || lab.Warehouse != "./lab" {
		t.Errorf("%+v", f)
	}
}

// Errors name line, column and field, and never show a key.
func TestParseErrors(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	resource := func(fields string) string {
		return "resources:\n  - name: shop\n    endpoint: westeurope\n    key: {env: KEY}\n" + fields
	}
	for text, want := range map[string]string{
		"":                                                 "x.yaml: resources: at least one resource is needed",
		"resources: []":                                    "x.yaml:1:12: resources: at least one resource is needed",
		"resources: 7":                                     "x.yaml:1:12: resources: int was used where sequence is expected",
		"ware: x":                                          "x.yaml:1:1: ware: there is no such field",
		"rate: fast\nresources: []":                        "x.yaml:1:7: rate: want a number",
		"rate: 0\n" + resource(""):                         "x.yaml:1:7: rate: 0 is not above 0",
		"rate: .nan\n" + resource(""):                      "x.yaml:1:7: rate: NaN is not above 0",
		resource("    rats: 5\n"):                          "x.yaml:5:5: resources[0].rats: there is no such field",
		resource("    concurrency: 3.5\n"):                 "x.yaml:5:18: resources[0].concurrency: 3.5 is not a whole number between 1 and 64",
		resource("    concurrency: 100\n"):                 "x.yaml:5:18: resources[0].concurrency: 100 is not a whole number between 1 and 64",
		resource("    rate: 1\n    rate: 2\n"):             "x.yaml:6:5: ",
		resource("    projects: {ids: [../x]}\n"):          `x.yaml:5:22: resources[0].projects.ids[0]: `,
		resource("    projects: {include: ['[']}\n"):       `x.yaml:5:26: resources[0].projects.include[0]: "[": syntax error in pattern`,
		resource("    projects: {include: x}\n"):           `x.yaml:5:25: resources[0].projects.include: string was used where sequence is expected`,
		resource("") + "  - name: shop\n    endpoint: a\n": `x.yaml:5:11: resources[1].name: "shop" is also the name of an earlier resource`,
		resource("") + "---\nrate: 1\n":                    "x.yaml: it has 2 documents, want one",
		"resources:\n- name: a b\n  endpoint: http://example.com\n  key: {}\n":      `x.yaml:2:9: resources[0].name: "a b" is not a name`,
		"resources:\n- name: a\n  endpoint: http://example.com\n  key: {}\n":        `x.yaml:3:13: resources[0].endpoint: `,
		"resources:\n- name: a\n  endpoint: eastus\n":                               "resources[0].key: say where it comes from",
		"resources:\n- name: a\n  endpoint: eastus\n  key: {env: A, file: b}":       "resources[0].key: it comes from env or from file",
		"resources:\n- name: a\n  endpoint: eastus\n  key: " + secret + "x":         "x.yaml:4:8: resources[0].key: say where the key comes from",
		"resources:\n- name: a\n  endpoint: eastus\n  key: {env: " + secret:         "x.yaml:4:",
		"resources:\n- name: a\n  endpoint: eastus\n  key: {env: '" + secret + "'}": "x.yaml:4:14: resources[0].key.env: it is not the name",
		"resources:\n- name: a\n  key: [" + secret:                                  "x.yaml:3:",
		"\tx: " + secret: "x.yaml:1:",
		"a: &a [*a]":     "x.yaml:1:",
		"ping: https://hc-ping.com/" + secret + "\n" + resource(""): "x.yaml:1:7: ping: say where the address comes from",
		"ping: {env: A, file: b}\n" + resource(""):                  "x.yaml:1:7: ping: it comes from env or from file, not both",
		"ping: {}\n" + resource(""):                                 "x.yaml:1:7: ping: say where it comes from",
		"ping: {env: '" + secret + "/'}\n" + resource(""):           "x.yaml:1:13: ping.env: it is not the name",
	} {
		f, err := parse("x.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s\nwas accepted as %+v", text, f)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %s\nwant  %s", text, err, want)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows the key: %s", err)
		}
	}
}

func TestRead(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "cvexport.yaml")
	if err := os.WriteFile(name, []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := read(name)
	if err != nil || f.Resources[1].Key.File != filepath.Join(folder, "lab.key") {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := read(filepath.Join(folder, "none.yaml")); err == nil || !strings.Contains(err.Error(), "reading the configuration: ") {
		t.Error(err)
	}
}

// Input that makes the YAML library panic is an error like any other.
func TestParseOddYAML(t *testing.T) {
	file, err := parse("x.yaml", []byte("rate: 0\nresources: !0 #00000000"))
	if file != nil || err == nil || !strings.Contains(err.Error(), "x.yaml: this YAML cannot be read; leave out tags") {
		t.Errorf("%+v, %v", file, err)
	}
}

// A small file that takes much memory or stack of who reads it is an error.
func TestParseHostileYAML(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	const limit = 300 << 20 // bytes, of all that is allocated
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("a%d: &a%[1]d [%s]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9))
	}
	deep := ""
	for i := range 1000 {
		deep += strings.Repeat(" ", i) + "a:\n"
	}
	for name, text := range map[string]string{
		"aliases of aliases": laughs,
		"lists in lists":     "resources: " + strings.Repeat("[", maxSize/2),
		"mappings":           strings.Repeat("{a: ", maxSize/8),
		"dashes":             strings.Repeat("- ", maxSize/4),
		"keys of keys":       strings.Repeat("? ", maxSize/4),
		"tags":               strings.Repeat("!a ", maxSize/4),
		"indents":            deep,
		"a long line":        "rate: " + strings.Repeat("1", maxSize-10),
		"lines":              strings.Repeat("a\n", maxSize/4),
		"resources":          "resources:\n" + strings.Repeat("- {}\n", 2*maxResources),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parse("x.yaml", []byte(text))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.HasPrefix(err.Error(), "x.yaml") || len(err.Error()) > 1000 {
			t.Errorf("%s: %.1000s", name, fmt.Sprint(err))
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > limit {
			t.Errorf("%s: it took %d MiB: %v", name, took>>20, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte("resources: [{name: a, endpoint: eastus, key: {env: A}}]"))
	f.Add([]byte("a: &a [*a]\n<<: *a"))
	f.Fuzz(func(t *testing.T, body []byte) {
		file, err := parse("x", body)
		if err == nil && len(file.Resources) == 0 {
			t.Error("a configuration without resources was accepted")
		}
	})
}
