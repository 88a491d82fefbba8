package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/sas"

	"github.com/cvexport/cvexport/internal/azurite"
)

const (
	queueHost = azurite.Account + ".queue.core.windows.net"
	loginHost = "login.microsoftonline.com"
	tenant    = "11111111-1111-4111-8111-111111111111"
	client    = "22222222-2222-4222-8222-222222222222"
)

// machine makes a machine with nothing but these variables.
func machine(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{
		azureConnection, azureAccount, azureKey, azureSAS,
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
	} {
		t.Setenv(name, "") // which brings it back in the end
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential") // else it asks the network
	t.Setenv("PATH", "")                                      // where there is none
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// byHost sends what goes to a host to another address; what is at none, nobody answers.
type byHost map[string]string

func (b byHost) Do(r *http.Request) (*http.Response, error) {
	at, err := url.Parse(b[r.URL.Host])
	if err != nil {
		return nil, err
	}
	host := r.URL.Host
	if at.Host == "" {
		at, host = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, "" // the port of nobody
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = at.Scheme, at.Host, host
	return http.DefaultClient.Do(r)
}

func (b byHost) options() policy.ClientOptions {
	return policy.ClientOptions{Transport: b, Retry: policy.RetryOptions{MaxRetries: -1}}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

// root is the emulator without the account, which stands in the host's name.
func root(server azurite.Server) string {
	return strings.TrimSuffix(server.QueueEndpoint, "/"+server.Account)
}

var queues atomic.Int32

// newQueue makes one in the emulator, with a message.
func newQueue(t *testing.T, server azurite.Server) string {
	t.Helper()
	name := fmt.Sprintf("queue%d", queues.Add(1))
	q := clientOf(t, server, name)
	if _, err := q.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := q.EnqueueMessage(t.Context(), completed, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

func clientOf(t *testing.T, server azurite.Server, name string) *azqueue.QueueClient {
	t.Helper()
	q, err := azqueue.NewQueueClientFromConnectionString(server.ConnectionString, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// count is how many messages there are, hidden ones too.
func count(t *testing.T, server azurite.Server, name string) int32 {
	t.Helper()
	p, err := clientOf(t, server, name).GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return int32(*p.ApproximateMessagesCount)
}

// accountToken signs a token of the emulator's account. What else it may than to
// work off messages, more says.
func accountToken(t *testing.T, server azurite.Server, more sas.AccountPermissions) string {
	t.Helper()
	more.Add, more.Update, more.Process = true, true, true
	return signed(t, server, (&sas.AccountSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour), Permissions: more.String(),
		ResourceTypes: (&sas.AccountResourceTypes{Container: true, Object: true}).String(),
	}).SignWithSharedKey)
}

// queueToken signs a token of one queue.
func queueToken(t *testing.T, server azurite.Server, queue string) string {
	t.Helper()
	return signed(t, server, sas.QueueSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour), QueueName: queue,
		Permissions: (&sas.QueuePermissions{Add: true, Update: true, Process: true}).String(),
	}.SignWithSharedKey)
}

func signed(t *testing.T, server azurite.Server, sign func(*azqueue.SharedKeyCredential) (sas.QueryParameters, error)) string {
	t.Helper()
	credential, err := azqueue.NewSharedKeyCredential(server.Account, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	query, err := sign(credential)
	if err != nil {
		t.Fatal(err)
	}
	return query.Encode()
}

// works has a queue do all that it can.
func works(t *testing.T, server azurite.Server, q *Queue, name string) {
	t.Helper()
	receive := func() *Message {
		m, err := q.Receive(t.Context(), time.Minute)
		if err != nil || m == nil || m.Text != completed {
			t.Fatalf("received %+v, %v", m, err)
		}
		return m
	}
	if err := receive().Hide(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	m := receive()
	if err := errors.Join(m.Poison(t.Context()), m.Delete(t.Context())); err != nil {
		t.Fatal(err)
	}
	if left, poisoned := count(t, server, name), count(t, server, name+poison); left != 0 || poisoned != 1 {
		t.Errorf("%d messages left, %d poisoned", left, poisoned)
	}
}

// login is Microsoft's login, for a pod and for an app.
func login(t *testing.T) string {
	base := "https://" + loginHost + "/" + tenant
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
			answer(w, map[string]any{"tenant_discovery_endpoint": base + "/v2.0/.well-known/openid-configuration", "metadata": []any{
				map[string]any{"preferred_network": loginHost, "preferred_cache": "login.windows.net", "aliases": []string{loginHost}},
			}})
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			answer(w, map[string]any{"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0"})
		case r.FormValue("client_id") == client && (r.FormValue("client_assertion") == "pod" || r.FormValue("client_secret") == "app"):
			answer(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "issued"})
		default:
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		}
	})
}

// metadata is a machine that gives out its identity.
func metadata(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "here" || r.FormValue("resource") != "https://storage.azure.com" {
			http.Error(w, "whose?", http.StatusForbidden)
			return
		}
		answer(w, map[string]any{"access_token": "issued", "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "resource": r.FormValue("resource"), "token_type": "Bearer"})
	})
}

// signing stands before the emulator, which knows no identities: it signs what comes
// with a right one.
func signing(t *testing.T, server azurite.Server) string {
	target, err := url.Parse(root(server))
	if err != nil {
		t.Fatal(err)
	}
	token := accountToken(t, server, sas.AccountPermissions{Create: true})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Authorization")
		r.Out.URL.RawQuery = strings.TrimPrefix(r.Out.URL.RawQuery+"&"+token, "&")
	}}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer issued" {
			t.Errorf("a request has %q", r.Header.Get("Authorization"))
		}
		proxy.ServeHTTP(w, r)
	})
}
