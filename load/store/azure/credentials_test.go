package azure_test

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func TestIdentities(t *testing.T) {
	server := azurite.Start(t)
	const tenant, client = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	// login is Microsoft's login, which no variable can point to a machine without a
	// certificate, so its requests are led here by the transport.
	login := storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		base := "https://login.microsoftonline.com/" + tenant
		switch {
		case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
			storetest.Answer(w, map[string]any{"tenant_discovery_endpoint": base + "/v2.0/.well-known/openid-configuration", "metadata": []any{
				map[string]any{"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net", "aliases": []string{"login.microsoftonline.com"}},
			}})
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			storetest.Answer(w, map[string]any{"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0"})
		case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") && r.FormValue("client_id") == client && r.FormValue("client_assertion") == "pod":
			storetest.Answer(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "workload"})
		case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") && r.FormValue("client_id") == client && r.FormValue("client_secret") == "app":
			storetest.Answer(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "principal"})
		default:
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		}
	})
	for name, tc := range map[string]struct {
		machine func(t *testing.T) map[string]string
		token   string
	}{
		"managed identity": {func(t *testing.T) map[string]string {
			return map[string]string{"IDENTITY_HEADER": "here", "IDENTITY_ENDPOINT": storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Identity-Header") != "here" || r.FormValue("resource") != "https://storage.azure.com" {
					http.Error(w, "whose?", http.StatusForbidden)
					return
				}
				storetest.Answer(w, map[string]any{"access_token": "managed", "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "resource": r.FormValue("resource"), "token_type": "Bearer"})
			})}
		}, "managed"},
		"workload identity": {func(t *testing.T) map[string]string {
			return map[string]string{"AZURE_FEDERATED_TOKEN_FILE": storetest.WriteFile(t, "token", "pod"), "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client}
		}, "workload"},
		"service principal": {func(*testing.T) map[string]string {
			return map[string]string{"AZURE_CLIENT_SECRET": "app", "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client}
		}, "principal"},
	} {
		t.Run(name, func(t *testing.T) {
			fakes.AzureMachine(t, nil)
			for _, name := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"} {
				t.Setenv(name, "") // which brings it back in the end
				if err := os.Unsetenv(name); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "prod") // all but those of a developer's machine
			for name, value := range tc.machine(t) {
				t.Setenv(name, value)
			}
			var came storetest.Headers
			account := storetest.Serve(t, came.Collect(signing(t, server)))
			options := fakes.QuickAzure()
			options.Transport = byHost{"login.microsoftonline.com": login, azureHost: account}
			s, err := openText(t, azureHost+"/"+fakes.NewContainer(t, server)+"/vision", options)
			if err != nil {
				t.Fatal(err)
			}
			storetest.TestCredentials(t, s)
			came.Check(t, storetest.Bearer(tc.token))
		})
	}
}

// byHost sends what goes to a host to another address, and the rest as it is.
type byHost map[string]string

func (b byHost) Do(r *http.Request) (*http.Response, error) {
	if address, ok := b[r.URL.Host]; ok {
		return toGate{address}.Do(r)
	}
	return http.DefaultClient.Do(r)
}

// signing stands before the emulator, which knows no identities: it signs what has
// come with one.
func signing(t *testing.T, server azurite.Server) http.Handler {
	t.Helper()
	target, err := url.Parse(server.BlobEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	token := accountToken(t, server)
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Authorization")
		r.Out.URL.RawQuery = strings.TrimPrefix(r.Out.URL.RawQuery+"&"+token, "&")
	}}
}
