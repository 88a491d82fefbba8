package gcs_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/option"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/gcs"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/secret"
)

// serveGCS starts a server that speaks the protocol, with a bucket. It does without
// STORAGE_EMULATOR_HOST, which would take the place of credentials.
func serveGCS(t *testing.T, came *storetest.Headers) string {
	t.Helper()
	var fake *fakestorage.Server
	front := storetest.Serve(t, came.Collect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fake.HTTPHandler().ServeHTTP(w, r) })))
	var err error
	if fake, err = fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front, PublicHost: strings.TrimPrefix(front, "http://")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Stop)
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	return front
}

func TestCredentials(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, tc := range map[string]struct {
		machine func(t *testing.T) map[string]string
		token   string
	}{
		"service account": {func(t *testing.T) map[string]string {
			tokens := storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if err := signedBy(&key.PublicKey, "night@p.iam.gserviceaccount.com", r.FormValue("assertion")); err != nil {
					http.Error(w, err.Error(), http.StatusForbidden)
					return
				}
				storetest.Answer(w, map[string]any{"access_token": "account-token", "token_type": "Bearer", "expires_in": 3600})
			})
			file, err := json.Marshal(map[string]string{
				"type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": private,
				"client_email": "night@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": tokens,
			})
			if err != nil {
				t.Fatal(err)
			}
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": storetest.WriteFile(t, "key.json", string(file))}
		}, "account-token"},
		// A workload outside of Google exchanges the token it has.
		"federated": {func(t *testing.T) map[string]string {
			exchange := storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("subject_token") != "pod" || !strings.Contains(r.FormValue("audience"), "workloadIdentityPools") {
					http.Error(w, "whose?", http.StatusForbidden)
					return
				}
				storetest.Answer(w, map[string]any{"access_token": "exchanged-token", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600})
			})
			file, err := json.Marshal(map[string]any{
				"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
				"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": exchange,
				"credential_source": map[string]string{"file": storetest.WriteFile(t, "token", "pod")},
			})
			if err != nil {
				t.Fatal(err)
			}
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": storetest.WriteFile(t, "federated.json", string(file))}
		}, "exchanged-token"},
		// A machine of Google's asks its metadata server; so does a pod with a workload identity.
		"metadata server": {func(t *testing.T) map[string]string {
			return map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Metadata-Flavor", "Google")
				switch path := strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/"); {
				case r.Header.Get("Metadata-Flavor") != "Google":
					http.Error(w, "whose?", http.StatusForbidden)
				case path == "instance/service-accounts/default/token":
					storetest.Answer(w, map[string]any{"access_token": "metadata-token", "expires_in": 3600, "token_type": "Bearer"})
				case path == "project/project-id":
					fmt.Fprint(w, "p")
				case path == "universe/universe-domain", path == "universe/universe_domain":
					fmt.Fprint(w, "googleapis.com")
				default:
					http.NotFound(w, r)
				}
			}), "http://")}
		}, "metadata-token"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{"STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"} {
				t.Setenv(name, "")
			}
			t.Setenv("HOME", t.TempDir())
			for name, value := range tc.machine(t) {
				t.Setenv(name, value)
			}
			var came storetest.Headers
			s, err := gcs.New(t.Context(), store.ParseAddress("gs://bucket/vision"), gcs.Options{Client: []option.ClientOption{option.WithEndpoint(serveGCS(t, &came) + "/storage/v1/")}})
			if err != nil {
				t.Fatal(err)
			}
			storetest.TestCredentials(t, s)
			came.Check(t, storetest.Bearer(tc.token))
			if text := secret.Redact(tc.token); text == tc.token {
				t.Error("the token would be printed")
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Setenv("STORAGE_EMULATOR_HOST", "")
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none.json"))
		_, err := gcs.New(t.Context(), store.ParseAddress("gs://bucket/vision"), gcs.Options{})
		storetest.CheckError(t, err, "gs://bucket", "none.json", "gcloud auth application-default login")
	})
}

// signedBy checks that a token is one that the issuer signed.
func signedBy(key *rsa.PublicKey, issuer, token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%q is no token", token)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		return err
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(claims), `"iss":"`+issuer+`"`) {
		return fmt.Errorf("the token storetest.CheckError %s, %v", claims, err)
	}
	return nil
}
