package s3_test

import (
	"errors"
	"io/fs"
	"net/http"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
	"github.com/cvexport/cvexport/load/store/s3"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func open(t *testing.T) (store.Store, *storetest.Gate) { return fakes.OpenS3(t, fakes.Bucket) }

func TestStore(t *testing.T) { storetest.TestCloud(t, open) }

func TestUploadsSurvive(t *testing.T) {
	small := storetest.RandomSource(1000, 1)
	storetest.TestUploads(t, open, map[string]storetest.Fault{
		"told to slow down":    {Source: small, Interfere: storetest.Instead(1, fakes.S3Error(http.StatusServiceUnavailable, "SlowDown"))},
		"racing with another":  {Source: small, Interfere: storetest.Instead(1, fakes.S3Error(http.StatusConflict, "ConditionalRequestConflict"))},
		"lost answer, racing":  {Source: small, Interfere: storetest.Afterwards(1, fakes.S3Error(http.StatusConflict, "ConditionalRequestConflict"))},
		"lost answer, refused": {Source: small, Interfere: storetest.Afterwards(1, fakes.S3Error(http.StatusForbidden, "AccessDenied"))},
	})
}

// Amazon S3 answers so where the fake storetest.CheckError that the precondition failed.
func TestPutOverWhatIsGone(t *testing.T) {
	s, gate := fakes.OpenS3(t, fakes.Bucket)
	gate.Interfere = storetest.Instead(1, fakes.S3Error(http.StatusNotFound, "NoSuchKey"))
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(10, 1), "0123"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("error = %v", err)
	}
}

func TestListsBeyondAPage(t *testing.T) {
	s, gate := fakes.OpenS3(t, fakes.Bucket)
	server := gate.Server
	gate.Server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("list-type") {
			query.Set("max-keys", "2")
			r.URL.RawQuery = query.Encode()
		}
		server.ServeHTTP(w, r)
	})
	storetest.TestListsAll(t, s)
}

// Of an object that somebody else put there, without our metadata, only a
// reading tells the checksum.
func TestForeignObject(t *testing.T) {
	s, gate := fakes.OpenS3(t, fakes.Bucket)
	gate.Interfere = func(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		r.Header.Del("X-Amz-Meta-Crc32c")
		server.ServeHTTP(w, r)
	}
	src := storetest.RandomSource(1000, 1)
	if _, err := s.Put(t.Context(), storetest.Key, src, ""); err != nil {
		t.Fatal(err)
	}
	if obj, err := s.Stat(t.Context(), storetest.Key); err != nil || obj.Summed {
		t.Errorf("Stat = %+v, %v", obj, err)
	}
	storetest.CheckContent(t, s, storetest.Key, src)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Run("no bucket", func(t *testing.T) {
		s, _ := fakes.OpenS3(t, "no-such-bucket")
		storetest.TestNoBucket(t, s, cloud.MakeBucket)
	})
	for code, tc := range map[string]struct {
		status int
		want   string
	}{
		"NotImplemented":               {http.StatusNotImplemented, "If-None-Match"},
		"ExpiredToken":                 {http.StatusBadRequest, "log in again"},
		"PermanentRedirect":            {http.StatusMovedPermanently, "set AWS_REGION"},
		"AuthorizationHeaderMalformed": {http.StatusBadRequest, "set AWS_REGION"},
	} {
		t.Run(code, func(t *testing.T) {
			s, gate := fakes.OpenS3(t, fakes.Bucket)
			gate.Server = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fakes.S3Error(tc.status, code)(w) })
			_, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(10, 1), "")
			storetest.CheckError(t, err, code, tc.want)
			if _, err = s.Open(t.Context(), storetest.Key); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error = %v", err)
			}
			storetest.CheckError(t, err, code, tc.want)
		})
	}
	storetest.TestRefusals(t, func(t *testing.T) (store.Store, *storetest.Gate) { return fakes.OpenS3(t, fakes.Bucket) }, func(w http.ResponseWriter, code string) {
		if code == "" {
			http.Error(w, "<html>no</html>", http.StatusForbidden)
			return
		}
		fakes.S3Error(http.StatusForbidden, code)(w)
	}, map[string]string{
		"AccessDenied":          "s3:PutObject",
		"InvalidAccessKeyId":    "AWS_ACCESS_KEY_ID",
		"SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY",
		"":                      "proxy or firewall",
	})
	t.Run("too large", func(t *testing.T) {
		s, gate := fakes.OpenS3(t, fakes.Bucket)
		gate.Server = http.NotFoundHandler()
		storetest.TestTooLarge(t, s, 5<<30+1, "5368709121 bytes", "data.parquet", "gs://")
	})
	t.Run("no credentials", func(t *testing.T) {
		fakes.S3Machine(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		_, err := s3.New(t.Context(), store.ParseAddress("s3://bucket"))
		storetest.CheckError(t, err, "s3://bucket", "log in with: aws sso login")
	})
	t.Run("no region", func(t *testing.T) {
		fakes.S3Machine(t)
		t.Setenv("AWS_REGION", "")
		_, err := s3.New(t.Context(), store.ParseAddress("s3://bucket"))
		storetest.CheckError(t, err, "s3://bucket", "set AWS_REGION")
	})
}
