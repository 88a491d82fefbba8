package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// exposure is the maximum score of systemd-analyze security, in tenths.
const exposure = "15"

// unit reads a unit file into the values of each section.name, in order.
func unit(t *testing.T, file string) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	section := ""
	for line := range strings.Lines(read(t, file)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case !ok || strings.HasSuffix(line, `\`):
			t.Fatalf("%s: want NAME=VALUE in one line: %s", file, line)
		default:
			settings[section+"."+name] = append(settings[section+"."+name], value)
		}
	}
	return settings
}

func services(t *testing.T) []string { return glob(t, folder+"/systemd/*.service") }

func systemdCommands(t *testing.T) []command {
	var all []command
	for _, file := range services(t) {
		u := unit(t, file)
		env := map[string]string{}
		for _, e := range u["Service.Environment"] {
			name, value, _ := strings.Cut(e, "=")
			env[name] = value
		}
		if len(u["Service.ExecStart"]) != 1 {
			t.Fatalf("%s: want one ExecStart", file)
		}
		words := strings.Fields(u["Service.ExecStart"][0])
		if words[0] != "/usr/local/bin/cvexport" {
			t.Errorf("%s runs %s", file, words[0])
		}
		all = append(all, command{file: file, args: words[1:], env: env})
	}
	return all
}

// TestSystemdVerify lets systemd check the units. It checks copies that run /bin/true, as
// systemd looks for the program too.
func TestSystemdVerify(t *testing.T) {
	systemd := systemdAnalyze(t)
	dir := t.TempDir()
	var copies []string
	for _, file := range glob(t, folder+"/systemd/*") {
		name := filepath.Join(dir, filepath.Base(file))
		body := strings.ReplaceAll(read(t, file), "/usr/local/bin/cvexport", "/bin/true")
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, name)
	}
	out, err := exec.Command(systemd, slices.Concat([]string{"verify", "--man=no", "--recursive-errors=no"}, copies)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		// It also warns about the machine's own units, and an unknown setting is only a warning.
		if strings.Contains(line, "cvexport") {
			t.Error(strings.TrimSpace(line))
		}
	}
	for _, name := range copies {
		if filepath.Ext(name) != ".service" {
			continue
		}
		if out, err := exec.Command(systemd, "security", "--offline=true", "--no-pager", "--threshold="+exposure, name).CombinedOutput(); err != nil {
			t.Errorf("%s is more exposed than %s tenths: %v\n%s", filepath.Base(name), exposure, err, out)
		}
	}
}

func systemdAnalyze(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("there is no systemd on this system")
	}
	name, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze 250 or later is needed (Debian: apt-get install systemd)")
	}
	return name
}

func TestSystemdUnits(t *testing.T) {
	for _, c := range systemdCommands(t) {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			u := unit(t, c.file)
			if key, _ := c.flag("key-file"); key != "${CREDENTIALS_DIRECTORY}/key" || !slices.ContainsFunc(u["Service.LoadCredential"], func(v string) bool { return strings.HasPrefix(v, "key:/") }) {
				t.Errorf("the key is --key-file=%s, want the credential key", key)
			}
			warehouse := c.env["CVEXPORT_WAREHOUSE"]
			if len(u["Service.StateDirectory"]) != 1 || !strings.HasPrefix(warehouse, "/var/lib/"+u["Service.StateDirectory"][0]+"/") {
				t.Errorf("the warehouse %s is not in the state directory, the only writable folder", warehouse)
			}
			for name, want := range map[string]string{"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "User": "cvexport"} {
				if got := u["Service."+name]; !slices.Equal(got, []string{want}) {
					t.Errorf("%s is %q, want %s", name, got, want)
				}
			}
			if len(u["Service.TimeoutStopSec"]) != 1 {
				t.Error("want TimeoutStopSec")
			}
			// Only a listener ends with an interrupt, which may count as success.
			listens := c.args[0] == "listen"
			if got := strings.Join(u["Service.SuccessExitStatus"], " "); got != "" && !(listens && got == "130") {
				t.Errorf("SuccessExitStatus=%s hides failures", got)
			}
			if listens && strings.Join(u["Service.RestartPreventExitStatus"], " ") != "2 4" {
				t.Error("systemd would restart a listener with a wrong configuration or key for ever")
			}
			if kind := u["Service.Type"]; !listens && !slices.Equal(kind, []string{"oneshot"}) {
				t.Errorf("Type is %q, want oneshot", kind)
			}
			c.checkRate(t, 1)
		})
	}
	timer := unit(t, folder+"/systemd/cvexport-nightly.timer")
	for name, want := range map[string]string{"Timer.Persistent": "true", "Timer.RandomizedDelaySec": "30min", "Install.WantedBy": "timers.target"} {
		if got := timer[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}
