// Package deploy tests the files of deploy/ with the parsers of the programs that read
// them: the types of Kubernetes and Cloud Run, a cron parser, BuildKit, systemd, bash, and
// cvexport itself.
package deploy

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../.."          // of the repository
	folder = root + "/deploy" // with the files that are tested

	serviceRate = 10.0 // requests a second that the service allows for a resource
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// command is one call of cvexport in a file.
type command struct {
	file string
	args []string
	env  map[string]string // values from secrets are "(secret)"
}

const secret = "(secret)"

// subcommand returns the words before the flags.
func (c command) subcommand() []string {
	if i := slices.IndexFunc(c.args, func(a string) bool { return strings.HasPrefix(a, "-") }); i >= 0 {
		return c.args[:i]
	}
	return c.args
}

// flag returns the value of --name=value.
func (c command) flag(name string) (string, bool) {
	for _, a := range c.args {
		if v, ok := strings.CutPrefix(a, "--"+name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// checkRate checks that processes running at once stay below the rate that the service
// allows.
func (c command) checkRate(t *testing.T, processes int) {
	t.Helper()
	rate := 8.0 // the default of --rate
	if v, ok := c.flag("rate"); ok {
		var err error
		if rate, err = strconv.ParseFloat(v, 64); err != nil {
			t.Errorf("--rate: %v", err)
		}
	}
	if sum := rate * float64(processes); sum > serviceRate {
		t.Errorf("%d processes at %v requests a second make %v, the service allows %v", processes, rate, sum, serviceRate)
	}
}

// commands returns all calls of cvexport in all files.
func commands(t *testing.T) []command {
	t.Helper()
	all := slices.Concat(kubernetesCommands(t), []command{cloudRunCommand(t)}, systemdCommands(t), crontabCommands(t))
	if len(all) < 8 {
		t.Errorf("only %d calls of cvexport found: %v", len(all), all)
	}
	return all
}

// TestCommands lets cvexport parse every call, with --help at the end so that nothing is
// run.
func TestCommands(t *testing.T) {
	binary := cvexport(t)
	for _, c := range commands(t) {
		t.Run(strings.Join(append([]string{filepath.Base(c.file)}, c.subcommand()...), " "), func(t *testing.T) {
			path := append([]string{"cvexport"}, c.subcommand()...)
			for _, a := range c.args[len(path)-1:] {
				if !strings.HasPrefix(a, "--") {
					t.Errorf("%s: write %q as --flag or --flag=value, as elsewhere", c.file, a)
				}
			}
			out, err := exec.Command(binary, append(slices.Clone(c.args), "--help")...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: cvexport %s: %s", c.file, strings.Join(c.args, " "), out)
			}
			if usage := "Usage:\n  " + strings.Join(path, " ") + " "; !bytes.Contains(out, []byte(usage)) {
				t.Errorf("%s: there is no command %s", c.file, strings.Join(path, " "))
			}
		})
	}
}

// TestEnvironment checks that every variable is in the help of cvexport or belongs to
// another program, and that none that a command requires is missing.
func TestEnvironment(t *testing.T) {
	known := map[string]bool{
		"GOMEMLIMIT":           true, // Go's
		"MAILTO":               true, // cron's
		"CVEXPORT_SHARD_COUNT": true, // TestShardCount
	}
	all := commands(t)
	for _, c := range all {
		help, err := exec.Command(cvexport(t), append(slices.Clone(c.subcommand()), "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b[A-Z]+_[A-Z_]+\b`).FindAllString(string(help), -1) {
			known[name] = true
		}
	}
	for _, c := range all {
		for name := range c.env {
			if !known[name] {
				t.Errorf("%s: the variable %s is in no help text", c.file, name)
			}
		}
		for flag, variable := range map[string]string{"warehouse": "CVEXPORT_WAREHOUSE", "endpoint": "VISION_TRAINING_ENDPOINT", "key-file": "VISION_TRAINING_KEY"} {
			if _, ok := c.flag(flag); !ok && c.env[variable] == "" && (flag == "warehouse" || !slices.Equal(c.subcommand(), []string{"verify"})) {
				t.Errorf("%s: %v has neither --%s nor %s", c.file, c.args, flag, variable)
			}
		}
	}
}

// TestShardCount checks that cvexport reads the number of shards from the variable that
// the manifest sets.
func TestShardCount(t *testing.T) {
	cmd := exec.Command(cvexport(t), "nightly", "--endpoint=https://vision.invalid", "--warehouse="+t.TempDir())
	cmd.Env = append(os.Environ(), "VISION_TRAINING_KEY=k", "JOB_COMPLETION_INDEX=4", "CVEXPORT_SHARD_COUNT=4")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "CVEXPORT_SHARD_COUNT") {
		t.Errorf("part 4 of 4, counted from 0, ends with %v, want exit code 2 and the variable's name: %s", err, out)
	}
}

// TestSecrets checks that no file contains what looks like a key, and that no credential
// is on a command line or in plain text in the environment.
func TestSecrets(t *testing.T) {
	// A training key is 32 hexadecimal digits or 84 characters, a storage key 88.
	key := regexp.MustCompile(`\b[0-9a-fA-F]{32}\b|[A-Za-z0-9+/]{80,}`)
	for _, file := range files(t) {
		if found := key.FindString(read(t, file)); found != "" {
			t.Errorf("%s contains what looks like a key: %.4s...", file, found)
		}
	}
	name := regexp.MustCompile(`KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING`)
	for _, c := range commands(t) {
		for variable, value := range c.env {
			if name.MatchString(variable) && value != secret {
				t.Errorf("%s: %s is plain text", c.file, variable)
			}
		}
		for _, a := range c.args {
			if strings.Contains(a, "sig=") || strings.Contains(a, "AccountKey") {
				t.Errorf("%s: a credential on the command line: %s", c.file, a)
			}
		}
	}
}

// TestEveryFileHasItsCheck fails for a new file that no test here reads.
func TestEveryFileHasItsCheck(t *testing.T) {
	for _, file := range files(t) {
		switch name := filepath.ToSlash(file); {
		case strings.HasPrefix(name, folder+"/kubernetes/") && strings.HasSuffix(name, ".yaml"):
		case strings.HasPrefix(name, folder+"/systemd/") && (strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".timer")):
		case strings.HasSuffix(name, ".sh"):
		case name == cloudRunJob || name == crontab || name == dockerfile || name == rules || name == dashboard:
		case name == guides:
		case strings.HasPrefix(name, folder+"/github/") && strings.HasSuffix(name, ".yaml"):
		case name == folder+"/cvexport.example.yaml": // internal/operation/config tests it
		default:
			t.Errorf("%s has no check", name)
		}
	}
}

func files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file is %s: %v", pattern, err)
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const buildVersion = "0.0.0-check"

// built is the cvexport program, which the first test builds.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func cvexport(t *testing.T) string {
	t.Helper()
	name := "cvexport"
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "cvexport-check-"); built.err != nil {
			return
		}
		// The flags change only the linking, so that Go reuses what lint has compiled.
		cmd := exec.Command("go", "build", "-ldflags", "-X main.version="+buildVersion, "-o", filepath.Join(built.dir, name), "./cmd/cvexport")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building cvexport: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// TestBinary checks that the program runs in an image without a C library, and that the
// Dockerfile's -X flag sets the version.
func TestBinary(t *testing.T) {
	binary := cvexport(t)
	out, err := exec.Command(binary, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), buildVersion) {
		t.Errorf("--version: %v, want %s: %s", err, buildVersion, out)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Skipf("not a Linux program: %v", err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err == nil && len(libraries) > 0 {
		t.Errorf("it is linked with %v", libraries)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic linker")
		}
	}
}
