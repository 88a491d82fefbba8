package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/sas"

	"github.com/cvexport/cvexport/internal/azurite"
)

// Every kind of credential opens the queue, by its URL and by its name.
func TestCredentials(t *testing.T) {
	server := azurite.Start(t)
	token := accountToken(t, server, sas.AccountPermissions{Create: true})
	for name, variables := range map[string]map[string]string{
		"key":                          {azureKey: server.Key},
		"key with a newline":           {azureKey: server.Key + "\n"},
		"token":                        {azureSAS: token},
		"token with a newline":         {azureSAS: token + "\n"},
		"token, as the portal shows":   {azureSAS: "?" + token},
		"key in a connection string":   {azureConnection: "AccountName=" + server.Account + ";AccountKey=" + server.Key},
		"token in a connection string": {azureConnection: "QueueEndpoint=https://" + queueHost + ";SharedAccessSignature=" + token + "\n"},
	} {
		for form, address := range map[string]string{"url": "https://" + queueHost + "/", "name": ""} {
			t.Run(name+", "+form, func(t *testing.T) {
				machine(t, variables)
				if form == "name" {
					t.Setenv(azureAccount, server.Account)
				}
				queue := newQueue(t, server)
				hosts := byHost{queueHost: root(server)}
				q, err := Open(t.Context(), address+queue, hosts.options())
				if err != nil {
					t.Fatal(err)
				}
				works(t, server, q, queue)
				for fault, url := range map[string]string{"nobody answers": "", "refused": serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, r.URL, r.Header)
				})} {
					hosts[queueHost] = url
					_, err := q.Receive(t.Context(), time.Minute)
					if err == nil || strings.Contains(err.Error(), "sig=") || strings.Contains(err.Error(), server.Key) {
						t.Errorf("%s: %v", fault, err)
					}
				}
			})
		}
	}
}

func TestIdentities(t *testing.T) {
	server := azurite.Start(t)
	for name, tc := range map[string]func(t *testing.T) map[string]string{
		"managed identity": func(t *testing.T) map[string]string {
			return map[string]string{"IDENTITY_HEADER": "here", "IDENTITY_ENDPOINT": metadata(t)}
		},
		"workload identity": func(t *testing.T) map[string]string {
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte("pod"), 0o600); err != nil {
				t.Fatal(err)
			}
			return map[string]string{"AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client}
		},
		"service principal": func(*testing.T) map[string]string {
			return map[string]string{"AZURE_CLIENT_SECRET": "app", "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client}
		},
	} {
		for form, address := range map[string]string{"url": "https://" + queueHost + "/", "name": ""} {
			t.Run(name+", "+form, func(t *testing.T) {
				machine(t, tc(t))
				t.Setenv("AZURE_TOKEN_CREDENTIALS", "prod") // all but those of a developer's machine
				if form == "name" {
					t.Setenv(azureAccount, server.Account)
				}
				queue, hosts := newQueue(t, server), byHost{loginHost: login(t), queueHost: signing(t, server)}
				if endpoint, err := url.Parse(os.Getenv("IDENTITY_ENDPOINT")); err == nil {
					hosts[endpoint.Host] = endpoint.String()
				}
				q, err := Open(t.Context(), address+queue, hosts.options())
				if err != nil {
					t.Fatal(err)
				}
				works(t, server, q, queue)
			})
		}
	}
}

// A login that is refused is known at the start, and is no outage; one that nobody
// answers is one.
func TestLogin(t *testing.T) {
	server := azurite.Start(t)
	app := map[string]string{"AZURE_CLIENT_SECRET": "app", "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client, "AZURE_TOKEN_CREDENTIALS": "prod"}
	wrong := map[string]string{"AZURE_CLIENT_SECRET": "wrong", "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client, "AZURE_TOKEN_CREDENTIALS": "prod"}
	open := func(t *testing.T, hosts byHost) (*Queue, error) {
		return Open(t.Context(), "https://"+queueHost+"/q", hosts.options())
	}
	for name, variables := range map[string]map[string]string{
		"none": nil, "none on a machine of Azure's": {"AZURE_TOKEN_CREDENTIALS": "prod"}, "refused": wrong, "no such kind": {"AZURE_TOKEN_CREDENTIALS": "wish"},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t, variables)
			_, err := open(t, byHost{loginHost: login(t)})
			if !errors.Is(err, ErrLogin) || MayPass(err) || !strings.Contains(err.Error(), "log in with: az login") {
				t.Errorf("error %v, may pass %v", err, MayPass(err))
			}
		})
	}
	for name, there := range map[string]func(*testing.T) byHost{
		"nobody answers": func(*testing.T) byHost { return byHost{} },
		"in trouble": func(t *testing.T) byHost {
			return byHost{loginHost: serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) })}
		},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t, app)
			hosts := there(t)
			queue := newQueue(t, server)
			q, err := Open(t.Context(), "https://"+queueHost+"/"+queue, hosts.options())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Receive(t.Context(), time.Minute); err == nil || !MayPass(err) || !strings.Contains(err.Error(), "logging in: ") {
				t.Errorf("error %v, may pass %v", err, MayPass(err))
			}
			hosts[loginHost], hosts[queueHost] = login(t), signing(t, server)
			works(t, server, q, queue)
		})
	}
	t.Run("refused later", func(t *testing.T) {
		machine(t, wrong)
		hosts := byHost{}
		q, err := open(t, hosts)
		if err != nil {
			t.Fatal(err)
		}
		hosts[loginHost] = login(t)
		if _, err := q.Receive(t.Context(), time.Minute); err == nil || MayPass(err) || !strings.Contains(err.Error(), "log in with: az login") {
			t.Errorf("error %v, may pass %v", err, MayPass(err))
		}
	})
}

