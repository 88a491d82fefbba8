package page

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestServe goes from the list of projects to a report, and from there to other
// comparisons. The address that is printed has a token, which the browser forgets at once.
func TestServe(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 8, Kind: simulated.Multiclass, Images: 60, Iterations: 3, Projects: 2})
	cmd := exec.Command(cvreport, "serve", "--warehouse", root, "--listen", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := false
	defer func() {
		if !waited {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	banner, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(banner, " at ")
	url, _, _ = strings.Cut(url, " ")

	host, _, _ := strings.Cut(url, "?")

	b := newTab(t)
	b.look(1280, "light")
	b.open(url)
	if now := read[string](b, `location.href`); strings.Contains(now, "token") {
		t.Errorf("the browser is at %s", now)
	}
	if n := read[int](b, `document.querySelectorAll("main section").length`); n != 2 {
		t.Errorf("%d projects are listed", n)
	}
	b.accessible()
	b.follow(`document.querySelectorAll("main section")[1].querySelector("button")`)
	if said := b.text("#subject"); !strings.HasPrefix(said, "Iteration 3,") || !strings.Contains(said, "compared with Iteration 2") {
		t.Errorf("the report is about %q", said)
	}
	b.accessible()
	// Selecting the iteration it was compared with: it is compared with the one before.
	read[int](b, `document.querySelector("nav select[name=iteration]").selectedIndex = 1`)
	b.follow(`document.querySelector("nav button")`)
	if said := b.text("#subject"); !strings.HasPrefix(said, "Iteration 2,") || !strings.Contains(said, "compared with Iteration 1") {
		t.Errorf("the report is about %q", said)
	}
	read[int](b, `document.querySelector("nav select[name=compare]").selectedIndex = 3`)
	b.follow(`document.querySelector("nav button")`)
	if said := b.text("#subject"); !strings.HasPrefix(said, "Iteration 2,") || !strings.Contains(said, "compared with Iteration 1") {
		t.Errorf("chosen with the one before by name, the report is about %q", said)
	}
	read[int](b, `document.querySelector("nav select[name=compare]").selectedIndex = 2`) // itself
	b.follow(`document.querySelector("nav button")`)
	if said := b.text("#subject"); !strings.HasPrefix(said, "Iteration 2,") || !strings.Contains(said, "compared with Iteration 1") {
		t.Errorf("chosen with itself, the report is about %q", said)
	}
	read[int](b, `document.querySelector("nav select[name=iteration]").selectedIndex = 2`)
	read[int](b, `document.querySelector("nav select[name=compare]").selectedIndex = 1`)
	b.follow(`document.querySelector("nav button")`)
	if said := b.text("#subject"); !strings.HasPrefix(said, "Iteration 1,") || !strings.Contains(said, "compared with Iteration 3") {
		t.Errorf("the report is about %q", said)
	}
	b.look(390, "dark")
	b.open(url)
	if wide := read[int](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("on a phone the list is %d pixels wide", wide)
	}
	b.accessible()
	b.quiet(host)

	// Who has neither the token nor the cookie is refused, and told what to do.
	stranger := newTab(t)
	stranger.open(host)
	if said := stranger.text("main"); !strings.Contains(said, "Copy that address") {
		t.Errorf("without the token, the page says %q", said)
	}

	// A request under the name of another site (DNS rebinding) is refused.
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a request for evil.example is answered with %s", answer.Status)
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	waited = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, it ends with %v", err)
	}
}

// TestRefuses runs cvreport with wrong arguments.
func TestRefuses(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Images: 1, Projects: 2})
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		says      string
	}{
		"an address of others": {[]string{"serve", "--warehouse", root, "--listen", "0.0.0.0:0"}, 2, "--any-address"},
		"no port":              {[]string{"serve", "--warehouse", root, "--listen", "127.0.0.1"}, 2, "is not host:port"},
		"an argument":          {[]string{"html", "--warehouse", root, "x"}, 2, `unknown command "x"`},
		"two projects":         {[]string{"html", "--warehouse", root, "-o", "-"}, 2, "holds 2 projects: a choice is needed"},
		"a threshold":          {[]string{"html", "--warehouse", root, "--threshold", "50"}, 2, "want a number above 0 and at most 1"},
		"pictures":             {[]string{"html", "--warehouse", root, "--thumbnails", "/nowhere"}, 2, "--thumbnails"},
		"a folder":             {[]string{"html", "--warehouse", root, "-o", root}, 2, "is a folder"},
		"no warehouse":         {[]string{"html", "--warehouse", "/nowhere"}, 1, "check --warehouse"},
		"none to serve":        {[]string{"serve", "--warehouse", "/nowhere"}, 1, "check --warehouse"},
	} {
		cmd := exec.Command(cvreport, tc.arguments...)
		cmd.Dir = t.TempDir()
		output, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(string(output), tc.says) {
			t.Errorf("%s: exit code %d, want %d and %q: %s", name, code, tc.code, tc.says, output)
		}
		if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s leaves %v: %v", name, left, err)
		}
	}
}
