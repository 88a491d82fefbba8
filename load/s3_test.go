package load

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// newTestS3 opens a store on a server that speaks the protocol. It checks the MD5
// and the preconditions of a put; the CRC32C it does not know.
func newTestS3(t *testing.T, bucket string) (*s3Store, *gate) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	gate := &gate{next: gofakes3.New(backend).Server(), isUpload: func(r *http.Request) bool { return r.Method == http.MethodPut }}
	front := httptest.NewServer(gate)
	t.Cleanup(front.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": front.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	s, err := newS3(t.Context(), bucket, "a/warehouse/")
	if err != nil {
		t.Fatal(err)
	}
	return s, gate
}

func TestS3Store(t *testing.T) {
	testStore(t, func(t *testing.T) Store {
		s, _ := newTestS3(t, "bucket")
		return s
	})
}

func TestS3UploadsSurvive(t *testing.T) {
	testUploadsSurvive(t, oneRequest(), func(t *testing.T) (Store, *gate) { return newTestS3(t, "bucket") })
}

func TestS3LostAnswerAndSomebodyElse(t *testing.T) {
	s, gate := newTestS3(t, "bucket")
	testSomebodyElse(t, s, gate)
}

// A put that met another in the making is tried again.
func TestS3ConflictInTheMaking(t *testing.T) {
	s, gate := newTestS3(t, "bucket")
	gate.use(instead(1, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		w.Write([]byte(`<Error><Code>ConditionalRequestConflict</Code><Message>The conditional request cannot succeed.</Message></Error>`))
	}))
	src := randomSource(100, 1)
	if _, err := s.Put(t.Context(), localKey, src, ""); err != nil {
		t.Error(err)
	}
	holdsSource(t, s, localKey, src)
}

// What the server is told to check is what was sent.
func TestS3SendsChecksums(t *testing.T) {
	s, gate := newTestS3(t, "bucket")
	var header http.Header
	gate.use(func(_ int32, w http.ResponseWriter, r *http.Request, next http.Handler) {
		header = r.Header.Clone()
		next.ServeHTTP(w, r)
	})
	if _, err := s.Put(t.Context(), localKey, newBytesSource([]byte("123456789")), ""); err != nil {
		t.Fatal(err)
	}
	if header.Get("x-amz-checksum-crc32c") != "4waSgw==" || header.Get("Content-Md5") != "JfnnlDI7RTiF9RgfG2JNCw==" || header.Get("If-None-Match") != "*" {
		t.Errorf("headers %v", header)
	}
}

func TestS3ErrorsSayWhatToDo(t *testing.T) {
	s, _ := newTestS3(t, "no-such-bucket")
	testMissingBucket(t, s, "s3://no-such-bucket/a/warehouse/", "make the bucket")
	s, gate := newTestS3(t, "bucket")
	gate.use(instead(1, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), ""); err == nil || !strings.Contains(err.Error(), "s3:PutObject") {
		t.Errorf("error = %v", err)
	}
}
