package load

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
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"google.golang.org/api/option"
)

// These tests are that each store takes the credentials of the machine it runs on,
// from servers on loopback that speak as those of the cloud do. What goes to an
// address that no variable changes (Google's login of a user, AWS's SSO) is left out.

// serve starts a server on loopback.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// answer answers as JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// authorizations are the headers that came with requests.
type authorizations struct {
	mu  sync.Mutex
	all []http.Header
}

func (a *authorizations) before(server http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.all = append(a.all, r.Header.Clone())
		a.mu.Unlock()
		server.ServeHTTP(w, r)
	}
}

// each fails the test unless every request, of which there are some, had the right ones.
func (a *authorizations) each(t *testing.T, right func(http.Header) error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) == 0 {
		t.Error("no request came")
	}
	for _, h := range a.all {
		if err := right(h); err != nil {
			t.Error(err)
		}
	}
	a.all = nil
}

// putAndRead uses a store in each way.
func putAndRead(t *testing.T, s Store) {
	t.Helper()
	src := randomSource(1000, 1)
	if _, err := s.Put(t.Context(), localKey, src, ""); err != nil {
		t.Fatal(err)
	}
	holdsSource(t, s, localKey, src)
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestS3AmbientCredentials(t *testing.T) {
	issued := map[string]any{"AccessKeyId": "ISSUED", "SecretAccessKey": "secret", "Token": "session", "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	for name, tc := range map[string]struct {
		machine func(t *testing.T) map[string]string
		id      string
		session string
	}{
		"environment": {func(*testing.T) map[string]string {
			return map[string]string{"AWS_ACCESS_KEY_ID": "ENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session"}
		}, "ENVIRONMENT", "session"},
		"profile": {func(t *testing.T) map[string]string {
			return map[string]string{
				"AWS_SHARED_CREDENTIALS_FILE": write(t, "credentials", "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = x\n[night]\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n"),
				"AWS_CONFIG_FILE":             write(t, "config", "[profile night]\nregion = eu-west-1\n"), "AWS_PROFILE": "night", "AWS_REGION": "",
			}
		}, "PROFILE", ""},
		"process": {func(t *testing.T) map[string]string {
			answer := write(t, "answer", `{"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": "secret"}`)
			return map[string]string{"AWS_CONFIG_FILE": write(t, "config", "[default]\nregion = eu-west-1\ncredential_process = cat "+answer+"\n")}
		}, "PROCESS", ""},
		"container": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod", "AWS_CONTAINER_CREDENTIALS_FULL_URI": serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "pod" {
					http.Error(w, "whose?", http.StatusUnauthorized)
					return
				}
				answer(w, issued)
			}) + "/credentials"}
		}, "ISSUED", "session"},
		"instance": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
					w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
					fmt.Fprint(w, "imds")
				case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds":
					http.Error(w, "whose?", http.StatusUnauthorized)
				case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
					fmt.Fprint(w, "night")
				case r.URL.Path == "/latest/meta-data/iam/security-credentials/night":
					body := map[string]any{"Code": "Success", "Type": "AWS-HMAC"}
					for k, v := range issued {
						body[k] = v
					}
					answer(w, body)
				default:
					http.NotFound(w, r)
				}
			})}
		}, "ISSUED", "session"},
		"web identity": {func(t *testing.T) map[string]string {
			return map[string]string{
				"AWS_ROLE_ARN": "arn:aws:iam::1:role/night", "AWS_WEB_IDENTITY_TOKEN_FILE": write(t, "token", "pod"), "AWS_ROLE_SESSION_NAME": "night",
				"AWS_ENDPOINT_URL_STS": serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "pod" {
						http.Error(w, "whose?", http.StatusForbidden)
						return
					}
					w.Header().Set("Content-Type", "text/xml")
					fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEB</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, issued["Expiration"])
				}),
			}
		}, "WEB", "session"},
	} {
		t.Run(name, func(t *testing.T) {
			backend := s3mem.New()
			if err := backend.CreateBucket("bucket"); err != nil {
				t.Fatal(err)
			}
			var came authorizations
			s3Machine(t)
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
				t.Setenv(name, "")
			}
			for name, value := range tc.machine(t) {
				t.Setenv(name, value)
			}
			t.Setenv("AWS_ENDPOINT_URL_S3", serve(t, came.before(gofakes3.New(backend).Server())))
			s, err := OpenStore(t.Context(), "s3://bucket/vision")
			if err != nil {
				t.Fatal(err)
			}
			putAndRead(t, s)
			came.each(t, func(h http.Header) error {
				if !strings.Contains(h.Get("Authorization"), "Credential="+tc.id+"/") || h.Get("X-Amz-Security-Token") != tc.session {
					return fmt.Errorf("a request is signed %q, session %q", h.Get("Authorization"), h.Get("X-Amz-Security-Token"))
				}
				return nil
			})
		})
	}
}

