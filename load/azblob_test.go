package load

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cvexport/cvexport/internal/azurite"
)

const azureHost = azurite.Account + ".blob.core.windows.net"

// azureMachine makes a machine with nothing but these variables.
func azureMachine(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{azureConnection, azureAccount, azureKey, azureSAS} {
		t.Setenv(name, variables[name])
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential") // else it asks the network
	t.Setenv("PATH", "")                                      // where there is none
}

// azureQuick retries at once.
func azureQuick() azcore.ClientOptions {
	return azcore.ClientOptions{Retry: policy.RetryOptions{RetryDelay: time.Millisecond, MaxRetryDelay: 2 * time.Millisecond}}
}

// azureGate stands before the emulator.
func azureGate(t *testing.T, server azurite.Server) (gateway *gate, address string) {
	t.Helper()
	target, err := url.Parse(server.BlobEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	gateway = &gate{
		server: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		},
		isUpload: func(r *http.Request) bool {
			return r.Method == http.MethodPut && r.URL.Query().Get("restype") == ""
		},
	}
	return gateway, gateway.listen(t)
}

var azureContainers atomic.Int32

// newContainer makes an empty one.
func newContainer(t *testing.T, server azurite.Server) string {
	t.Helper()
	account, err := service.NewClientFromConnectionString(server.ConnectionString, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("container-%d", azureContainers.Add(1))
	if _, err := account.CreateContainer(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

// newTestAzure opens a warehouse in a container of the emulator.
func newTestAzure(t *testing.T, server azurite.Server, container string) (*azureStore, *gate) {
	t.Helper()
	gate, address := azureGate(t, server)
	azureMachine(t, map[string]string{azureConnection: azurite.ConnectionString(address+"/"+server.Account, server.QueueEndpoint)})
	s, err := openAzure(t, container+"/a/warehouse", azureQuick())
	if err != nil {
		t.Fatal(err)
	}
	return s, gate
}

// openAzure opens what stands behind azblob:// in an address.
func openAzure(t *testing.T, text string, options azcore.ClientOptions) (*azureStore, error) {
	t.Helper()
	where, err := parseAzure(text)
	if err != nil {
		return nil, err
	}
	return newAzure(t.Context(), where, options)
}

func azureOpener(server azurite.Server) opener {
	return func(t *testing.T) (Store, *gate) { return newTestAzure(t, server, newContainer(t, server)) }
}

func TestAzureStore(t *testing.T) {
	server := azurite.Start(t)
	open := azureOpener(server)
	testCloudStore(t, open)
	t.Run("fails at every request", func(t *testing.T) { testSteps(t, open, 11) })
	testUploadsSurvive(t, open, map[string]fault{
		"server busy": {randomSource(1000, 1), instead(1, azureSays(http.StatusServiceUnavailable, "ServerBusy"))},
	})
	t.Run("list is summed, and has no folders", func(t *testing.T) {
		opened, _ := open(t)
		s := opened.(*azureStore)
		put, err := s.Put(t.Context(), "a/1", randomSource(10, 1), "")
		if err != nil {
			t.Fatal(err)
		}
		folder := s.client.NewBlockBlobClient("a/warehouse/a")
		if _, err := folder.UploadBuffer(t.Context(), nil, &blockblob.UploadBufferOptions{Metadata: map[string]*string{"hdi_isfolder": to.Ptr("true")}}); err != nil {
			t.Fatal(err)
		}
		for obj, err := range s.List(t.Context(), "") {
			if err != nil || obj != put {
				t.Errorf("listed %+v, %v; put %+v", obj, err, put)
			}
		}
	})
	t.Run("list beyond a page", func(t *testing.T) {
		gate, _ := azureGate(t, server)
		azureMachine(t, map[string]string{azureSAS: accountToken(t, server)}) // which signs no query
		s := openReal(t, azureHost+"/"+newContainer(t, server), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if query := r.URL.Query(); query.Get("comp") == "list" {
				query.Set("maxresults", "2")
				r.URL.RawQuery = query.Encode()
			}
			gate.server.ServeHTTP(w, r)
		}))
		testListsAll(t, s)
	})
}

func azureSays(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
}

func TestAzureErrorsSayWhatToDo(t *testing.T) {
	server := azurite.Start(t)
	t.Run("no container", func(t *testing.T) {
		s, _ := newTestAzure(t, server, "no-such-container")
		testNoBucket(t, s, "make the container")
		_, err := s.Put(t.Context(), localKey, randomSource(10, 1), "")
		says(t, err, "writing az://no-such-container/a/warehouse/tags/a/data.parquet", "404 ContainerNotFound", "make the container")
		_, err = s.Put(t.Context(), localKey, randomSource(10, 1), "0123")
		says(t, err, "make the container")
		_, err = s.Stat(t.Context(), localKey)
		if says(t, err, "make the container"); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error = %v", err)
		}
		_, err = s.Open(t.Context(), localKey)
		says(t, err, "make the container")
		for _, err := range s.List(t.Context(), "images/") {
			says(t, err, "listing az://no-such-container/a/warehouse/images", "make the container")
		}
	})
	t.Run("refused", func(t *testing.T) {
		container := newContainer(t, server)
		azureMachine(t, map[string]string{azureConnection: strings.Replace(server.ConnectionString, "AccountKey=Eby8", "AccountKey=AAAA", 1)})
		s, err := openAzure(t, container, azureQuick())
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Put(t.Context(), localKey, randomSource(10, 1), "")
		says(t, err, "403 Auth", "Storage Blob Data Contributor")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		s, _ := newTestAzure(t, server, "no-such-container")
		_, err := s.Put(t.Context(), localKey, tooLarge{t: t, size: azureLimit + 1}, "")
		says(t, err, "5242880001 bytes", "data.parquet", "gs://")
	})
	for name, tc := range map[string]struct {
		address   string
		variables map[string]string
		want      []string
	}{
		"no account":             {"c/x", nil, []string{"azblob://c/x", "set AZURE_STORAGE_ACCOUNT"}},
		"not logged in":          {azureHost + "/c", nil, []string{azureHost + "/c", "log in with: az login"}},
		"another account's key":  {azureHost + "/c", map[string]string{azureAccount: "other", azureKey: azurite.Key}, []string{"account other", "unset AZURE_STORAGE_KEY"}},
		"another connection":     {"other.blob.core.windows.net/c", map[string]string{azureConnection: "AccountName=some;AccountKey=AAAA"}, []string{"AZURE_STORAGE_CONNECTION_STRING is of some.blob.core.windows.net"}},
		"a broken key":           {azureHost + "/c", map[string]string{azureKey: "secret!"}, []string{"AZURE_STORAGE_KEY cannot be used"}},
		"a broken connection":    {"c", map[string]string{azureConnection: "secret"}, []string{"AZURE_STORAGE_CONNECTION_STRING cannot be used"}},
		"a token with a newline": {azureHost + "/c", map[string]string{azureSAS: "sig=a\nsecret"}, []string{"check", "AZURE_STORAGE_SAS_TOKEN"}},
		"a token in the url":     {azureHost + "/c?sig=secret", nil, []string{azureHost + "/c:", "AZURE_STORAGE_SAS_TOKEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			azureMachine(t, tc.variables)
			_, err := openAzure(t, tc.address, azureQuick())
			says(t, err, tc.want...)
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

// toGate sends what goes to the real service to a gate.
type toGate struct{ address string }

func (g toGate) Do(r *http.Request) (*http.Response, error) {
	at, err := url.Parse(g.address)
	if err != nil {
		return nil, err
	}
	host := r.URL.Host
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = at.Scheme, at.Host, host
	return http.DefaultClient.Do(r)
}

// accountToken signs a SAS token of the emulator's account.
func accountToken(t *testing.T, server azurite.Server) string {
	t.Helper()
	credential, err := service.NewSharedKeyCredential(server.Account, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	query, err := sas.AccountSignatureValues{
		Protocol:      sas.ProtocolHTTPSandHTTP,
		ExpiryTime:    time.Now().Add(time.Hour),
		Permissions:   (&sas.AccountPermissions{Read: true, Write: true, Create: true, List: true}).String(),
		ResourceTypes: (&sas.AccountResourceTypes{Container: true, Object: true}).String(),
	}.SignWithSharedKey(credential)
	if err != nil {
		t.Fatal(err)
	}
	return query.Encode()
}

// openReal opens a warehouse as at the real service, with a gate on the way there.
func openReal(t *testing.T, address string, server http.Handler) *azureStore {
	t.Helper()
	options := azureQuick()
	options.Transport = toGate{(&gate{server: server}).listen(t)}
	s, err := openAzure(t, address, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every kind of credential opens the account, and none ever reaches an error.
func TestAzureCredentials(t *testing.T) {
	server := azurite.Start(t)
	token := accountToken(t, server)
	values, err := url.ParseQuery(token)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"sig=", values.Get("sig"), url.QueryEscape(values.Get("sig")), server.Key, "SharedKey"}
	for name, tc := range map[string]struct {
		host      string
		variables map[string]string
	}{
		"key, account from the url":         {azureHost + "/", map[string]string{azureKey: server.Key}},
		"key, account from the environment": {"", map[string]string{azureAccount: server.Account, azureKey: server.Key}},
		"token":                             {azureHost + "/", map[string]string{azureSAS: token}},
		"token, as the portal shows it":     {"", map[string]string{azureAccount: server.Account, azureSAS: "?" + token + "\n"}},
		"token in a connection string":      {"", map[string]string{azureConnection: "BlobEndpoint=https://" + azureHost + ";SharedAccessSignature=" + token}},
		"key in a connection string":        {"", map[string]string{azureConnection: "AccountName=" + server.Account + ";AccountKey=" + server.Key}},
	} {
		t.Run(name, func(t *testing.T) {
			gate, _ := azureGate(t, server)
			azureMachine(t, tc.variables)
			container := newContainer(t, server)
			address, src := tc.host+container+"/a", randomSource(100, 1)
			s := openReal(t, address, gate.server)
			if _, err := s.Put(t.Context(), localKey, src, ""); err != nil {
				t.Fatal(err)
			}
			holdsSource(t, s, localKey, src)
			if want := "az://" + azureHost + "/" + container + "/a/images"; s.URL("images/") != want {
				t.Errorf("URL = %s, want %s", s.URL("images/"), want)
			}
			for fault, fail := range map[string]http.HandlerFunc{
				"cut": func(w http.ResponseWriter, _ *http.Request) { cut(w) },
				"refused": func(w http.ResponseWriter, r *http.Request) {
					azureSays(http.StatusForbidden, "AuthenticationFailed")(w)
					fmt.Fprintf(w, "<Error><Code>AuthenticationFailed</Code><Message>%s %s</Message></Error>", r.URL, r.Header.Get("Authorization"))
				},
				"cut in the answer": func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Length", "1000")
					w.WriteHeader(http.StatusBadRequest)
				},
			} {
				s := openReal(t, address, fail)
				_, stat := s.Stat(t.Context(), localKey)
				_, put := s.Put(t.Context(), localKey, src, "0123")
				_, open := s.Open(t.Context(), localKey)
				var list error
				for _, list = range s.List(t.Context(), "") {
				}
				for doing, err := range map[string]error{"stat": stat, "put": put, "open": open, "list": list} {
					if err == nil {
						t.Errorf("%s, %s: no error", fault, doing)
						continue
					}
					for _, secret := range secrets {
						if strings.Contains(err.Error(), secret) {
							t.Errorf("%s, %s: %q is in %v", fault, doing, secret, err)
						}
					}
				}
			}
		})
	}
}
