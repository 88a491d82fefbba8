package notify

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/sas"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/patience"
)

// Every kind of credential opens the queue, by its URL and by its name.
func TestCredentials(t *testing.T) {
	server := azurite.Start(t)
	token := accountToken(t, server, sas.AccountPermissions{Create: true})
	for name, variables := range map[string]map[string]string{
		"key":                          {azurelogin.KeyVariable: server.Key},
		"key with a newline":           {azurelogin.KeyVariable: server.Key + "\n"},
		"token":                        {azurelogin.TokenVariable: token},
		"token with a newline":         {azurelogin.TokenVariable: token + "\n"},
		"token, as the portal shows":   {azurelogin.TokenVariable: "?" + token},
		"key in a connection string":   {azurelogin.ConnectionVariable: "AccountName=" + server.Account + ";AccountKey=" + server.Key},
		"a connection with a newline":  {azurelogin.ConnectionVariable: "AccountName=" + server.Account + ";AccountKey=" + server.Key + "\n"},
		"token in a connection string": {azurelogin.ConnectionVariable: "QueueEndpoint=https://" + queueHost + ";SharedAccessSignature=" + token + "\n"},
	} {
		for form, address := range map[string]string{"url": "https://" + queueHost + "/", "name": ""} {
			t.Run(name+", "+form, func(t *testing.T) {
				logintest.Machine(t, variables)
				if form == "name" {
					t.Setenv(azurelogin.AccountVariable, server.Account)
				}
				queue := newQueue(t, server)
				hosts := logintest.Hosts{queueHost: root(server)}
				q, err := Open(once(t), address+queue, hosts.Options())
				if err != nil {
					t.Fatal(err)
				}
				works(t, server, q, queue)
				for fault, url := range map[string]string{"nobody answers": "", "refused": storetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
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
	for name, identity := range logintest.Identities() {
		for form, address := range map[string]string{"url": "https://" + queueHost + "/", "name": ""} {
			t.Run(name+", "+form, func(t *testing.T) {
				logintest.Machine(t, identity.Machine(t))
				if form == "name" {
					t.Setenv(azurelogin.AccountVariable, server.Account)
				}
				queue, hosts := newQueue(t, server), logintest.ForIdentity(t)
				hosts[queueHost] = signing(t, server, identity.Token)
				q, err := Open(once(t), address+queue, hosts.Options())
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
	open := func(t *testing.T, hosts logintest.Hosts) (*Queue, error) {
		return Open(once(t), "https://"+queueHost+"/q", hosts.Options())
	}
	for name, variables := range map[string]map[string]string{
		"none": nil, "none on a machine of Azure's": {"AZURE_TOKEN_CREDENTIALS": "prod"}, "refused": logintest.Principal("wrong"), "no such kind": {"AZURE_TOKEN_CREDENTIALS": "wish"},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, variables)
			_, err := open(t, logintest.Hosts{logintest.LoginHost: logintest.Login(t)})
			if !errors.Is(err, azurelogin.ErrLogin) || patience.MayPass(err) || !strings.Contains(err.Error(), "log in with: az login") {
				t.Errorf("error %v, may pass %v", err, patience.MayPass(err))
			}
		})
	}
	for name, there := range map[string]func(*testing.T) logintest.Hosts{
		"nobody answers": func(*testing.T) logintest.Hosts { return logintest.Hosts{} },
		"in trouble": func(t *testing.T) logintest.Hosts {
			return logintest.Hosts{logintest.LoginHost: storetest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) })}
		},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, logintest.Principal("app"))
			hosts := there(t)
			queue := newQueue(t, server)
			q, err := Open(once(t), "https://"+queueHost+"/"+queue, hosts.Options())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Receive(t.Context(), time.Minute); err == nil || !patience.MayPass(err) || !strings.Contains(err.Error(), "logging in: ") {
				t.Errorf("error %v, may pass %v", err, patience.MayPass(err))
			}
			hosts[logintest.LoginHost], hosts[queueHost] = logintest.Login(t), signing(t, server, "principal")
			works(t, server, q, queue)
		})
	}
	t.Run("refused later", func(t *testing.T) {
		logintest.Machine(t, logintest.Principal("wrong"))
		hosts := logintest.Hosts{}
		q, err := open(t, hosts)
		if err != nil {
			t.Fatal(err)
		}
		hosts[logintest.LoginHost] = logintest.Login(t)
		if _, err := q.Receive(t.Context(), time.Minute); err == nil || patience.MayPass(err) || !strings.Contains(err.Error(), "log in with: az login") {
			t.Errorf("error %v, may pass %v", err, patience.MayPass(err))
		}
	})
}

func TestMayPass(t *testing.T) {
	logintest.Machine(t, map[string]string{azurelogin.KeyVariable: azurite.Key})
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
			q, err := Open(once(t), "https://"+queueHost+"/q", logintest.Hosts{queueHost: storetest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { tc.answer(w) })}.Options())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Receive(t.Context(), time.Minute); err == nil || patience.MayPass(err) != tc.want {
				t.Errorf("error %v, may pass %v", err, patience.MayPass(err))
			}
		})
	}
	t.Run("a wrong certificate", func(t *testing.T) {
		server := httptest.NewTLSServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(server.Close)
		q, err := Open(once(t), server.URL+"/q", noRetries)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Receive(t.Context(), time.Minute); err == nil || patience.MayPass(err) || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
			t.Errorf("error %v, may pass %v", err, patience.MayPass(err))
		}
	})
}

// A token that makes no queues is enough where they are; what it lacks is said.
func TestPoison(t *testing.T) {
	server := azurite.Start(t)
	open := func(t *testing.T, queue, token string) *Queue {
		logintest.Machine(t, map[string]string{azurelogin.TokenVariable: token})
		q, err := Open(once(t), "https://"+queueHost+"/"+queue, logintest.Hosts{queueHost: root(server)}.Options())
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
	if err == nil || patience.MayPass(err) || !strings.Contains(err.Error(), queue+"-poison: the service answered 403") || !strings.Contains(err.Error(), "make that queue") {
		t.Errorf("error %v", err)
	}
	if left := count(t, server, queue); left != 1 {
		t.Errorf("%d messages left", left)
	}
}
