//go:build !windows

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/internal/simulated"
)

// The secrets of a run, and a part of the tokens in image URIs.
const (
	secretKey   = "trainingSecret0123456789abcdef42"
	secretSAS   = "storageSecret%2B4711%3D"
	secretAWS   = "awsSecret+0123/456789abcdef"
	secretImage = "SIMULATED"
)

// findSecrets looks for secrets, as they are and in other encodings.
func findSecrets(t *testing.T, where string, body []byte, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		plain, err := url.QueryUnescape(strings.ReplaceAll(secret, "+", "%2B"))
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{secret, plain, url.QueryEscape(secret), url.QueryEscape(plain), base64.StdEncoding.EncodeToString([]byte(plain))} {
			if at := bytes.Index(body, []byte(form)); at >= 0 {
				t.Errorf("%s holds a secret: %.300q", where, body[max(0, at-150):])
				break
			}
		}
	}
}

// echo answers every request with all that the request holds.
func echo(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		everything := fmt.Sprintf("%s %v %.1000q", r.URL, r.Header, body)
		for name, values := range r.Header {
			w.Header().Add("X-Echo-"+name, strings.Join(values, " "))
		}
		w.Header().Set("apim-request-id", r.Header.Get("Training-key"))
		w.Header().Set("Location", "https://127.0.0.1:1/?"+r.URL.RawQuery+"&key="+r.Header.Get("Training-key"))
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code":%q,"message":%q}`, r.Header.Get("Training-key"), everything)
	})
}

// Whatever fails, no output, log, report, metric or Parquet file holds the training
// key, a credential of a store, or a token of an image.
func TestSecretsStayOut(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs the command more than 50 times")
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Images: 300, Key: secretKey})
	if err != nil {
		t.Fatal(err)
	}
	good := httptest.NewServer(service)
	t.Cleanup(good.Close)
	endpoint := func(handler http.Handler) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return server.URL
	}
	untrusted := httptest.NewTLSServer(echo(200))
	t.Cleanup(untrusted.Close)
	project, iteration := service.Projects()[0].ID.String(), service.Projects()[0].Iterations[0].ID.String()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "resources: [{name: one, endpoint: %q, key: {env: VISION_TRAINING_KEY}}]", good.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	inConfig := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(inConfig, fmt.Appendf(nil, "resources: [{name: one, endpoint: %q, key: %s}]", good.URL, secretKey), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoints := map[string]string{
		"good": good.URL, "echo 200": endpoint(echo(200)), "echo 302": endpoint(echo(302)), "echo 400": endpoint(echo(400)),
		"echo 401": endpoint(echo(401)), "echo 429": endpoint(echo(429)), "echo 500": endpoint(echo(500)),
		"certificate": untrusted.URL, "away": "http://127.0.0.1:1", "no url": "http://user:" + secretKey + "@127.0.0.1:1",
		"key in its place": secretKey,
	}
	sas := "sv=2022-11-02&sp=rwdl&sig=" + secretSAS
	azure := func(to string) []string {
		return []string{"AZURE_STORAGE_CONNECTION_STRING=BlobEndpoint=" + to + "/account;QueueEndpoint=" + to + "/account;SharedAccessSignature=" + sas}
	}
	aws := func(to string) []string {
		return []string{"AWS_ENDPOINT_URL=" + to, "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=" + secretAWS, "AWS_SESSION_TOKEN=" + secretAWS,
			"AWS_REGION=eu-central-1", "AWS_CONFIG_FILE=/nowhere", "AWS_SHARED_CREDENTIALS_FILE=/nowhere", "AWS_MAX_ATTEMPTS=1"}
	}
	export := []string{"export", "--project", project, "--iteration", iteration}
	type attempt struct {
		name     string
		endpoint string // in endpoints
		args     []string
		env      []string
		fault    *simulated.Fault
		code     []int
	}
	attempts := []attempt{
		{"export", "good", export, nil, nil, []int{0}},
		{"dry run", "good", append(slices.Clone(export), "--dry-run"), nil, nil, []int{0}},
		{"wait", "good", append(slices.Clone(export), "--wait"), nil, nil, []int{0}},
		{"no such tag", "good", append(slices.Clone(export), "--tag", "none"), nil, nil, []int{1}},
		{"nightly", "good", []string{"nightly"}, nil, nil, []int{0}},
		{"verify", "good", []string{"verify"}, nil, nil, []int{1}},
		{"config check", "", []string{"config", "check", "--config", config}, nil, nil, []int{0}},
		{"key in the configuration", "", []string{"config", "check", "--config", inConfig}, nil, nil, []int{2}},
		{"key as an argument", "good", append(slices.Clone(export), secretKey), nil, nil, nil},
		{"listen, echoed", "good", []string{"listen", "--queue", "q", "--until-idle"}, azure(endpoints["echo 400"]), nil, []int{1}},
		{"azure, echoed", "good", append(slices.Clone(export), "--warehouse", "azblob://container"), azure(endpoints["echo 400"]), nil, []int{1}},
		{"azure, refused", "good", append(slices.Clone(export), "--warehouse", "azblob://container"), azure(endpoints["echo 401"]), nil, []int{1}},
		{"azure, no url", "good", append(slices.Clone(export), "--warehouse", "azblob://container"), azure("http://a b:x"), nil, nil},
		{"azure, no string", "good", append(slices.Clone(export), "--warehouse", "azblob://container"), []string{"AZURE_STORAGE_CONNECTION_STRING=" + sas}, nil, nil},
		{"azure, wrong key", "good", append(slices.Clone(export), "--warehouse", "azblob://container"), []string{"AZURE_STORAGE_ACCOUNT=a", "AZURE_STORAGE_KEY=" + secretAWS}, nil, nil},
		{"azure, verify", "good", []string{"verify", "--warehouse", "azblob://container"}, azure(endpoints["echo 400"]), nil, []int{3}},
		{"s3, echoed", "good", append(slices.Clone(export), "--warehouse", "s3://bucket"), aws(endpoints["echo 400"]), nil, []int{1}},
		{"s3, refused", "good", append(slices.Clone(export), "--warehouse", "s3://bucket"), aws(endpoints["echo 401"]), nil, []int{1}},
		{"s3, away", "good", append(slices.Clone(export), "--warehouse", "s3://bucket"), aws("http://127.0.0.1:1"), nil, []int{1}},
		{"s3, verify", "good", []string{"verify", "--warehouse", "s3://bucket"}, aws(endpoints["echo 400"]), nil, []int{3}},
	}
	for name := range endpoints {
		if name != "good" {
			attempts = append(attempts, attempt{"export from " + name, name, export, nil, nil, nil}, attempt{"nightly from " + name, name, []string{"nightly"}, nil, nil, nil})
		}
	}
	for _, kind := range []simulated.FaultKind{simulated.Error500, simulated.HTML200, simulated.Reset, simulated.Truncated, simulated.Duplicate, simulated.MissingID, simulated.BadNumber, simulated.UnknownField} {
		attempts = append(attempts, attempt{"fault " + string(kind), "good", export, nil, &simulated.Fault{Kind: kind, Page: 1, Times: 3}, nil})
	}
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			b := newHarness(t, service)
			if a.fault != nil {
				service.Fault(*a.fault)
			}
			b.args = append(slices.Clone(a.args), "--verbose", "--log-format", "json", "--output", "json")
			if !slices.Contains(a.args, "--warehouse") {
				b.args = append(b.args, "--warehouse", b.root)
			}
			records := t.TempDir()
			if a.args[0] != "verify" {
				b.args = append(b.args, "--rate", "100000", "--retries", "0")
			}
			if a.args[0] != "verify" && a.args[0] != "config" {
				b.args = append(b.args, "--report", filepath.Join(records, "report.json"), "--metrics-file", filepath.Join(records, "metrics.prom"))
			}
			b.env = append(b.env, "VISION_TRAINING_KEY="+secretKey, "VISION_TRAINING_ENDPOINT="+endpoints[a.endpoint], "GOTRACEBACK=all")
			b.env = append(b.env, a.env...)
			code, output := b.limited(t, "")
			if len(a.code) > 0 && !slices.Contains(a.code, code) {
				t.Errorf("exit code %d, want %v: %s", code, a.code, output)
			}
			secrets := []string{secretKey, secretSAS, secretAWS, secretImage}
			if a.name == "key as an argument" { // which the error message repeats
				secrets = secrets[1:]
			}
			findSecrets(t, "the output", []byte(output), secrets...)
			for _, folder := range []string{records, b.root, b.tmp} {
				searchFiles(t, folder, secrets...)
			}
		})
	}
}

