package load

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// newTestGCS opens a store on a server that speaks the protocol, with small chunks.
func newTestGCS(t *testing.T, bucket string) (*gcs, *gate) {
	t.Helper()
	gate := &gate{isUpload: func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/upload/") }}
	front := httptest.NewServer(gate)
	t.Cleanup(front.Close)
	host, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front.URL, PublicHost: host.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	gate.next = server.HTTPHandler()
	t.Setenv("STORAGE_EMULATOR_HOST", host.Host)
	s, err := newGCS(t.Context(), bucket, "a/warehouse")
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

func TestGCSStore(t *testing.T) {
	testStore(t, func(t *testing.T) Store {
		s, _ := newTestGCS(t, "bucket")
		return s
	})
}

func TestGCSUploadsSurvive(t *testing.T) {
	small, large := randomSource(1000, 1), randomSource(1_000_000, 2)
	testUploadsSurvive(t, map[string]upload{
		"busy, small":                   {small, instead(1, busy)},
		"throttled, small":              {small, instead(1, throttled)},
		"cut, small":                    {small, instead(1, cut)},
		"lost answer, small":            {small, afterwards(1)},
		"busy, in a chunk":              {large, instead(3, busy)},
		"cut, in a chunk":               {large, instead(3, cut)},
		"lost answer of the beginning":  {large, afterwards(1)},
		"lost answer of a chunk":        {large, afterwards(3)},
		"lost answer of the last chunk": {large, afterwards(5)},
	}, func(t *testing.T) (Store, *gate) { return newTestGCS(t, "bucket") })
}

func TestGCSLostAnswerAndSomebodyElse(t *testing.T) {
	s, gate := newTestGCS(t, "bucket")
	testSomebodyElse(t, s, gate)
}

func TestGCSErrorsSayWhatToDo(t *testing.T) {
	s, _ := newTestGCS(t, "no-such-bucket")
	testMissingBucket(t, s, "gs://no-such-bucket/a/warehouse/", "make the bucket")
}
