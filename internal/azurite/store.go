package azurite

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest"
)

// NewGate puts a gate in front of the emulator.
func NewGate(t *testing.T, server Server) *storetest.Gate {
	t.Helper()
	target, err := url.Parse(server.BlobEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	return &storetest.Gate{
		Server: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		},
		IsUpload: func(r *http.Request) bool {
			return r.Method == http.MethodPut && r.URL.Query().Get("restype") == ""
		},
	}
}

var containers atomic.Int32

// NewContainer makes an empty container and returns its name.
func NewContainer(t *testing.T, server Server) string {
	t.Helper()
	account, err := service.NewClientFromConnectionString(server.ConnectionString, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("container-%d", containers.Add(1))
	if _, err := account.CreateContainer(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

// OpenStore opens a folder of a container of the emulator.
func OpenStore(t *testing.T, server Server, container string) (store.Store, *storetest.Gate) {
	t.Helper()
	gate := NewGate(t, server)
	logintest.Machine(t, map[string]string{azurelogin.ConnectionVariable: ConnectionString(gate.Listen(t)+"/"+server.Account, server.QueueEndpoint)})
	s, err := azure.New(storetest.Quick(t), store.ParseAddress("azblob://"+container+"/a/warehouse"), azcore.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s, gate
}