// searchFiles searches the files of a folder, and the rows of Parquet files.
func searchFiles(t *testing.T, folder string, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		findSecrets(t, path, body, secrets...)
		if filepath.Ext(path) == ".parquet" {
			rows, err := rowsText(t, body)
			if err != nil {
				return err
			}
			findSecrets(t, "a row of "+path, rows, secrets...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
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

// The goroutine dump and the spool files of a program that is killed hold no secret.
func TestSecretsStayOutOfCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it kills processes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("it needs /proc")
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Images: 600, Key: secretKey})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	b.env = append(b.env, "VISION_TRAINING_KEY="+secretKey, "GOTRACEBACK=all", "AZURE_STORAGE_SAS_TOKEN=sig="+secretSAS)
	service.Fault(simulated.Fault{Kind: simulated.Slow, Page: 2, Delay: 1 << 40})
	cmd := b.command()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !slices.ContainsFunc(service.Requests(), func(r simulated.Request) bool { return r.Page == 2 }) {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it asked for page 2: %v: %s", err, &output)
		default:
			runtime.Gosched()
		}
	}
	open := fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid)
	entries, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}
	spools := 0
	for _, entry := range entries {
		path := filepath.Join(open, entry.Name())
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, b.tmp) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			spools++
			findSecrets(t, target, body, secretKey, secretSAS, secretImage)
		}
	}
	if spools != 5 {
		t.Errorf("%d spool files are open, want 5", spools)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || !strings.Contains(output.String(), "goroutine ") {
		t.Errorf("%v: %s", err, &output)
	}
	findSecrets(t, "the crash dump", output.Bytes(), secretKey, secretSAS, secretImage)
	searchFiles(t, b.root, secretKey, secretSAS, secretImage)
	searchFiles(t, b.tmp, secretKey, secretSAS, secretImage)
}
