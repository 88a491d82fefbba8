//go:build !windows

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/secret/secrettest"
)

// imageToken is a part of the access tokens in image URIs.
const imageToken = "SIMULATED"

// leak is one run of the command that could let a secret out.
type leak struct {
	name string
	args []string
	env  []string
	code int // -1: any
}

// Whatever fails, nothing that comes out of the command holds a secret or a part of one:
// output, log, report, metrics, traces, temporary files, the warehouse and its rows.
func TestNothingLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs the command more than 150 times")
	}
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Images: 300})
	if err != nil {
		t.Fatal(err)
	}
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Training-Key", "simulated")
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(good.Close)
	var traced sync.Map // what the collector received, by run
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what there is
		run := strings.Split(r.URL.Path, "/")[1]
		before, _ := traced.LoadOrStore(run, "")
		traced.Store(run, before.(string)+string(body))
		if strings.HasSuffix(run, "5") { // one that refuses, and repeats its key
			http.Error(w, fmt.Sprint(r.Header), http.StatusForbidden)
		}
	}))
	t.Cleanup(collector.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Proxy-Authorization"))
		http.Error(w, fmt.Sprint(r.Header, r.Host), http.StatusProxyAuthRequired)
	}))
	t.Cleanup(proxy.Close)
	faults := secrettest.Faults(t)
	var runs []leak
	var all []secrettest.Secrets
	add := func(name string, code int, args []string, env func(secrettest.Secrets) []string) {
		secrets := secrettest.New(len(runs))
		run := leak{name: name, args: slices.Clone(args), env: append(secrets.Environment(), "VISION_TRAINING_ENDPOINT="+good.URL), code: code}
		if env != nil {
			run.env = append(run.env, env(secrets)...)
		}
		runs, all = append(runs, run), append(all, secrets)
	}
	project, iteration := service.Projects()[0].ID.String(), service.Projects()[0].Iterations[0].ID.String()
	commands := map[string][]string{
		"export": {"export", "--project", project, "--iteration", iteration}, "nightly": {"nightly"}, "listen": {"listen", "--queue", "q", "--until-idle"}, "verify": {"verify"},
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := write("config.yaml", fmt.Sprintf("resources: [{name: one, endpoint: %q, key: {env: VISION_TRAINING_KEY}}]", good.URL))
	for name, args := range map[string][]string{
		"export": commands["export"], "dry run": append(slices.Clone(commands["export"]), "--dry-run"), "wait": append(slices.Clone(commands["export"]), "--wait"),
		"nightly": commands["nightly"], "config check": {"config", "check", "--config", config},
	} {
		add(name, exitDone, args, nil)
	}
	add("no such tag", exitFailed, append(slices.Clone(commands["export"]), "--tag", "none"), nil)
	add("sql", exitFailed, []string{"sql", "--dialect", "duckdb"}, nil)
	add("sql for Azure", exitDone, []string{"sql", "--dialect", "duckdb", "--warehouse", "azblob://container"}, func(s secrettest.Secrets) []string { return s.Azure(good.URL, true) })
	for _, wrong := range []string{"config: {", "resources: [{name: one, endpoint: westeurope, key: %s}]", "resources: [{name: one, endpoint: %q, key: {env: VISION_TRAINING_KEY}}]"} {
		n := len(runs)
		file := write(fmt.Sprintf("wrong%d.yaml", n), strings.NewReplacer("%s", secrettest.New(n).Key, "%q", "https://me:"+url.PathEscape(secrettest.New(n).Proxy)+"@host").Replace(wrong))
		add(wrong, exitUsage, []string{"config", "check", "--config", file}, nil)
	}
	for _, wrong := range []string{"ping: https://hc-ping.com/%s", "ping: {env: https://hc-ping.com/%s}", "ping: {file: https://hc-ping.com/%s}"} {
		n := len(runs)
		file := write(fmt.Sprintf("ping%d.yaml", n), fmt.Sprintf(wrong, secrettest.New(n).Ping)+fmt.Sprintf("\nresources: [{name: one, endpoint: %q, key: {env: VISION_TRAINING_KEY}}]", good.URL))
		add(wrong, exitUsage, []string{"nightly", "--config", file}, nil)
		add(wrong, exitUsage, []string{"config", "check", "--config", file}, nil)
	}
	add("no monitor", exitUsage, commands["nightly"], func(s secrettest.Secrets) []string { return []string{"CVEXPORT_PING=hc-ping.com/" + s.Ping} })
	for _, flag := range []string{"--ping=hc-ping.com/", "--ping-file=https://hc-ping.com/"} {
		add(flag, exitUsage, append(slices.Clone(commands["nightly"]), flag+secrettest.New(len(runs)).Ping), nil)
	}
	bound := timeBound(t, program)
	for name, fault := range faults {
		across := strings.HasPrefix(name, "across")
		service := func(secrettest.Secrets) []string { return []string{"VISION_TRAINING_ENDPOINT=" + fault} }
		token := func(s secrettest.Secrets) []string { return s.Azure(fault, true) }
		account := func(s secrettest.Secrets) []string { return s.Azure(fault, false) }
		s3 := func(s secrettest.Secrets) []string { return s.S3(fault) }
		to := func(command, warehouse string) []string {
			return append(slices.Clone(commands[command]), "--warehouse", warehouse)
		}
		add("export from "+name, -1, commands["export"], service)
		add("verify on S3, "+name, -1, to("verify", "s3://bucket"), s3)
		if bound != nil || !slices.Contains([]string{"away", "no host", "certificate", "cut", "echo 302"}, name) { // which Azure's SDK tries again for long
			add("verify on Azure, "+name, -1, to("verify", "azblob://container"), token)
			if !across {
				add("nightly to Azure, "+name, -1, to("nightly", "azblob://container"), token)
				add("listen, "+name, -1, commands["listen"], token)
			}
		}
		if !across {
			add("nightly with a monitor, "+name, exitDone, commands["nightly"], func(s secrettest.Secrets) []string {
				return []string{"CVEXPORT_PING=" + fault + "/" + s.Ping + "?create=1"}
			})
			keyFile := write(fmt.Sprintf("%d.key", len(runs)), secrettest.New(len(runs)).Key+"\n")
			add("key file for "+name, -1, []string{"nightly", "--key-file", keyFile}, func(s secrettest.Secrets) []string { return append(service(s), "VISION_TRAINING_KEY=") })
			add("export to S3, "+name, -1, to("export", "s3://bucket"), s3)
		}
		if name == "echo 400" || name == "echo 403" {
			add("export with an account's key, "+name, -1, to("export", "azblob://container"), account)
			add("listen with an account's key, "+name, -1, commands["listen"], account)
		}
	}
	behind := func(s secrettest.Secrets) string {
		return "HTTPS_PROXY=" + strings.Replace(proxy.URL, "//", "//me:"+url.PathEscape(s.Proxy)+"@", 1)
	}
	add("proxy", exitFailed, commands["nightly"], func(s secrettest.Secrets) []string { return []string{behind(s), "VISION_TRAINING_ENDPOINT=westeurope"} })
	add("proxy away", exitFailed, commands["nightly"], func(s secrettest.Secrets) []string {
		return []string{"HTTPS_PROXY=http://me:" + url.PathEscape(s.Proxy) + "@127.0.0.1:1", "VISION_TRAINING_ENDPOINT=westeurope"}
	})
	add("no proxy", exitUsage, commands["nightly"], func(s secrettest.Secrets) []string { return []string{"HTTPS_PROXY=http://me:" + s.Proxy + "@:x"} })
	if bound != nil {
		add("token behind a proxy", exitPartial, append(slices.Clone(commands["verify"]), "--warehouse", "azblob://account.blob.core.windows.net/container"), func(s secrettest.Secrets) []string {
			return []string{behind(s), "AZURE_STORAGE_SAS_TOKEN=?sv=1&sig=" + url.QueryEscape(s.SAS)}
		})
		add("login behind a proxy", exitFailed, append(slices.Clone(commands["verify"]), "--warehouse", "azblob://account.blob.core.windows.net/container"), func(s secrettest.Secrets) []string {
			return []string{behind(s), "AZURE_TOKEN_CREDENTIALS=EnvironmentCredential", "AZURE_TENANT_ID=tenant", "AZURE_CLIENT_ID=client", "AZURE_CLIENT_SECRET=" + s.Client}
		})
	}
	for n, address := range []func(secrettest.Secrets) string{
		func(s secrettest.Secrets) string {
			return "azblob://account.blob.core.windows.net/c?sig=" + url.QueryEscape(s.SAS)
		},
		func(s secrettest.Secrets) string {
			return "https://me:" + url.PathEscape(s.Proxy) + "@host/x?sig=" + url.QueryEscape(s.SAS)
		},
		func(s secrettest.Secrets) string {
			return "https://account.blob.core.windows.net/c#sig=" + url.QueryEscape(s.SAS)
		},
	} {
		flag, command := "--warehouse", commands["verify"]
		for _, queue := range []bool{false, true} {
			if queue {
				flag, command = "--queue", []string{"listen"}
			}
			add(fmt.Sprintf("%s with a token %d", flag, n), exitUsage, append(slices.Clone(command), flag, address(secrettest.New(len(runs)))), nil)
		}
	}
	redacted, fromTraces := atomic.Int64{}, atomic.Int64{}
	limit := make(chan struct{}, 8) // some wait for retries
	var group sync.WaitGroup
	for n, run := range runs {
		secrets, root, tmp, records := all[n], t.TempDir(), t.TempDir(), t.TempDir()
		hasLog := run.args[0] != "config" && run.args[0] != "sql"
		if hasLog {
			run.args = append(run.args, "--verbose", "--log-format", []string{"text", "json"}[n%2], "--output", []string{"text", "json"}[n/2%2])
		}
		if !slices.Contains(run.args, "--warehouse") && run.args[0] != "config" {
			run.args = append(run.args, "--warehouse", root)
		}
		if run.args[0] == "verify" {
			run.args = append(run.args, "--retries", "0")
		}
		if hasLog && run.args[0] != "verify" {
			run.args = append(run.args, "--rate", "100000", "--retries", "0", "--report", filepath.Join(records, "report.json"), "--metrics-file", filepath.Join(records, "metrics.prom"))
		}
		if run.args[0] == "listen" {
			run.args = append(run.args, "--poll", "1ms") // it asks the queue many times
		}
		if hasLog {
			run.args = append(run.args, bound...)
		}
		cmd := exec.Command(program, run.args...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+tmp, "GOTRACEBACK=all", fmt.Sprintf("OTEL_EXPORTER_OTLP_ENDPOINT=%s/%d", collector.URL, n))
		cmd.Env = append(cmd.Env, run.env...)
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			output, err := cmd.CombinedOutput()
			exit := new(exec.ExitError)
			if err != nil && !errors.As(err, &exit) {
				t.Errorf("%s: %v", run.name, err)
				return
			}
			if code := cmd.ProcessState.ExitCode(); run.code >= 0 && code != run.code || code > exitAuth {
				t.Errorf("%s: exit code %d, want %d: %s", run.name, code, run.code, output)
			}
			if hasLog && n%2 == 1 {
				checkJSONLog(t, run.name, output)
			}
			if bytes.Contains(output, []byte("REDACTED")) {
				redacted.Add(1)
			}
			secrets.Search(t, "the output of "+run.name, output)
			for _, folder := range []string{records, root, tmp} {
				secrets.SearchFolder(t, folder, func(path string, body []byte) {
					if filepath.Ext(path) != ".parquet" {
						return
					}
					rows, err := rowsText(t, body)
					if err != nil {
						t.Error(err)
					}
					secrets.Search(t, "a row of "+path, rows)
					if bytes.Contains(rows, []byte(imageToken)) {
						t.Errorf("%s: %s holds an image's token", run.name, path)
					}
				})
			}
			if body, found := traced.Load(fmt.Sprint(n)); found {
				fromTraces.Add(1)
				secrets.Search(t, "the traces of "+run.name, []byte(body.(string)))
			}
		})
	}
	group.Wait()
	if n := redacted.Load(); n < int64(len(runs))/5 {
		t.Errorf("only %d of %d runs had anything to redact", n, len(runs))
	}
	if n := fromTraces.Load(); n < int64(len(runs))/3 {
		t.Errorf("only %d of %d runs sent traces", n, len(runs))
	}
	t.Logf("FIGURES: %d runs of cvexport searched for %d secrets each, under %d faults of a server and others: %d had something to redact, %d sent traces; leaked: %t",
		len(runs), len(all[0].All()), len(faults), redacted.Load(), fromTraces.Load(), t.Failed())
}

// timeBound returns the flags that bound how long a command tries again, if it has them.
func timeBound(t *testing.T, program string) []string {
	t.Helper()
	help, err := exec.Command(program, "verify", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(help, []byte("--give-up-after")) {
		return []string{"--give-up-after", "100ms"}
	}
	return nil
}

// checkJSONLog checks that a log in JSON is that, to its last lines, which are the
// result and the errors.
func checkJSONLog(t *testing.T, name string, output []byte) {
	t.Helper()
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "time=") || strings.HasPrefix(line, "SDK ") || strings.HasPrefix(line, "20") {
			t.Errorf("%s: a line is not JSON: %s", name, line)
		}
	}
}

// rowsText returns every value of a Parquet file.
func rowsText(t *testing.T, body []byte) ([]byte, error) {
	f, err := file.NewParquetReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	table, err := reader.ReadTable(t.Context())
	if err != nil {
		return nil, err
	}
	defer table.Release()
	var text bytes.Buffer
	for i := range int(table.NumCols()) {
		for _, chunk := range table.Column(i).Data().Chunks() {
			for row := range chunk.Len() {
				text.WriteString(chunk.ValueStr(row) + "\n")
			}
		}
	}
	return text.Bytes(), nil
}
