package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cvexport/cvexport/internal/simulated"
)

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	// A process with the race detector sleeps for a second before it exits.
	os.Setenv("GORACE", raceOptions)
	folder, err := os.MkdirTemp("", "cvexport-test-*")
	if err != nil {
		panic(err)
	}
	builtFolder = folder
	testscript.Main(removing{m, folder}, map[string]func(){"cvexport": main})
}

const raceOptions = "atexit_sleep_ms=10"

// builtFolder is where tests build the command.
var builtFolder string

// removing removes a folder after the tests.
type removing struct {
	*testing.M
	folder string
}

func (r removing) Run() int {
	defer os.RemoveAll(r.folder)
	return r.M.Run()
}

// asCommand makes the test binary run as the command, for tests that need a process.
const asCommand = "CVEXPORT_TEST_AS_COMMAND"

// TestScripts runs the command as users do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"service":   startService,
			"exits":     exits,
			"simulate":  startSimulate,
			"ends":      stopSimulate,
			"interrupt": interrupt,
			"column":    printColumn,
			"odd":       startOdd,
			"monitor":   startMonitor,
			"told":      wasTold,
			"json":      isJSON,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GORACE", raceOptions)
			secrets, err := filepath.Abs("../../secret/testdata")
			env.Setenv("SECRETS", secrets)
			return err
		},
	})
}

// isJSON checks that a file, or stdout, is one JSON document and nothing else.
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	if text := ts.ReadFile(args[0]); !json.Valid([]byte(text)) {
		ts.Fatalf("%s is not one JSON document: %s", args[0], text)
	}
}

// exits runs a command and checks its exit code: "exits 2 cvexport export".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// twoResources is a configuration with the same service twice.
const twoResources = `
warehouse: everything
concurrency: 2
resources:
  - name: one
    endpoint: %s
    key: {env: ONE}
    projects: {include: ["* 1"]}
    rate: 5
    concurrency: 4
    warehouse: one
  - name: two
    endpoint: %s
    key: {file: key.txt}
`

// noLogin has a resource whose warehouse needs credentials.
const noLogin = `
resources:
  - {name: one, endpoint: %s, key: {env: ONE}, warehouse: s3://b}
  - {name: two, endpoint: %s, key: {file: key.txt}, warehouse: everything}
`

// started has the last service of each script.
var started sync.Map

// startService starts a simulated service for a script, and sets the variables for it: "service images=600 kind=detection fault=reset:page=1".
func startService(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! service")
	}
	config := simulated.Config{Seed: 1, Images: 300}
	var faults []simulated.Fault
	var change []func(*simulated.Service)
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		number := func() int {
			n, err := strconv.Atoi(value)
			ts.Check(err)
			return n
		}
		switch name {
		case "seed":
			config.Seed = uint64(number())
		case "images":
			config.Images = number()
		case "iterations":
			config.Iterations = number()
		case "training":
			config.Training = number()
		case "failed":
			config.Failed = number()
		case "projects":
			config.Projects = number()
		case "kind":
			config.Kind = simulated.Kind(value)
		case "key":
			config.Key = value
		case "publish": // publish=2:production
			place, name, _ := strings.Cut(value, ":")
			k, err := strconv.Atoi(place)
			ts.Check(err)
			change = append(change, func(s *simulated.Service) { s.Publish(0, k-1, name) })
		case "rename": // rename=2:shop, the second project
			place, name, _ := strings.Cut(value, ":")
			p, err := strconv.Atoi(place)
			ts.Check(err)
			name, err = strconv.Unquote(`"` + name + `"`)
			ts.Check(err)
			change = append(change, func(s *simulated.Service) { s.Rename(p-1, name) })
		case "fault":
			fault, err := simulated.ParseFault(value)
			ts.Check(err)
			faults = append(faults, fault)
		default:
			ts.Fatalf("unknown option %s", name)
		}
	}
	service, err := simulated.New(config)
	ts.Check(err)
	for _, do := range change {
		do(service)
	}
	project := service.Projects()[0]
	for _, f := range faults {
		if place, ok := strings.CutPrefix(f.Iteration, "ITERATION"); ok { // as the environment will name it
			k, err := strconv.Atoi(place)
			ts.Check(err)
			f.Iteration = project.Iterations[k-1].ID.String()
		}
		service.Fault(f)
	}
	server := httptest.NewServer(service)
	ts.Defer(server.Close)
	ts.Setenv("VISION_TRAINING_ENDPOINT", server.URL)
	started.Store(ts, service)
	ts.Setenv("VISION_TRAINING_KEY", cmp.Or(config.Key, "simulated"))
	ts.Check(os.WriteFile(ts.MkAbs("good.yaml"), fmt.Appendf(nil, twoResources, server.URL, server.URL), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("login.yaml"), fmt.Appendf(nil, noLogin, server.URL, server.URL), 0o600))
	ts.Setenv("PROJECT", project.ID.String())
	for i, it := range project.Iterations {
		ts.Setenv("ITERATION"+strconv.Itoa(i+1), it.ID.String())
	}
}
