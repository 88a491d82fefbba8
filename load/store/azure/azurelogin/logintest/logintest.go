// Package logintest has what a machine of Azure's logs in with, on loopback, for tests.
package logintest

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/patience"
)

// LoginHost is the host of Microsoft's login.
const LoginHost = "login.microsoftonline.com"

const (
	tenant = "11111111-1111-4111-8111-111111111111"
	client = "22222222-2222-4222-8222-222222222222"
)

// Machine makes the environment that of a machine with only these variables.
func Machine(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{
		azurelogin.ConnectionVariable, azurelogin.AccountVariable, azurelogin.KeyVariable, azurelogin.TokenVariable,
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
	} {
		t.Setenv(name, "") // restores it in the end
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential") // the others ask the network
	t.Setenv("PATH", "")                                      // where there is no az
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// Production is the value of AZURE_TOKEN_CREDENTIALS that leaves out the credentials of
// a developer's machine.
const Production = "prod"

// Hosts sends the requests to a host to another address, and nowhere if it has none.
type Hosts map[string]string

// Do sends a request.
func (h Hosts) Do(r *http.Request) (*http.Response, error) {
	at, err := url.Parse(h[r.URL.Host])
	if err != nil {
		return nil, err
	}
	host := r.URL.Host
	if at.Host == "" {
		at, host = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, "" // a port on which nobody listens
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = at.Scheme, at.Host, host
	return http.DefaultClient.Do(r)
}

// Options are those of a client that uses the hosts and does not retry.
func (h Hosts) Options() policy.ClientOptions {
	return policy.ClientOptions{Transport: azurelogin.Transport(patience.New(patience.Bounds{}), h), Retry: policy.RetryOptions{MaxRetries: -1}}
}

// Identity is a way in which a machine has an identity.
type Identity struct {
	Machine func(t *testing.T) map[string]string // its variables
	Token   string                               // what it gets
}

// Identities are all ways, by name.
func Identities() map[string]Identity {
	return map[string]Identity{
		"managed identity": {func(t *testing.T) map[string]string {
			return map[string]string{"IDENTITY_HEADER": "here", "IDENTITY_ENDPOINT": metadata(t), "AZURE_TOKEN_CREDENTIALS": Production}
		}, "managed"},
		"workload identity": {func(t *testing.T) map[string]string {
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte("pod"), 0o600); err != nil {
				t.Fatal(err)
			}
			return map[string]string{"AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client, "AZURE_TOKEN_CREDENTIALS": Production}
		}, "workload"},
		"service principal": {func(*testing.T) map[string]string { return Principal("app") }, "principal"},
	}
}

// Principal are the variables of a service principal; the secret "app" is the right one.
func Principal(secret string) map[string]string {
	return map[string]string{"AZURE_CLIENT_SECRET": secret, "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client, "AZURE_TOKEN_CREDENTIALS": Production}
}

// ForIdentity is where the requests of a machine with an identity go: to Login, and to
// the machine's own endpoint.
func ForIdentity(t *testing.T) Hosts {
	hosts := Hosts{LoginHost: Login(t)}
	if endpoint, err := url.Parse(os.Getenv("IDENTITY_ENDPOINT")); err == nil {
		hosts[endpoint.Host] = endpoint.String()
	}
	return hosts
}

// Login serves Microsoft's login for a pod and for an app. No variable points a machine
// without a certificate to it, so a transport has to lead requests here.
func Login(t *testing.T) string {
	base := "https://" + LoginHost + "/" + tenant
	return storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
			storetest.Answer(w, map[string]any{"tenant_discovery_endpoint": base + "/v2.0/.well-known/openid-configuration", "metadata": []any{
				map[string]any{"preferred_network": LoginHost, "preferred_cache": "login.windows.net", "aliases": []string{LoginHost}},
			}})
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			storetest.Answer(w, map[string]any{"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0"})
		case r.FormValue("client_id") == client && r.FormValue("client_assertion") == "pod":
			storetest.Answer(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "workload"})
		case r.FormValue("client_id") == client && r.FormValue("client_secret") == "app":
			storetest.Answer(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "principal"})
		default:
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		}
	})
}

// metadata serves a machine's own endpoint for its identity.
func metadata(t *testing.T) string {
	return storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "here" || r.FormValue("resource") != "https://storage.azure.com" {
			http.Error(w, "whose?", http.StatusForbidden)
			return
		}
		storetest.Answer(w, map[string]any{"access_token": "managed", "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "resource": r.FormValue("resource"), "token_type": "Bearer"})
	})
}

// Signing stands in front of an emulator, which knows no identities: it signs the
// requests with sas, and fails the test if one comes without the identity's token.
func Signing(t *testing.T, emulator, sas, token string) string {
	target, err := url.Parse(emulator)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Authorization")
		r.Out.URL.RawQuery = strings.TrimPrefix(r.Out.URL.RawQuery+"&"+sas, "&")
	}}
	return storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("a request has %q", got)
		}
		proxy.ServeHTTP(w, r)
	})
}
