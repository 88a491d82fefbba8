package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// asCommand makes the test binary be the command itself, for tests of its end.
const asCommand = "CVREPORT_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	testscript.Main(tests{m}, map[string]func(){"cvreport": main})
}

type tests struct{ m *testing.M }

// Run keeps the caches of warehouses out of the user's folder.
func (t tests) Run() int {
	folder, err := os.MkdirTemp("", "cvreport-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	os.Setenv("CVEXPORT_CACHE", folder)
	return t.m.Run()
}

// TestScripts runs both commands as users have them, one beside the other:
// testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	bin := filepath.Dir(builtCvexport(t))
	config := simulated.Config{Seed: 1, Kind: simulated.Detection, Images: 300, Iterations: 2}
	detector := exported.Warehouse(t, config)
	config.Images, config.Iterations = 20, 1
	unsized := exported.Warehouse(t, config)
	exported.Rewrite(t, unsized, "images", "CASE WHEN image_index = 3 THEN NULL ELSE height END AS height")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("DETECTOR", detector)
			env.Setenv("UNSIZED", unsized) // an image has no height
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
	})
}

// builtCvexport builds the other command, as users have it, into a folder of its own.
func builtCvexport(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cvexport")
	build := exec.Command("go", "build", "-o", program, "../cvexport")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building cvexport: %v: %s", err, out)
	}
	return program
}
