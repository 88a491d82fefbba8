package load

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/googleapis/gax-go/v2"
)

// newTestGCS opens a store on a server that speaks the protocol, with small chunks.
func newTestGCS(t *testing.T, bucket string) (*gcs, *gate) {
	t.Helper()
	gate := &gate{isUpload: func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/upload/") }}
	front := gate.listen(t)
	host, err := url.Parse(front)
	if err != nil {
		t.Fatal(err)
	}
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front, PublicHost: host.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	gate.server = server.HTTPHandler()
	t.Setenv("STORAGE_EMULATOR_HOST", host.Host)
	s, err := newGCS(t.Context(), bucket, "a/warehouse", nil, storage.WithBackoff(gax.Backoff{Initial: time.Millisecond, Max: 2 * time.Millisecond, Multiplier: 2}))
	if err != nil {
		t.Fatal(err)
	}
	s.chunk = 256 << 10
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, gate
}

func openGCS(t *testing.T) (Store, *gate) { return newTestGCS(t, "bucket") }

func TestGCSStore(t *testing.T) { testCloudStore(t, openGCS) }

func TestGCSFailsAtEveryRequest(t *testing.T) { testSteps(t, openGCS, 7) }

// A large upload is several requests, the first of which begins it.
func TestGCSChunksSurvive(t *testing.T) {
	large := randomSource(1_000_000, 2)
	testUploadsSurvive(t, openGCS, map[string]fault{
		"busy, in a chunk":              {large, instead(3, busy)},
		"throttled, in a chunk":         {large, instead(3, throttled)},
		"cut, in a chunk":               {large, instead(3, cut)},
		"lost answer of the beginning":  {large, afterwards(1, busy)},
		"lost answer of a chunk":        {large, afterwards(3, busy)},
		"lost answer of the last chunk": {large, afterwards(5, busy)},
	})
}

// Where the server is away for good, nothing waits for it for ever.
func TestGCSGivesUp(t *testing.T) {
	s, gate := newTestGCS(t, "bucket")
	var asked atomic.Int32
	gate.server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body)
		busy(w)
	})
	_, stat := s.Stat(t.Context(), localKey)
	_, open := s.Open(t.Context(), localKey)
	_, small := s.Put(t.Context(), localKey, randomSource(1000, 1), "")
	_, large := s.Put(t.Context(), localKey, randomSource(1_000_000, 1), "")
	var list error
	for _, list = range s.List(t.Context(), "") {
	}
	for name, err := range map[string]error{"stat": stat, "open": open, "small": small, "large": large, "list": list} {
		if err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 8*gcsAttempts {
		t.Errorf("it asked %d times", n)
	}
}

func TestGCSErrorsSayWhatToDo(t *testing.T) {
	s, _ := newTestGCS(t, "no-such-bucket")
	testNoBucket(t, s, makeBucket)
	if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), ""); err == nil || !strings.Contains(err.Error(), "gs://no-such-bucket/a/warehouse/tags/a/data.parquet") || !strings.Contains(err.Error(), "make the bucket") {
		t.Errorf("error = %v", err)
	}
	for _, err := range s.List(t.Context(), "") {
		if err == nil || !strings.Contains(err.Error(), "make the bucket") {
			t.Errorf("error = %v", err)
		}
	}
}
