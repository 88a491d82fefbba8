package notify

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
)

// Where a storage account and its credential come from, first to last; the same as
// for a warehouse at azblob://.
const (
	azureConnection = "AZURE_STORAGE_CONNECTION_STRING"
	azureAccount    = "AZURE_STORAGE_ACCOUNT"
	azureKey        = "AZURE_STORAGE_KEY"
	azureSAS        = "AZURE_STORAGE_SAS_TOKEN"
)

// account is a storage account, with the one credential that is set.
type account struct {
	host       string // empty: the connection string says it
	connection string
	key        *azqueue.SharedKeyCredential
	token      string
	identity   azcore.TokenCredential
	options    policy.ClientOptions
}

// openAccount opens the storage account at host, or the one of the environment if
// that is empty.
func openAccount(ctx context.Context, host string, options policy.ClientOptions) (*account, error) {
	a := &account{host: host, connection: strings.TrimSpace(os.Getenv(azureConnection)), options: options}
	if a.connection != "" {
		return a, nil
	}
	named := os.Getenv(azureAccount)
	if host == "" {
		if named == "" {
			return nil, fmt.Errorf("of which storage account? set %s, or give https://ACCOUNT.queue.core.windows.net/queue", azureAccount)
		}
		a.host = named + ".queue.core.windows.net"
	}
	// Secrets that come from files often end with a newline.
	key, token := os.Getenv(azureKey), strings.TrimPrefix(strings.TrimSpace(os.Getenv(azureSAS)), "?")
	name, _, _ := strings.Cut(a.host, ".")
	if named != "" && named != name && key+token != "" {
		return nil, fmt.Errorf("the credential in the environment is of the storage account %s (%s): unset %s and %s to use another one", named, azureAccount, azureKey, azureSAS)
	}
	var err error
	switch {
	case key != "":
		if a.key, err = azqueue.NewSharedKeyCredential(name, key); err != nil {
			return nil, fmt.Errorf("%s cannot be used: %w", azureKey, err)
		}
	case token != "":
		a.token = token
	default:
		if a.identity, err = logIn(ctx, options); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// queue opens a queue of the account.
func (a *account) queue(name string) (client *azqueue.QueueClient, err error) {
	options := &azqueue.ClientOptions{ClientOptions: a.options} // one for each: the SDK adds to it
	at := "https://" + a.host + "/" + name
	switch {
	case a.connection != "":
		if client, err = azqueue.NewQueueClientFromConnectionString(a.connection, name, options); err != nil {
			return nil, fmt.Errorf("%s cannot be used: %w", azureConnection, err)
		}
	case a.key != nil:
		client, err = azqueue.NewQueueClientWithSharedKeyCredential(at, a.key, options)
	case a.token != "":
		client, err = azqueue.NewQueueClientWithNoCredential(at+"?"+a.token, options)
	default:
		client, err = azqueue.NewQueueClient(at, a.identity, options)
	}
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(client.URL())
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" { // the error would quote it, with a token
		return nil, fmt.Errorf("the storage account's url is broken: check %s and %s", azureConnection, azureSAS)
	}
	if a.host != "" && u.Host != a.host {
		return nil, fmt.Errorf("%s is of %s: unset it to use another account", azureConnection, u.Host)
	}
	return client, nil
}