func TestMayPass(t *testing.T) {
	machine(t, map[string]string{azureKey: azurite.Key})
	status := func(code int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(code) } }
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter)
		want   bool
	}{
		"500": {status(500), true}, "503": {status(503), true}, "429": {status(429), true}, "408": {status(408), true},
		"400": {status(400), false}, "403": {status(403), false}, "404": {status(404), false},
		"cut": {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, true},
		"cut in the answer": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
		}, true},
		"damaged": {func(w http.ResponseWriter) {
			fmt.Fprint(w, "<QueueMessagesList><QueueMessage></QueueMessage></QueueMessagesList>")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := Open(t.Context(), "https://"+queueHost+"/q", byHost{queueHost: serve(t, func(w http.ResponseWriter, _ *http.Request) { tc.answer(w) })}.options())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Receive(t.Context(), time.Minute); err == nil || MayPass(err) != tc.want {
				t.Errorf("error %v, may pass %v", err, MayPass(err))
			}
		})
	}
	t.Run("a wrong certificate", func(t *testing.T) {
		server := httptest.NewTLSServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(server.Close)
		q, err := Open(t.Context(), server.URL+"/q", noRetries)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Receive(t.Context(), time.Minute); err == nil || MayPass(err) || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
			t.Errorf("error %v, may pass %v", err, MayPass(err))
		}
	})
	t.Run("no time", func(t *testing.T) {
		q, err := Open(t.Context(), "https://"+queueHost+"/q", byHost{}.options())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if _, err := q.Receive(ctx, time.Minute); err == nil || !MayPass(err) {
			t.Errorf("error %v", err)
		}
	})
}

// A token that makes no queues is enough where they are; what it lacks is said.
func TestPoison(t *testing.T) {
	server := azurite.Start(t)
	open := func(t *testing.T, queue, token string) *Queue {
		machine(t, map[string]string{azureSAS: token})
		q, err := Open(t.Context(), "https://"+queueHost+"/"+queue, byHost{queueHost: root(server)}.options())
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	makePoison := func(t *testing.T, queue string) {
		if _, err := clientOf(t, server, queue+poison).Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("there", func(t *testing.T) {
		queue := newQueue(t, server)
		makePoison(t, queue)
		works(t, server, open(t, queue, accountToken(t, server, sas.AccountPermissions{})), queue)
	})
	t.Run("not there", func(t *testing.T) {
		queue := newQueue(t, server)
		notPoisoned(t, server, open(t, queue, accountToken(t, server, sas.AccountPermissions{})), queue)
	})
	t.Run("out of the token's reach", func(t *testing.T) {
		queue := newQueue(t, server)
		makePoison(t, queue)
		notPoisoned(t, server, open(t, queue, queueToken(t, server, queue)), queue)
	})
}

func notPoisoned(t *testing.T, server azurite.Server, q *Queue, queue string) {
	t.Helper()
	m, err := q.Receive(t.Context(), time.Minute)
	if err != nil || m == nil {
		t.Fatal(m, err)
	}
	err = m.Poison(t.Context())
	if err == nil || MayPass(err) || !strings.Contains(err.Error(), queue+"-poison: the service answered 403") || !strings.Contains(err.Error(), "make that queue") {
		t.Errorf("error %v", err)
	}
	if left := count(t, server, queue); left != 1 {
		t.Errorf("%d messages left", left)
	}
}
