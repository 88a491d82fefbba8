package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/printable/printabletest"
	"github.com/cvexport/cvexport/internal/simulated"
)

// Names and messages from outside, whatever is in them, are only text in what every
// command prints and writes.
func TestHostileNames(t *testing.T) {
	service, err := simulated.New(simulated.Config{Seed: 2, Images: 5, Iterations: 2})
	if err != nil {
		t.Fatal(err)
	}
	hostile := func(n any) string {
		body, err := json.Marshal(fmt.Sprintf("%v %s", n, printabletest.Hostile))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		service.ServeHTTP(answer, r)
		body := answer.Body.String()
		for _, field := range []string{"name", "publishName", "originalPublishResourceId"} {
			for n, part := range strings.Split(body, `"`+field+`":"`)[1:] {
				text, _, _ := strings.Cut(part, `"`)
				body = strings.Replace(body, `"`+field+`":"`+text+`"`, `"`+field+`":`+hostile(n), 1)
			}
		}
		w.WriteHeader(answer.Code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Apim-Request-Id", "\x1b[2J\u202e")
		w.Header().Set("X-Ms-Error-Code", "Code\u202e\u009b")
		if strings.Contains(r.UserAgent(), "aws-sdk") {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "<Error><Code>a&#10;cvexport: forged\u202e</Code><Message>%s</Message></Error>", strings.NewReplacer("\x1b", "\u009b", "\x07", "", "<", "").Replace(printabletest.Hostile))
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"code":%s,"message":%s}`, hostile("code"), hostile("message"))
	}))
	t.Cleanup(refusing.Close)
	t.Setenv("VISION_TRAINING_KEY", "simulated")
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": refusing.URL, "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"} {
		t.Setenv(name, value)
	}
	root, odd := t.TempDir(), t.TempDir()
	oddName := filepath.Join(odd, "exports", "project_id=x\x1b[2J\u202e\ncvexport: forged", "iteration_id=y")
	if err := os.MkdirAll(oddName, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(oddName, "data.parquet"), []byte("PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "resources:\n  - name: %s\n    endpoint: %q\n    key: {env: VISION_TRAINING_KEY}\n    projects: {include: [%[1]s]}\n", `"\u202eevil\u001b"`, server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	project, iterations := service.Projects()[0].ID.String(), service.Projects()[0].Iterations
	export := []string{"export", "--project", project, "--iteration", iterations[0].ID.String()}
	runs := 0
	for n, args := range [][]string{
		append(slices.Clone(export), "--dry-run"), export, append(slices.Clone(export), "--tag", "none"), {"nightly", "--dry-run"}, {"nightly"}, {"nightly", "--include", printabletest.Hostile},
		{"verify"}, {"verify", "--warehouse", odd}, {"verify", "--warehouse", "s3://bucket"}, {"nightly", "--warehouse", "s3://bucket"}, {"sql", "--dialect", "duckdb"}, {"config", "check", "--config", config},
		{"nightly", "--endpoint", refusing.URL}, append(slices.Clone(export), "--endpoint", refusing.URL), {"nightly", "--config", config},
		{"nightly", "--endpoint", printabletest.Hostile}, {"verify", "--warehouse", printabletest.Hostile}, {"export", "--project", printabletest.Hostile}, {printabletest.Hostile}, {"--" + printabletest.Hostile},
		{"listen", "--queue", printabletest.Hostile},
	} {
		for _, format := range []string{"text", "json"} {
			records := t.TempDir()
			full := slices.Clone(args)
			if args[0] == "nightly" || args[0] == "export" {
				full = append(full, "--rate", "10000", "--retries", "0", "--verbose", "--report", filepath.Join(records, "report.json"), "--metrics-file", filepath.Join(records, "metrics.prom"))
				if !slices.Contains(args, "--endpoint") && !slices.Contains(args, "--config") {
					full = append(full, "--endpoint", server.URL)
				}
				full = append(full, "--log-format", format)
			}
			if args[0] == "nightly" || args[0] == "export" || args[0] == "verify" || args[0] == "config" {
				full = append(full, "--output", format)
			}
			if args[0] == "verify" {
				full = append(full, "--retries", "0")
			}
			if !slices.Contains(args, "--warehouse") && args[0] != "config" && args[0][0] < 'w' && args[0][0] != '-' && !strings.HasPrefix(args[0], "evil") {
				full = append(full, "--warehouse", root)
			}
			var stdout, stderr bytes.Buffer
			code := run(full, &stdout, &stderr)
			runs++
			where := fmt.Sprintf("run %d, %q", n, args)
			printabletest.Check(t, where+": standard output", stdout.String())
			printabletest.Check(t, where+": standard error", stderr.String())
			if code == exitDone && format == "json" && (args[0] == "nightly" || args[0] == "export") {
				var out any
				if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
					t.Errorf("%s: %v: %s", where, err, &stdout)
				} else if text := fmt.Sprint(out); !strings.Contains(text, "\u202e") {
					t.Errorf("%s: the name is another one in JSON: %s", where, &stdout)
				}
			}
			for _, name := range []string{"report.json", "metrics.prom"} {
				if body, err := os.ReadFile(filepath.Join(records, name)); err == nil {
					printabletest.Check(t, where+": "+name, string(body))
				}
			}
		}
	}
	if t.Failed() {
		return
	}
	t.Logf("FIGURES: %d runs of cvexport over hostile names, messages, flags and files: 0 let a terminal obey, or forged a line", runs)
}
