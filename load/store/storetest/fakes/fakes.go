// Package fakes has servers that speak the protocols of clouds, for tests.
package fakes

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/googleapis/gax-go/v2"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/gcs"
	"github.com/cvexport/cvexport/load/store/s3"
	"github.com/cvexport/cvexport/load/store/storetest"
)

// Bucket is the one bucket of a server.
const Bucket = "bucket"

// GCS starts a server that speaks Google Cloud Storage and stands behind a gate, and
// points this process to it.
func GCS(t *testing.T) *storetest.Gate {
	t.Helper()
	gate := &storetest.Gate{IsUpload: func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/upload/") }}
	front := gate.Listen(t)
	host, err := url.Parse(front)
	if err != nil {
		t.Fatal(err)
	}
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front, PublicHost: host.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: Bucket})
	gate.Server = server.HTTPHandler()
	t.Setenv("STORAGE_EMULATOR_HOST", host.Host)
	return gate
}

// OpenGCS opens a folder of a bucket on such a server, with small chunks and short pauses.
func OpenGCS(t *testing.T, bucket string) (store.Store, *storetest.Gate) {
	t.Helper()
	gate := GCS(t)
	s, err := gcs.New(storetest.Quick(t), store.ParseAddress("gs://"+bucket+"/a/warehouse"), gcs.Options{
		Retries: []storage.RetryOption{storage.WithBackoff(gax.Backoff{Initial: time.Millisecond, Max: 2 * time.Millisecond, Multiplier: 2})},
		Chunk:   256 << 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, gate
}

// S3 starts a server that speaks S3 and stands behind a gate, and points this process to
// it.
func S3(t *testing.T) *storetest.Gate {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	gate := &storetest.Gate{
		Server:   checkingCRC(gofakes3.New(backend).Server()),
		IsUpload: func(r *http.Request) bool { return r.Method == http.MethodPut },
	}
	S3Machine(t)
	t.Setenv("AWS_ENDPOINT_URL", gate.Listen(t))
	return gate
}

// OpenS3 opens a folder of a bucket on such a server, with short pauses.
func OpenS3(t *testing.T, bucket string) (store.Store, *storetest.Gate) {
	t.Helper()
	gate := S3(t)
	s, err := s3.New(storetest.Quick(t), store.ParseAddress("s3://"+bucket+"/a/warehouse"))
	if err != nil {
		t.Fatal(err)
	}
	return s, gate
}

// S3Machine makes the environment that of a machine with only these credentials.
func S3Machine(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
	} {
		t.Setenv(name, value)
	}
}

// checkingCRC does what Amazon S3 does and gofakes3 does not: it compares an upload with
// its checksum. (gofakes3 does enforce preconditions.)
func checkingCRC(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // cut: there is nobody to answer
			}
			crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, store.Castagnoli))
			if r.Header.Get("X-Amz-Checksum-Crc32c") != base64.StdEncoding.EncodeToString(crc) {
				S3Error(http.StatusBadRequest, "BadDigest")(w)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		server.ServeHTTP(w, r)
	})
}

// S3Error answers with an error of S3's.
func S3Error(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
	}
}
