package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store"
	storeopen "github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// remote is a warehouse on a server, with a project's exports in it.
type remote struct {
	address string
	store   store.Store
	remove  func(t *testing.T, key string)
	down    func() // the server is gone

	service *simulated.Service
	client  *extract.Client
}

// onGCS is a warehouse on a server that speaks Google Cloud Storage.
func onGCS(t *testing.T) *remote {
	var server *fakestorage.Server
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.HTTPHandler().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	host, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	server, err = fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front.URL, PublicHost: host.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	t.Setenv("STORAGE_EMULATOR_HOST", host.Host)
	return &remote{
		address: "gs://bucket/vision", down: front.Close,
		remove: func(t *testing.T, key string) {
			if err := server.Client().Bucket("bucket").Object("vision/" + key).Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// onS3 is a warehouse on a server that speaks S3.
func onS3(t *testing.T) *remote {
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	return &remote{
		address: "s3://bucket/vision", down: server.Close,
		remove: func(t *testing.T, key string) {
			if _, err := backend.DeleteObject("bucket", "vision/"+key); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// onAzure is a warehouse on the emulator of Azure Blob Storage.
func onAzure(t *testing.T) *remote {
	server := azurite.Start(t)
	account, err := azblob.NewClientFromConnectionString(server.ConnectionString, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.CreateContainer(t.Context(), "container", nil); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString)
	return &remote{
		address: "azblob://container/vision",
		remove: func(t *testing.T, key string) {
			if _, err := account.DeleteBlob(t.Context(), "container", "vision/"+key, nil); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// fill exports two iterations to it.
func (r *remote) fill(t *testing.T) {
	t.Helper()
	var err error
	if r.service, err = simulated.New(simulated.Config{Seed: 3, Kind: simulated.Detection, Iterations: 2, Images: 60}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r.service)
	t.Cleanup(server.Close)
	if r.client, err = extract.NewClient(extract.Options{Endpoint: server.URL, Key: "simulated", Rate: 1e6}); err != nil {
		t.Fatal(err)
	}
	if r.store, err = storeopen.Open(t.Context(), r.address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	for n := range 2 {
		r.export(t, n)
	}
}

func (r *remote) iteration(n int) schema.ID { return r.service.Projects()[0].Iterations[n].ID }

func (r *remote) export(t *testing.T, n int) {
	t.Helper()
	_, err := jobs.Export(t.Context(), r.client, r.store, jobs.Request{
		Project: r.service.Projects()[0].ID, Iteration: r.iteration(n).String(), Concurrency: 2,
		ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, SpoolDir: t.TempDir(), Version: "test", Memory: memory.DefaultAllocator,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyAll copies every object to a folder, as a tool of the store would.
func (r *remote) copyAll(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for obj, err := range r.store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		body, err := r.store.Open(t.Context(), obj.Key)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, filepath.FromSlash(obj.Key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(f, body)
		if err := errors.Join(err, f.Close(), body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// calls are each table, view and function as it is read.
func (r *remote) calls() map[string]string {
	calls := map[string]string{}
	for _, t := range schema.Tables() {
		calls[t.Name] = t.Name
	}
	for _, v := range schema.Views() {
		call := v.Name
		switch {
		case v.Name == "iteration_changes" || v.Name == "comparison":
			call = fmt.Sprintf("%s('%s', '%s', '%s')", v.Name, r.service.Projects()[0].ID, r.iteration(0), r.iteration(1))
		case len(v.Arguments) > 0:
			call += "()"
		}
		calls[v.Name] = call
	}
	return calls
}

// rows asks for all rows of tables, views and functions, by their names. With one
// thread sums are always added up in one order.
func (r *remote) rows(names ...string) string {
	var parts []string
	for name, call := range r.calls() {
		if slices.Contains(names, name) {
			parts = append(parts, fmt.Sprintf("SELECT '%s' AS name, to_json(t) AS row FROM %s AS t", name, call))
		}
	}
	slices.Sort(parts)
	return "SET threads = 1; " + strings.Join(parts, "\nUNION ALL ") + "\nORDER BY ALL"
}
