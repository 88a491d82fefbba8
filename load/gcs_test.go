package load

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
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

func openGCS(t *testing.T) (Store, *gate) { return newTestGCS(t, "bucket") }

func TestGCSStore(t *testing.T) { testStoreBehind(t, openGCS) }

func TestGCSUploadsSurvive(t *testing.T) {
	small, large := randomSource(1000, 1), randomSource(1_000_000, 2)
	testUploadsSurvive(t, openGCS, map[string]fault{
		"busy, small":                   {small, instead(1, busy)},
		"throttled, small":              {small, instead(1, throttled)},
		"cut, small":                    {small, instead(1, cut)},
		"lost answer, small":            {small, afterwards(1, busy)},
		"busy, in a chunk":              {large, instead(3, busy)},
		"cut, in a chunk":               {large, instead(3, cut)},
		"lost answer of the beginning":  {large, afterwards(1, busy)},
		"lost answer of a chunk":        {large, afterwards(3, busy)},
		"lost answer of the last chunk": {large, afterwards(5, busy)},
	})
}

func TestGCSLostAnswerAndSomebodyElse(t *testing.T) { testSomebodyElse(t, openGCS) }

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
