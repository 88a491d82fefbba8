package azure_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest"
)

const azureHost = azurite.Account + ".blob.core.windows.net"

// openText opens what stands behind azblob:// in an address.
func openText(t *testing.T, text string, options azcore.ClientOptions) (store.Store, error) {
	t.Helper()
	return azure.New(storetest.Quick(t), store.ParseAddress("azblob://"+text), options)
}

func azureOpener(server azurite.Server) storetest.Opener {
	return func(t *testing.T) (store.Store, *storetest.Gate) {
		return azurite.OpenStore(t, server, azurite.NewContainer(t, server))
	}
}

func TestStore(t *testing.T) {
	server := azurite.Start(t)
	open := azureOpener(server)
	storetest.TestCloud(t, open)
	storetest.TestUploads(t, open, map[string]storetest.Fault{
		"server busy": {Source: storetest.RandomSource(1000, 1), Interfere: storetest.Instead(1, azureSays(http.StatusServiceUnavailable, "ServerBusy"))},
	})
	t.Run("list is summed, and has no folders", func(t *testing.T) {
		container := azurite.NewContainer(t, server)
		s, _ := azurite.OpenStore(t, server, container)
		put, err := s.Put(t.Context(), "a/1", storetest.RandomSource(10, 1), "")
		if err != nil {
			t.Fatal(err)
		}
		account, err := service.NewClientFromConnectionString(server.ConnectionString, nil)
		if err != nil {
			t.Fatal(err)
		}
		folder := account.NewContainerClient(container).NewBlockBlobClient("a/warehouse/a")
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
		gate := azurite.NewGate(t, server)
		logintest.Machine(t, map[string]string{azurelogin.TokenVariable: accountToken(t, server)}) // which signs no query
		s := openReal(t, azureHost+"/"+azurite.NewContainer(t, server), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if query := r.URL.Query(); query.Get("comp") == "list" {
				query.Set("maxresults", "2")
				r.URL.RawQuery = query.Encode()
			}
			gate.Server.ServeHTTP(w, r)
		}))
		storetest.TestListsAll(t, s)
	})
}

