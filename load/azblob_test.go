package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/internal/azurite"
)

var containers atomic.Int32

// newTestAzblob opens a store on a container of its own in the emulator.
func newTestAzblob(t *testing.T, server azurite.Server, exists bool) (*azblobStore, *gate) {
	t.Helper()
	behind := &url.URL{Scheme: "http", Host: server.Blob}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }}
	gate := &gate{next: proxy, isUpload: func(r *http.Request) bool { return r.Method == http.MethodPut }}
	front := httptest.NewServer(gate)
	t.Cleanup(front.Close)
	server.Blob = strings.TrimPrefix(front.URL, "http://")
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString())
	s, err := newAzblob(fmt.Sprintf("container%d/a/warehouse/", containers.Add(1)), policy.ClientOptions{Retry: policy.RetryOptions{RetryDelay: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	if exists {
		if _, err := s.client.Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	return s, gate
}

func TestAzblobStore(t *testing.T) {
	server := azurite.Start(t)
	t.Run("store", func(t *testing.T) {
		testStore(t, func(t *testing.T) Store {
			s, _ := newTestAzblob(t, server, true)
			return s
		})
	})
	t.Run("uploads survive", func(t *testing.T) {
		testUploadsSurvive(t, oneRequest(), func(t *testing.T) (Store, *gate) { return newTestAzblob(t, server, true) })
	})
	t.Run("lost answer and somebody else", func(t *testing.T) {
		s, gate := newTestAzblob(t, server, true)
		testSomebodyElse(t, s, gate)
	})
	t.Run("errors say what to do", func(t *testing.T) {
		s, gate := newTestAzblob(t, server, false)
		testMissingBucket(t, s, "az://"+strings.TrimPrefix(s.url, "http://")+"/a/warehouse/", "make the container")
		gate.use(instead(1, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
		if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), ""); err == nil || !strings.Contains(err.Error(), "Storage Blob Data Contributor") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("uploads are checked", func(t *testing.T) {
		s, gate := newTestAzblob(t, server, true)
		gate.use(func(_ int32, w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Header.Set("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")
			next.ServeHTTP(w, r)
		})
		if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), ""); err == nil {
			t.Error("an upload that is not what its MD5 says is taken")
		}
		absent(t, s, localKey)
	})
}

// A token never reaches an error, wherever in the request it fails.
func TestAzblobTokenStaysSecret(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0"
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "?sv=2022-11-02&sig="+secret)
	s, err := newAzblob("127.0.0.1.invalid/container/a", policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}})
	if err != nil {
		t.Fatal(err)
	}
	_, putErr := s.Put(t.Context(), localKey, randomSource(10, 1), "")
	_, statErr := s.Stat(t.Context(), localKey)
	_, openErr := s.Open(t.Context(), localKey)
	errs := []error{putErr, statErr, openErr}
	for _, err := range s.List(t.Context(), "") {
		errs = append(errs, err)
	}
	for _, err := range errs {
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "az://127.0.0.1.invalid/container/a") {
			t.Errorf("error = %v", err)
		}
	}
	if strings.Contains(s.URL("x"), secret) {
		t.Error(s.URL("x"))
	}
	for name, value := range map[string]string{
		"AZURE_STORAGE_CONNECTION_STRING": "AccountKey=" + secret, "AZURE_STORAGE_KEY": secret + "!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AZURE_STORAGE_ACCOUNT", "account")
			t.Setenv(name, value)
			if _, err := newAzblob("container", policy.ClientOptions{}); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
