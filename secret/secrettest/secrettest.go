// Package secrettest has secrets, servers that repeat them, and a search for them, for
// tests of what programs let out.
package secrettest

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets are those of one run. Every run has others: what a run does not make known
// itself, no earlier one has.
type Secrets struct {
	Key     string // of the training service
	SAS     string // the signature of a shared access signature
	Account string // the key of a storage account
	AWS     string // the secret access key
	Session string // AWS's token
	Client  string // the secret of an application of Azure
	Proxy   string // a password
	Traces  string // a key of the collector
	Ping    string // what the path of a monitor's address has
}

// New returns the secrets of run n.
func New(n int) Secrets {
	random := func(what string, bytes int) string {
		sum := sha512.Sum512(fmt.Appendf(nil, "%s %d", what, n))
		return base64.StdEncoding.EncodeToString(sum[:bytes])
	}
	return Secrets{
		Key: strings.TrimRight(random("key", 30), "=") + "+/%&9z", SAS: random("sas", 32), Account: random("account", 64), AWS: random("aws", 30),
		Session: strings.Repeat(random("session", 63), 4), Client: random("client", 27) + "~.", Proxy: random("proxy", 15), Traces: random("traces", 24),
		Ping: strings.NewReplacer("/", "-", "+", "_").Replace(random("ping", 18)),
	}
}

// All returns the secrets.
func (s Secrets) All() []string {
	return []string{s.Key, s.SAS, s.Account, s.AWS, s.Session, s.Client, s.Proxy, s.Traces, s.Ping}
}

// Environment returns variables that lead to servers at an address, and what has the
// secrets in it.
func (s Secrets) Environment() []string {
	return []string{"VISION_TRAINING_KEY=" + s.Key, "OTEL_EXPORTER_OTLP_HEADERS=api-key=" + url.PathEscape(s.Traces)}
}

// Azure returns the variables of a storage account at an address, with a token or the
// account's key.
func (s Secrets) Azure(to string, token bool) []string {
	credential := "AccountName=account;AccountKey=" + s.Account
	if token {
		credential = "SharedAccessSignature=sv=2022-11-02&sp=rwdl&sig=" + url.QueryEscape(s.SAS)
	}
	return []string{"AZURE_STORAGE_CONNECTION_STRING=BlobEndpoint=" + to + "/account;QueueEndpoint=" + to + "/account;" + credential}
}

// S3 returns the variables of a server that speaks S3.
func (s Secrets) S3(to string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + to, "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=" + s.AWS, "AWS_SESSION_TOKEN=" + s.Session,
		"AWS_REGION=eu-central-1", "AWS_CONFIG_FILE=/nowhere", "AWS_SHARED_CREDENTIALS_FILE=/nowhere", "AWS_MAX_ATTEMPTS=1",
	}
}

// part is the length from which a part of a secret counts as found.
const part = 12

// Search looks for the secrets, and parts of them, in what came out: as they are, in URLs,
// JSON, base64 and hexadecimal.
func (s Secrets) Search(t *testing.T, where string, body []byte) {
	t.Helper()
	parts := map[string]string{}
	for _, secret := range s.All() {
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), url.QueryEscape(url.QueryEscape(secret)), string(quoted[1 : len(quoted)-1]),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), base64.RawURLEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
		} {
			for i := range len(form) - part + 1 {
				parts[form[i:i+part]] = secret
			}
		}
	}
	for i := range len(body) - part + 1 {
		if secret, found := parts[string(body[i:i+part])]; found {
			t.Errorf("%s holds %q, of the secret %q: ...%.300q", where, body[i:i+part], secret, body[max(0, i-150):])
			return
		}
	}
}

// SearchFolder searches the files of a folder.
func (s Secrets) SearchFolder(t *testing.T, folder string, also func(path string, body []byte)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s.Search(t, path, body)
		if also != nil {
			also(path, body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Faults returns the addresses of servers that answer a request with all that it holds, in
// many ways; and of some that do not answer. Their names say how.
func Faults(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{
		"away":    "http://127.0.0.1:1",
		"no host": "https://" + strings.Repeat("a", 64) + ".invalid", // which no resolver is asked for
	}
	serve := func(name string, handler http.HandlerFunc) {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		all[name] = server.URL
	}
	for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500} {
		serve(fmt.Sprintf("echo %d", status), func(w http.ResponseWriter, r *http.Request) { echo(w, r, status) })
	}
	serve("html", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html><title>%s</title>%s</html>", url.QueryEscape(held(r)), held(r))
	})
	serve("cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		fmt.Fprint(w, held(r))
		panic(http.ErrAbortHandler)
	})
	// The secret lies across each place where the program could cut a text.
	for _, limit := range []int{40, 80, 200, 300, 1 << 14, 64 << 10} {
		for _, before := range []int{8, 20} {
			serve(fmt.Sprintf("across %d, %d", limit, before), func(w http.ResponseWriter, r *http.Request) {
				quick(w)
				w.WriteHeader(http.StatusBadGateway)
				fmt.Fprint(w, strings.Repeat("x", limit-before), r.Header.Get("Training-Key"), r.URL.Query().Get("sig"), r.Header.Get("X-Amz-Security-Token"))
			})
		}
	}
	untrusted := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { echo(w, r, http.StatusOK) }))
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	all["certificate"] = untrusted.URL
	return all
}

// quick lets Azure's SDK try again at once.
func quick(w http.ResponseWriter) { w.Header().Set("Retry-After-Ms", "1") }

// held is all that a request holds, also in other encodings.
func held(r *http.Request) string {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10)) // what there is
	text := fmt.Sprintf("%s %v %q", r.URL, r.Header, body)
	for _, values := range r.Header {
		text += fmt.Sprintf(" %s %s", url.QueryEscape(values[0]), base64.StdEncoding.EncodeToString([]byte(values[0])))
	}
	return text + " " + url.QueryEscape(r.URL.String())
}

func echo(w http.ResponseWriter, r *http.Request, status int) {
	everything, key := held(r), r.Header.Get("Training-Key")
	for name, values := range r.Header {
		w.Header().Add("X-Echo-"+name, strings.Join(values, " "))
	}
	quick(w)
	w.Header().Set("Apim-Request-Id", key)
	w.Header().Set("X-Amz-Request-Id", r.Header.Get("X-Amz-Security-Token"))
	w.Header().Set("X-Ms-Error-Code", r.URL.Query().Get("sig"))
	w.Header().Set("Location", "https://127.0.0.1:1/?"+r.URL.RawQuery+"&key="+url.QueryEscape(key)+"#sig="+url.QueryEscape(r.Header.Get("X-Amz-Security-Token")))
	if strings.Contains(r.UserAgent(), "aws-sdk") {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		var escaped bytes.Buffer
		for _, c := range everything {
			fmt.Fprintf(&escaped, "%s", map[rune]string{'<': "&lt;", '&': "&amp;"}[c])
			if c != '<' && c != '&' {
				escaped.WriteRune(c)
			}
		}
		fmt.Fprintf(w, "<Error><Code>%[1]s</Code><Message>%[2]s</Message></Error>", "Code"+r.Header.Get("X-Amz-Security-Token"), &escaped)
		return
	}
	w.WriteHeader(status)
	answer, _ := json.Marshal(map[string]string{"code": key, "message": everything}) // texts always have JSON
	w.Write(answer)
}
