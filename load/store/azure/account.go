package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cvexport/cvexport/load/store"
)

// Where a storage account and its credential come from, first to last. The
// names are those of the az command.
const (
	azureConnection = "AZURE_STORAGE_CONNECTION_STRING"
	azureAccount    = "AZURE_STORAGE_ACCOUNT"
	azureKey        = "AZURE_STORAGE_KEY"
	azureSAS        = "AZURE_STORAGE_SAS_TOKEN"
)

// openAccount opens the storage account at host, or the one of the environment
// if that is empty, and returns its host.
func openAccount(ctx context.Context, host string, tuned azcore.ClientOptions) (*service.Client, string, error) {
	tuned.PerRetryPolicies = append(tuned.PerRetryPolicies, freshBody{}, hideQuery{})
	options := &service.ClientOptions{ClientOptions: tuned}
	var client *service.Client
	var err error
	connection, account := os.Getenv(azureConnection), os.Getenv(azureAccount)
	if connection != "" {
		if client, err = service.NewClientFromConnectionString(connection, options); err != nil {
			return nil, "", fmt.Errorf("%s cannot be used: %w", azureConnection, err)
		}
	} else {
		if host == "" {
			if account == "" {
				return nil, "", fmt.Errorf("of which storage account? set %s, or write azblob://ACCOUNT.blob.core.windows.net/container", azureAccount)
			}
			host = account + ".blob.core.windows.net"
		}
		if client, err = openHost(ctx, host, account, options); err != nil {
			return nil, "", err
		}
	}
	at, err := url.Parse(client.URL())
	if err != nil { // the error would quote it, with a token
		return nil, "", fmt.Errorf("the storage account's url is broken: check %s and %s", azureConnection, azureSAS)
	}
	if host != "" && at.Host != host {
		return nil, "", fmt.Errorf("%s is of %s: unset it to use another account", azureConnection, at.Host)
	}
	return client, at.Host, nil
}

func openHost(ctx context.Context, host, account string, options *service.ClientOptions) (*service.Client, error) {
	key, token := os.Getenv(azureKey), strings.TrimPrefix(strings.TrimSpace(os.Getenv(azureSAS)), "?")
	name, _, _ := strings.Cut(host, ".")
	if account != "" && account != name && key+token != "" {
		return nil, fmt.Errorf("the credential in the environment is of the storage account %s (%s): unset %s and %s to use another one", account, azureAccount, azureKey, azureSAS)
	}
	at := "https://" + host + "/"
	switch {
	case key != "":
		shared, err := service.NewSharedKeyCredential(name, key)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be used: %w", azureKey, err)
		}
		return service.NewClientWithSharedKeyCredential(at, shared, options)
	case token != "":
		return service.NewClientWithNoCredential(at+"?"+token, options)
	}
	identity, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: options.Transport}})
	if err == nil { // one that cannot log in is better known now than after the export
		_, err = identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w (log in with: az login, or set %s or %s)", store.ErrLogin, err, azureKey, azureSAS)
	}
	return service.NewClient(at, identity, options)
}

// hideQuery keeps the query out of the error of a connection: that is where a
// SAS token stands.
type hideQuery struct{}

func (hideQuery) Do(req *policy.Request) (*http.Response, error) {
	answer, err := req.Next()
	if failed, ok := errors.AsType[*url.Error](err); ok {
		failed.URL, _, _ = strings.Cut(failed.URL, "?")
	}
	return answer, err
}

// accountName is the storage account that the environment names.
func accountName() string {
	for part := range strings.SplitSeq(os.Getenv(azureConnection), ";") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "AccountName="); ok {
			return name
		}
	}
	return os.Getenv(azureAccount)
}
