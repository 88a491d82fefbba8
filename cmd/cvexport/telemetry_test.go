package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
)

// Traces reach a collector: the export, with the requests to service and store
// below it, and no key among them.
func TestTraces(t *testing.T) {
	const key = "trace0secret1key2"
	service, err := simulated.New(simulated.Config{Images: 300, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	var mu sync.Mutex
	spans := map[string]int{}
	hosts := map[string]bool{}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			http.Error(w, "not traces", http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if bytes.Contains(body, []byte(key)) || bytes.Contains(body, []byte(azurite.Key)) {
			t.Error("a key is in the traces")
		}
		for _, rs := range request.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, span := range ss.Spans {
					spans[span.Name]++
					for _, a := range span.Attributes {
						if a.Key == "server.address" || a.Key == "url.full" || a.Key == "http.url" {
							hosts[a.Value.GetStringValue()] = true
						}
					}
					if span.Name != "export" && len(span.ParentSpanId) == 0 {
						t.Errorf("span %s has no parent", span.Name)
					}
				}
			}
		}
	}))
	defer sink.Close()
	storage := azurite.Start(t)
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", storage.ConnectionString)
	makeContainer(t, storage, "traced")

	cmd := exec.Command(os.Args[0], "export", "--project", service.Projects()[0].ID.String(), "--iteration", "latest", "--warehouse", "azblob://traced", "--rate", "1000")
	cmd.Env = append(os.Environ(), asCommand+"=1", "VISION_TRAINING_ENDPOINT="+server.URL, "VISION_TRAINING_KEY="+key, "OTEL_EXPORTER_OTLP_ENDPOINT="+sink.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	if spans["export"] != 1 || spans["HTTP GET"] < 8 || spans["HTTP PUT"] != 6 {
		t.Errorf("spans %v", spans)
	}
	for _, want := range []string{server.URL, storage.BlobEndpoint} {
		found := false
		for host := range hosts {
			found = found || strings.Contains(host, strings.TrimPrefix(want, "http://"))
		}
		if !found {
			t.Errorf("no span of %s: %v", want, hosts)
		}
	}
}

// A collector that is away neither holds up an export nor changes its end.
func TestTracesWithoutCollector(t *testing.T) {
	service, err := simulated.New(simulated.Config{Images: 5})
	if err != nil {
		t.Fatal(err)
	}
	b := newCrashBench(t, service)
	b.env = append(b.env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	if out, err := b.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
