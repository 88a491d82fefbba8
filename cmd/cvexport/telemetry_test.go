//go:build !windows

package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
)

// tracedStore is a warehouse whose requests show up in traces.
type tracedStore struct {
	env     []string
	address string // of the warehouse
	server  string // URL of its server
	secret  string
	puts    string // the name of the spans of its uploads
}

func azureToTrace(t *testing.T) tracedStore {
	if testing.Short() {
		t.Skip("-short: it needs Azurite")
	}
	storage := azurite.Start(t)
	makeContainer(t, storage, "traced")
	return tracedStore{[]string{"AZURE_STORAGE_CONNECTION_STRING=" + storage.ConnectionString}, "azblob://traced", storage.BlobEndpoint, azurite.Key, "HTTP PUT"}
}

func s3ToTrace(t *testing.T) tracedStore {
	backend := s3mem.New()
	if err := backend.CreateBucket("traced"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	// As behind a company's proxy: tracing must keep the certificates of the environment.
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	const secret = "trace2secret3key4"
	return tracedStore{[]string{
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=eu-central-1",
		"AWS_CONFIG_FILE=/nowhere", "AWS_SHARED_CREDENTIALS_FILE=/nowhere", "AWS_CA_BUNDLE=" + bundle,
	}, "s3://traced", server.URL, secret, "HTTP PUT"}
}

func gcsToTrace(t *testing.T) tracedStore {
	var fake *fakestorage.Server
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fake.HTTPHandler().ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	host := strings.TrimPrefix(front.URL, "http://")
	var err error
	if fake, err = fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front.URL, PublicHost: host}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Stop)
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "traced"})
	return tracedStore{[]string{"STORAGE_EMULATOR_HOST=" + host}, "gs://traced", front.URL, "", "HTTP POST"}
}

// A collector receives the span of the export with those of the requests to service
// and store below it, and no secret.
func TestTraces(t *testing.T) {
	for name, open := range map[string]func(*testing.T) tracedStore{"azure": azureToTrace, "s3": s3ToTrace, "gcs": gcsToTrace} {
		t.Run(name, func(t *testing.T) { testTraces(t, open(t)) })
	}
}

func testTraces(t *testing.T, store tracedStore) {
	const key = "trace0secret1key2"
	service, err := simulated.New(simulated.Config{Images: 300, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	var mu sync.Mutex
	type at struct{ name, host string }
	spans := map[at]int{}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			http.Error(w, "not traces", http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, secret := range []string{key, store.secret} {
			if secret != "" && bytes.Contains(body, []byte(secret)) {
				t.Error("a secret is in the traces")
			}
		}
		for _, rs := range request.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, span := range ss.Spans {
					spans[at{span.Name, hostOf(span)}]++
					if span.Name != "export" && len(span.ParentSpanId) == 0 {
						t.Errorf("span %s has no parent", span.Name)
					}
				}
			}
		}
	}))
	defer sink.Close()

	cmd := exec.Command(os.Args[0], "export", "--project", service.Projects()[0].ID.String(), "--iteration", "latest", "--warehouse", store.address, "--rate", "1000")
	cmd.Env = append(os.Environ(), asCommand+"=1", "VISION_TRAINING_ENDPOINT="+server.URL, "VISION_TRAINING_KEY="+key, "OTEL_EXPORTER_OTLP_ENDPOINT="+sink.URL)
	cmd.Env = append(cmd.Env, store.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	const tables, probes = 6, 4
	toService, toStore := server.Listener.Addr().String(), strings.Split(store.server, "/")[2]
	if spans[at{"export", ""}] != 1 || spans[at{"HTTP GET", toService}] < 8 || spans[at{store.puts, toStore}] != tables+probes {
		t.Errorf("service %s, store %s: spans %v", toService, toStore, spans)
	}
}

// hostOf returns the host and port of a request.
func hostOf(span *trace.Span) string {
	host, port := "", ""
	for _, a := range span.Attributes {
		switch value := a.Value; a.Key {
		case "url.full", "http.url":
			if u, err := url.Parse(value.GetStringValue()); err == nil {
				return u.Host
			}
		case "server.address":
			host = value.GetStringValue()
		case "server.port":
			port = strconv.FormatInt(value.GetIntValue(), 10)
		}
	}
	if port != "" {
		return net.JoinHostPort(host, port)
	}
	return host
}

// An unreachable collector does not make an export fail.
func TestTracesWithoutCollector(t *testing.T) {
	service, err := simulated.New(simulated.Config{Images: 5})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	b.env = append(b.env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	if out, err := b.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
