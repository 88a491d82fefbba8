package s3_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/s3"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func TestCredentials(t *testing.T) {
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
				"AWS_SHARED_CREDENTIALS_FILE": storetest.WriteFile(t, "credentials", "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = x\n[night]\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n"),
				"AWS_CONFIG_FILE":             storetest.WriteFile(t, "config", "[profile night]\nregion = eu-west-1\n"), "AWS_PROFILE": "night", "AWS_REGION": "",
			}
		}, "PROFILE", ""},
		"process": {func(t *testing.T) map[string]string {
			answer := storetest.WriteFile(t, "answer", `{"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": "secret"}`)
			return map[string]string{"AWS_CONFIG_FILE": storetest.WriteFile(t, "config", "[default]\nregion = eu-west-1\ncredential_process = cat "+answer+"\n")}
		}, "PROCESS", ""},
		"container": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod", "AWS_CONTAINER_CREDENTIALS_FULL_URI": storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "pod" {
					http.Error(w, "whose?", http.StatusUnauthorized)
					return
				}
				storetest.Answer(w, issued)
			}) + "/credentials"}
		}, "ISSUED", "session"},
		"instance": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
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
					storetest.Answer(w, body)
				default:
					http.NotFound(w, r)
				}
			})}
		}, "ISSUED", "session"},
		"web identity": {func(t *testing.T) map[string]string {
			return map[string]string{
				"AWS_ROLE_ARN": "arn:aws:iam::1:role/night", "AWS_WEB_IDENTITY_TOKEN_FILE": storetest.WriteFile(t, "token", "pod"), "AWS_ROLE_SESSION_NAME": "night",
				"AWS_ENDPOINT_URL_STS": storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
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
			var came storetest.Headers
			fakes.S3Machine(t)
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
				t.Setenv(name, "")
			}
			for name, value := range tc.machine(t) {
				t.Setenv(name, value)
			}
			t.Setenv("AWS_ENDPOINT_URL_S3", storetest.Serve(t, came.Collect(gofakes3.New(backend).Server())))
			s, err := s3.New(t.Context(), store.ParseAddress("s3://bucket/vision"))
			if err != nil {
				t.Fatal(err)
			}
			storetest.TestCredentials(t, s)
			came.Check(t, func(h http.Header) error {
				if !strings.Contains(h.Get("Authorization"), "Credential="+tc.id+"/") || h.Get("X-Amz-Security-Token") != tc.session {
					return fmt.Errorf("a request is signed %q, session %q", h.Get("Authorization"), h.Get("X-Amz-Security-Token"))
				}
				return nil
			})
		})
	}
}
