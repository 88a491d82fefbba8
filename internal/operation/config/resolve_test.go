package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/schema"
)

// Flags override the environment, which overrides the file.
func TestResolve(t *testing.T) {
	const oneResource = `
warehouse: gs://file
resources:
  - {name: shop, endpoint: westeurope, key: {env: SHOP_KEY}, rate: 3, projects: {include: ["shop-*"]}}
`
	folder := t.TempDir()
	for name, body := range map[string]string{"one.yaml": oneResource, "two.yaml": valid, "flag.key": " flagkey\n", "lab.key": "labkey"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := filepath.Join(folder, "one.yaml"), filepath.Join(folder, "two.yaml")
	const project = "0b4c2f3a-5c1d-4e8f-9a7b-1c2d3e4f5a6b"
	for name, tc := range map[string]struct {
		flags Flags
		given []string
		env   string // the training key
		want  Resource
		key   string
		err   string
	}{
		"flags and environment": {Flags{Endpoint: "eastus", Rate: 8, Concurrency: 4}, nil, "envkey",
			Resource{Name: "eastus.api.cognitive.microsoft.com", Rate: 8, Concurrency: 4, Warehouse: program.DefaultWarehouse}, "envkey", ""},
		"no key":                            {Flags{Endpoint: "eastus"}, nil, "", Resource{Name: "eastus.api.cognitive.microsoft.com", Warehouse: program.DefaultWarehouse}, "", "no training key: set VISION_TRAINING_KEY"},
		"file":                              {Flags{File: one, Rate: 8, Concurrency: 4}, nil, "", Resource{Name: "shop", Rate: 3, Concurrency: 4, Warehouse: "gs://file"}, "shopkey", ""},
		"over the file":                     {Flags{File: one, Endpoint: "eastus", Rate: 5, Concurrency: 7, Warehouse: "gs://flag", KeyFile: filepath.Join(folder, "flag.key"), Projects: []string{project}}, []string{"rate", "concurrency"}, "envkey", Resource{Name: "shop", Rate: 5, Concurrency: 7, Warehouse: "gs://flag"}, "flagkey", ""},
		"environment's key over the file's": {Flags{File: one, Concurrency: 4}, nil, "envkey", Resource{Name: "shop", Rate: 3, Concurrency: 4, Warehouse: "gs://file"}, "envkey", ""},
		"one of several keeps its key":      {Flags{File: two, Resource: "lab", Endpoint: "eastus", Concurrency: 4}, nil, "envkey", Resource{Name: "lab", Rate: 1.5, Concurrency: 4, Warehouse: filepath.Join(folder, "lab")}, "labkey", ""},
		"several":                           {Flags{File: two}, nil, "", Resource{}, "", "two.yaml has 2 resources: choose one with --resource"},
		"key file of several":               {Flags{File: two, KeyFile: "k"}, []string{"key-file"}, "", Resource{}, "", "--key-file is for one resource"},
		"unknown resource":                  {Flags{File: two, Resource: "x"}, nil, "", Resource{}, "", "two.yaml has no such resource"},
		"resource without a file":           {Flags{Resource: "x"}, nil, "", Resource{}, "", "give the file with --config"},
		"a project by name":                 {Flags{Endpoint: "eastus", Projects: []string{"shop", project}}, nil, "envkey", Resource{Name: "eastus.api.cognitive.microsoft.com", Warehouse: program.DefaultWarehouse}, "envkey", ""},
		"empty project":                     {Flags{Projects: []string{""}}, nil, "", Resource{}, "", "--project is empty: "},
		"wrong pattern":                     {Flags{Include: []string{"["}}, nil, "", Resource{}, "", "--include or --exclude: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SHOP_KEY", "shopkey")
			t.Setenv(keyVariable, tc.env)
			c, err := Resolve(tc.flags, func(flag string) bool { return slices.Contains(tc.given, flag) })
			var r *Resource
			if err == nil {
				r, err = c.One()
			}
			var key string
			if err == nil {
				key, err = r.key.read()
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w := tc.want
			if r.Name != w.Name || r.Rate != w.Rate || r.Concurrency != w.Concurrency || r.Warehouse != w.Warehouse || key != tc.key {
				t.Errorf("%+v with key %s, want %+v with key %s", r, key, w, tc.key)
			}
			id, err := schema.ParseID(project)
			if err != nil {
				t.Fatal(err)
			}
			if flags := len(tc.flags.Projects) > 0; flags != slices.Contains(r.Projects.IDs, id) || flags && len(r.Projects.Include) > 0 || slices.Contains(tc.flags.Projects, "shop") != slices.Contains(r.Projects.Names, "shop") {
				t.Errorf("projects %+v", r.Projects)
			}
		})
	}
}
