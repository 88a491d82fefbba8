package docs

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
)

// block is a block of shell commands.
type block struct {
	line int
	text string
}

var notRun = regexp.MustCompile(`^\s*<!-- not run: (\S.*\S) -->$`)

// blocks are a page's blocks of shell commands that can be run. One that cannot has a
// comment above that says why.
func (p page) blocks(t *testing.T) (all []block, left int) {
	t.Helper()
	for n := 0; n < len(p.lines); n++ {
		indent, fence, ok := strings.Cut(p.lines[n], "```")
		if !ok || strings.TrimSpace(indent) != "" || fence != "sh" {
			continue
		}
		b := block{line: n + 1}
		skip := n > 0 && notRun.MatchString(p.lines[n-1])
		for n++; strings.TrimSpace(p.lines[n]) != "```"; n++ {
			b.text += strings.TrimPrefix(p.lines[n], indent) + "\n"
		}
		if skip {
			left++
		} else {
			all = append(all, b)
		}
	}
	return all, left
}

// TestCommands runs every block of commands of the README, the tutorial and the how-to
// guides, those of a page one after the other in an empty folder, against the simulated
// service.
func TestCommands(t *testing.T) {
	ran, left := 0, 0
	for _, p := range pages(t) {
		if p.path != "README.md" && p.path != "docs/tutorial.md" && !strings.HasPrefix(p.path, "docs/how-to/") {
			continue
		}
		blocks, skipped := p.blocks(t)
		ran, left = ran+len(blocks), left+skipped
		if len(blocks) == 0 {
			continue
		}
		t.Run(p.path, func(t *testing.T) {
			t.Parallel()
			runBlocks(t, p.path, blocks)
		})
	}
	if ran < 18 {
		t.Errorf("only %d blocks are run", ran)
	}
	t.Logf("FIGURES: %d blocks of commands run, %d not, each with its reason", ran, left)
}

func runBlocks(t *testing.T, path string, blocks []block) {
	t.Helper()
	service, err := simulated.New(simulated.Config{Kind: simulated.Detection, Images: 300, Iterations: 2})
	if err != nil {
		t.Fatal(err)
	}
	service.Rename(0, "shop")
	server := httptest.NewServer(service)
	defer server.Close()
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	if path != "README.md" && path != "docs/tutorial.md" { // a how-to guide is for those who have exported something
		script.WriteString("cvexport nightly --quiet\n")
	}
	for _, b := range blocks {
		text := b.text
		// What a reader replaces, too.
		text = strings.ReplaceAll(text, "https://NAME.cognitiveservices.azure.com", server.URL)
		text = strings.ReplaceAll(text, "VISION_TRAINING_KEY=... ", "VISION_TRAINING_KEY=simulated ")
		fmt.Fprintf(&script, "echo '=== line %d' >&2\n%s", b.line, text)
	}
	folder := t.TempDir()
	shell := exec.Command("bash", "-c", script.String())
	shell.Dir = folder
	shell.Env = append(os.Environ(),
		"PATH="+programs+string(filepath.ListSeparator)+os.Getenv("PATH"), "HOME="+folder, "CVEXPORT_CACHE="+filepath.Join(folder, ".cache"),
		"VISION_TRAINING_ENDPOINT="+server.URL, "VISION_TRAINING_KEY=simulated", "CVEXPORT_WAREHOUSE=", "CVEXPORT_CONFIG=")
	if out, err := shell.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", path, err, out)
	}
}