// gcsServer is a server that speaks the protocol, with a bucket. STORAGE_EMULATOR_HOST
// would take the place of credentials, so it is not for these tests.
func gcsServer(t *testing.T, came *authorizations) string {
	t.Helper()
	var fake *fakestorage.Server
	front := serve(t, came.before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fake.HTTPHandler().ServeHTTP(w, r) })))
	var err error
	if fake, err = fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front, PublicHost: strings.TrimPrefix(front, "http://")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Stop)
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	return front
}

func TestGCSAmbientCredentials(t *testing.T) {
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
			tokens := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if err := signedBy(&key.PublicKey, "night@p.iam.gserviceaccount.com", r.FormValue("assertion")); err != nil {
					http.Error(w, err.Error(), http.StatusForbidden)
					return
				}
				answer(w, map[string]any{"access_token": "account", "token_type": "Bearer", "expires_in": 3600})
			})
			file, err := json.Marshal(map[string]string{
				"type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": private,
				"client_email": "night@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": tokens,
			})
			if err != nil {
				t.Fatal(err)
			}
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": write(t, "key.json", string(file))}
		}, "account"},
		// A workload outside of Google exchanges the token it has.
		"federated": {func(t *testing.T) map[string]string {
			exchange := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("subject_token") != "pod" || !strings.Contains(r.FormValue("audience"), "workloadIdentityPools") {
					http.Error(w, "whose?", http.StatusForbidden)
					return
				}
				answer(w, map[string]any{"access_token": "exchanged", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600})
			})
			file, err := json.Marshal(map[string]any{
				"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
				"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": exchange,
				"credential_source": map[string]string{"file": write(t, "token", "pod")},
			})
			if err != nil {
				t.Fatal(err)
			}
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": write(t, "federated.json", string(file))}
		}, "exchanged"},
		// A machine of Google's asks its metadata server; so does a pod with a workload identity.
		"metadata server": {func(t *testing.T) map[string]string {
			return map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Metadata-Flavor", "Google")
				switch path := strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/"); {
				case r.Header.Get("Metadata-Flavor") != "Google":
					http.Error(w, "whose?", http.StatusForbidden)
				case path == "instance/service-accounts/default/token":
					answer(w, map[string]any{"access_token": "metadata", "expires_in": 3600, "token_type": "Bearer"})
				case path == "project/project-id":
					fmt.Fprint(w, "p")
				case path == "universe/universe-domain", path == "universe/universe_domain":
					fmt.Fprint(w, "googleapis.com")
				default:
					http.NotFound(w, r)
				}
			}), "http://")}
		}, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{"STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"} {
				t.Setenv(name, "")
			}
			t.Setenv("HOME", t.TempDir())
			for name, value := range tc.machine(t) {
				t.Setenv(name, value)
			}
			var came authorizations
			s, err := newGCS(t.Context(), "bucket", "vision", []option.ClientOption{option.WithEndpoint(gcsServer(t, &came) + "/storage/v1/")})
			if err != nil {
				t.Fatal(err)
			}
			putAndRead(t, s)
			came.each(t, bearer(tc.token))
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Setenv("STORAGE_EMULATOR_HOST", "")
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none.json"))
		_, err := OpenStore(t.Context(), "gs://bucket/vision")
		says(t, err, "gs://bucket", "none.json", "gcloud auth application-default login")
	})
}

// bearer is what a request with a token has.
func bearer(want string) func(http.Header) error {
	return func(h http.Header) error {
		if got := h.Get("Authorization"); got != "Bearer "+want {
			return fmt.Errorf("a request has %q", got)
		}
		return nil
	}
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
		return fmt.Errorf("the token says %s, %v", claims, err)
	}
	return nil
}
