package load

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// s3Machine makes a machine with nothing but these credentials.
func s3Machine(t *testing.T) {
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

// newTestS3 opens a store on a server that speaks the protocol.
func newTestS3(t *testing.T, bucket string) (*s3Store, *gate) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	gate := &gate{
		server:   checkingCRC(gofakes3.New(backend).Server()),
		isUpload: func(r *http.Request) bool { return r.Method == http.MethodPut },
	}
	s3Machine(t)
	t.Setenv("AWS_ENDPOINT_URL", gate.listen(t))
	s, err := newS3(t.Context(), bucket, "a/warehouse", func(o *s3.Options) {
		o.Retryer = retry.AddWithMaxBackoffDelay(o.Retryer, time.Millisecond)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, gate
}

// checkingCRC does what Amazon S3 does and the fake does not: it compares an
// upload with its checksum. (Preconditions the fake enforces by itself.)
func checkingCRC(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // cut: there is nobody to answer
			}
			crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
			if r.Header.Get("X-Amz-Checksum-Crc32c") != base64.StdEncoding.EncodeToString(crc) {
				s3Says(http.StatusBadRequest, "BadDigest")(w)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		server.ServeHTTP(w, r)
	})
}

func s3Says(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
	}
}

func openS3(t *testing.T) (Store, *gate) { return newTestS3(t, "bucket") }

func TestS3Store(t *testing.T) { testCloudStore(t, openS3) }

func TestS3FailsAtEveryRequest(t *testing.T) { testSteps(t, openS3, 7) }

func TestS3UploadsSurvive(t *testing.T) {
	small := randomSource(1000, 1)
	testUploadsSurvive(t, openS3, map[string]fault{
		"told to slow down":    {small, instead(1, s3Says(http.StatusServiceUnavailable, "SlowDown"))},
		"racing with another":  {small, instead(1, s3Says(http.StatusConflict, "ConditionalRequestConflict"))},
		"lost answer, racing":  {small, afterwards(1, s3Says(http.StatusConflict, "ConditionalRequestConflict"))},
		"lost answer, refused": {small, afterwards(1, s3Says(http.StatusForbidden, "AccessDenied"))},
	})
}

// Amazon S3 answers so where the fake says that the precondition failed.
func TestS3PutOverWhatIsGone(t *testing.T) {
	s, gate := newTestS3(t, "bucket")
	gate.meddle = instead(1, s3Says(http.StatusNotFound, "NoSuchKey"))
	if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), "0123"); !errors.Is(err, ErrConflict) {
		t.Errorf("error = %v", err)
	}
}

func TestS3ListsBeyondAPage(t *testing.T) {
	s, gate := newTestS3(t, "bucket")
	server := gate.server
	gate.server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("list-type") {
			query.Set("max-keys", "2")
			r.URL.RawQuery = query.Encode()
		}
		server.ServeHTTP(w, r)
	})
	testListsAll(t, s)
}

// Of an object that somebody else put there, without our metadata, only a
// reading tells the checksum.
func TestS3ForeignObject(t *testing.T) {
	s, gate := newTestS3(t, "bucket")
	gate.meddle = func(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		r.Header.Del("X-Amz-Meta-Crc32c")
		server.ServeHTTP(w, r)
	}
	src := randomSource(1000, 1)
	if _, err := s.Put(t.Context(), localKey, src, ""); err != nil {
		t.Fatal(err)
	}
	if obj, err := s.Stat(t.Context(), localKey); err != nil || obj.Summed {
		t.Errorf("Stat = %+v, %v", obj, err)
	}
	holdsSource(t, s, localKey, src)
}

func TestS3ErrorsSayWhatToDo(t *testing.T) {
	t.Run("no bucket", func(t *testing.T) {
		s, _ := newTestS3(t, "no-such-bucket")
		testNoBucket(t, s, makeBucket)
		_, err := s.Put(t.Context(), localKey, randomSource(10, 1), "")
		says(t, err, "writing s3://no-such-bucket/a/warehouse/tags/a/data.parquet", "make the bucket")
		_, err = s.Put(t.Context(), localKey, randomSource(10, 1), "0123")
		says(t, err, "make the bucket")
		_, err = s.Open(t.Context(), localKey)
		says(t, err, "make the bucket")
		for _, err := range s.List(t.Context(), "images/") {
			says(t, err, "listing s3://no-such-bucket/a/warehouse/images", "make the bucket")
		}
	})
	for code, tc := range map[string]struct {
		status int
		want   string
	}{
		"AccessDenied":                 {http.StatusForbidden, "s3:PutObject"},
		"InvalidAccessKeyId":           {http.StatusForbidden, "log in again"},
		"ExpiredToken":                 {http.StatusBadRequest, "log in again"},
		"PermanentRedirect":            {http.StatusMovedPermanently, "set AWS_REGION"},
		"AuthorizationHeaderMalformed": {http.StatusBadRequest, "set AWS_REGION"},
	} {
		t.Run(code, func(t *testing.T) {
			s, gate := newTestS3(t, "bucket")
			gate.server = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s3Says(tc.status, code)(w) })
			_, err := s.Put(t.Context(), localKey, randomSource(10, 1), "")
			says(t, err, code, tc.want)
			if _, err = s.Open(t.Context(), localKey); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error = %v", err)
			}
			says(t, err, code, tc.want)
		})
	}
	t.Run("too large", func(t *testing.T) {
		s, gate := newTestS3(t, "bucket")
		gate.server = http.NotFoundHandler()
		_, err := s.Put(t.Context(), localKey, tooLarge{t: t, size: s3Limit + 1}, "")
		says(t, err, "5368709121 bytes", "data.parquet", "gs://")
	})
	t.Run("no credentials", func(t *testing.T) {
		s3Machine(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		_, err := newS3(t.Context(), "bucket", "")
		says(t, err, "s3://bucket", "log in with: aws sso login")
	})
	t.Run("no region", func(t *testing.T) {
		s3Machine(t)
		t.Setenv("AWS_REGION", "")
		_, err := newS3(t.Context(), "bucket", "")
		says(t, err, "s3://bucket", "set AWS_REGION")
	})
}
