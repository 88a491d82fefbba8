package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/secret/secrettest"
)

// Whatever a store answers, nothing that comes out of the program holds one of its secrets
// or a part of one: output, errors, the page, the cache, temporary files.
func TestNothingLeaks(t *testing.T) {
	commands := [][]string{{"query", "FROM exports"}, {"query", "--format", "json", "FROM images"}, {"html"}, {"serve", "--listen", "127.0.0.1:0"}, {"coco"}}
	var bound []string // how long to try again, if there is a flag for it
	if newQuery().Flags().Lookup("give-up-after") != nil {
		bound = []string{"--give-up-after", "100ms"}
	}
	runs, redacted, number := 0, 0, 1000
	for name, fault := range secrettest.Faults(t) {
		for _, warehouse := range []string{"s3://bucket", "azblob://container", "az://container"} {
			switch name {
			case "away", "no host", "certificate", "cut", "echo 302":
				if warehouse != "s3://bucket" && bound == nil { // Azure's SDK tries again for long
					continue
				}
			}
			number++
			secrets := secrettest.New(number)
			env := map[string][]string{"s3://bucket": secrets.S3(fault), "azblob://container": secrets.Azure(fault, true), "az://container": secrets.Azure(fault, false)}[warehouse]
			t.Run(warehouse+" "+name, func(t *testing.T) {
				tmp, cache, out := t.TempDir(), t.TempDir(), t.TempDir()
				for _, variable := range append(env, "TMPDIR="+tmp, "HOME="+tmp) {
					name, value, _ := strings.Cut(variable, "=")
					t.Setenv(name, value)
				}
				args := append([]string{}, commands[number%len(commands)]...)
				if args[0] != "serve" {
					args = append(args, "-o", out+"/result")
				}
				args = append(append(args, "--warehouse", warehouse, "--cache", cache, "--retries", "0"), bound...)
				var output bytes.Buffer
				if code := run(args, strings.NewReader(""), &output, &output); code == exitDone {
					t.Errorf("%q succeeded: %s", args, &output)
				}
				runs++
				if strings.Contains(output.String(), "REDACTED") {
					redacted++
				}
				secrets.Search(t, "the output", output.Bytes())
				for _, folder := range []string{tmp, cache, out} {
					secrets.SearchFolder(t, folder, nil)
				}
			})
		}
	}
	if redacted < 5 {
		t.Errorf("only %d of %d runs had anything to redact", redacted, runs)
	}
	t.Logf("FIGURES: %d runs of cvreport under the faults of a server: %d had something to redact; leaked: %t", runs, redacted, t.Failed())
}
