// Command licences lists the modules in CycloneDX files with their licences. It fails if
// a module has no licence, or one that does not permit distribution under the Apache
// License.
//
//	licences bin/cvexport.cdx.json bin/cvreport.cdx.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// allowed are the SPDX names of licences that require no more than attribution.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "Unlicense", "Zlib"}

type licence struct {
	License struct {
		ID, Name string
	}
	Expression string
}

type bom struct {
	Components []struct {
		Name, Version string
		Licenses      []licence
		Evidence      struct{ Licenses []licence }
	}
}

func main() {
	lines, refused, err := list(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
	fmt.Println(strings.Join(lines, "\n"))
	if len(refused) > 0 {
		fmt.Fprintf(os.Stderr, "licences: missing or not allowed:\n%s\nallowed are %s\n", strings.Join(refused, "\n"), strings.Join(allowed, ", "))
		os.Exit(1)
	}
}

// list returns one line for each module, and the lines of those that are not allowed.
func list(files []string) (lines, refused []string, err error) {
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		var b bom
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(b.Components) == 0 {
			return nil, nil, fmt.Errorf("%s lists no modules", file)
		}
		for _, c := range b.Components {
			var names []string
			for _, l := range append(c.Licenses, c.Evidence.Licenses...) {
				names = append(names, l.License.ID+l.License.Name+l.Expression)
			}
			line := fmt.Sprintf("%s %s %s", c.Name, c.Version, strings.Join(names, " "))
			lines = append(lines, line)
			if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(allowed, name) }) {
				refused = append(refused, line)
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), refused, nil
}