func azureSays(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	server := azurite.Start(t)
	t.Run("no container", func(t *testing.T) {
		s, _ := azurite.OpenStore(t, server, "no-such-container")
		storetest.TestNoBucket(t, s, "make the container")
		_, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(10, 1), "")
		storetest.CheckError(t, err, "404 ContainerNotFound")
	})
	storetest.TestRefusals(t, azureOpener(server), func(w http.ResponseWriter, code string) {
		if code == "" {
			http.Error(w, "<html>no</html>", http.StatusForbidden)
			return
		}
		azureSays(http.StatusForbidden, code)(w)
	}, map[string]string{
		"AuthenticationFailed":               "this machine's clock",
		"AuthorizationFailure":               "the account's firewall",
		"AuthorizationPermissionMismatch":    "Storage Blob Data Contributor",
		"KeyBasedAuthenticationNotPermitted": "does not allow keys",
		"":                                   "proxy or firewall",
	})
	t.Run("refused", func(t *testing.T) {
		container := azurite.NewContainer(t, server)
		logintest.Machine(t, map[string]string{azurelogin.ConnectionVariable: strings.Replace(server.ConnectionString, "AccountKey=Eby8", "AccountKey=AAAA", 1)})
		s, err := openText(t, container, azcore.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Put(t.Context(), storetest.Key, storetest.RandomSource(10, 1), "")
		storetest.CheckError(t, err, "403 Auth", "AZURE_STORAGE_ variables")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		s, _ := azurite.OpenStore(t, server, "no-such-container")
		storetest.TestTooLarge(t, s, 5000<<20+1, "5242880001 bytes", "data.parquet", "gs://")
	})
	for name, tc := range map[string]struct {
		address   string
		variables map[string]string
		want      []string
	}{
		"no account":             {"c/x", nil, []string{"azblob://c/x", "set AZURE_STORAGE_ACCOUNT"}},
		"not logged in":          {azureHost + "/c", nil, []string{azureHost + "/c", "log in with: az login"}},
		"another account's key":  {azureHost + "/c", map[string]string{azurelogin.AccountVariable: "other", azurelogin.KeyVariable: azurite.Key}, []string{"account other", "unset AZURE_STORAGE_KEY"}},
		"another connection":     {"other.blob.core.windows.net/c", map[string]string{azurelogin.ConnectionVariable: "AccountName=some;AccountKey=AAAA"}, []string{"AZURE_STORAGE_CONNECTION_STRING is for some.blob.core.windows.net"}},
		"a broken key":           {azureHost + "/c", map[string]string{azurelogin.KeyVariable: "secret!"}, []string{"AZURE_STORAGE_KEY cannot be used"}},
		"a broken connection":    {"c", map[string]string{azurelogin.ConnectionVariable: "secret"}, []string{"AZURE_STORAGE_CONNECTION_STRING cannot be used"}},
		"a token with a newline": {azureHost + "/c", map[string]string{azurelogin.TokenVariable: "sig=a\nsecret"}, []string{"check", "AZURE_STORAGE_SAS_TOKEN"}},
		"a token in the url":     {azureHost + "/c?sig=secret", nil, []string{azureHost + "/c:", "AZURE_STORAGE_SAS_TOKEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, tc.variables)
			_, err := openText(t, tc.address, azcore.ClientOptions{})
			storetest.CheckError(t, err, tc.want...)
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
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

// openReal opens a warehouse as at the real service, with a server in its place.
func openReal(t *testing.T, address string, server http.Handler) store.Store {
	t.Helper()
	options := azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}
	options.Transport = logintest.Hosts{azureHost: storetest.Serve(t, server.ServeHTTP)}
	s, err := openText(t, address, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every kind of credential opens the account, and none ever reaches an error.
func TestCredentials(t *testing.T) {
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
		"key, account from the url":         {azureHost + "/", map[string]string{azurelogin.KeyVariable: server.Key}},
		"key, account from the environment": {"", map[string]string{azurelogin.AccountVariable: server.Account, azurelogin.KeyVariable: server.Key}},
		"token":                             {azureHost + "/", map[string]string{azurelogin.TokenVariable: token}},
		"token, as the portal shows it":     {"", map[string]string{azurelogin.AccountVariable: server.Account, azurelogin.TokenVariable: "?" + token + "\n"}},
		"token in a connection string":      {"", map[string]string{azurelogin.ConnectionVariable: "BlobEndpoint=https://" + azureHost + ";SharedAccessSignature=" + token}},
		"a connection with a newline":       {"", map[string]string{azurelogin.ConnectionVariable: "AccountName=" + server.Account + ";AccountKey=" + server.Key + "\n"}},
		"a key with a newline":              {azureHost + "/", map[string]string{azurelogin.KeyVariable: server.Key + "\n"}},
		"key in a connection string":        {"", map[string]string{azurelogin.ConnectionVariable: "AccountName=" + server.Account + ";AccountKey=" + server.Key}},
	} {
		t.Run(name, func(t *testing.T) {
			gate := azurite.NewGate(t, server)
			logintest.Machine(t, tc.variables)
			container := azurite.NewContainer(t, server)
			address, src := tc.host+container+"/a", storetest.RandomSource(100, 1)
			s := openReal(t, address, gate.Server)
			if _, err := s.Put(t.Context(), storetest.Key, src, ""); err != nil {
				t.Fatal(err)
			}
			storetest.CheckContent(t, s, storetest.Key, src)
			if want := "az://" + azureHost + "/" + container + "/a/images"; s.URL("images/") != want {
				t.Errorf("URL = %s, want %s", s.URL("images/"), want)
			}
			for fault, fail := range map[string]http.HandlerFunc{
				"cut": func(w http.ResponseWriter, _ *http.Request) { storetest.Cut(w) },
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
				_, stat := s.Stat(t.Context(), storetest.Key)
				_, put := s.Put(t.Context(), storetest.Key, src, "0123")
				_, open := s.Open(t.Context(), storetest.Key)
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
