// Package azurelogin finds a storage account of Azure and the machine's credential for
// it. It knows none of the services of an account.
package azurelogin

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/secret"
)

// The variables with a storage account and its credential, in the order in which they
// are looked at. The names are those of the az command.
const (
	ConnectionVariable = "AZURE_STORAGE_CONNECTION_STRING"
	AccountVariable    = "AZURE_STORAGE_ACCOUNT"
	KeyVariable        = "AZURE_STORAGE_KEY"
	TokenVariable      = "AZURE_STORAGE_SAS_TOKEN"
)

// variable returns a variable of the environment, without what editors and shells leave
// around a secret. What cannot be used is kept in err.
func variable(name string, err *error) string {
	text, wrong := secret.Text([]byte(os.Getenv(name)), name)
	if wrong != nil && *err == nil {
		*err = fmt.Errorf("%s cannot be used: %w", name, wrong)
	}
	if name != AccountVariable {
		secret.Add(text)
	}
	return text
}

// Account is a storage account, with exactly one credential.
type Account struct {
	Host string // of one of its services; empty if only the connection string knows it

	Connection string
	Name, Key  string
	Token      string // a shared access signature, without a question mark
	Identity   azcore.TokenCredential

	// Outage is set if nobody answered when the identity logged in. The identity tries
	// again with each request.
	Outage error
}

// Open finds the account at host or, if that is empty, the one that the environment
// names; its host is NAME.service.core.windows.net. example is an address that names an
// account, for the error. An identity logs in at once. If that is refused, the error
// wraps [ErrLogin].
func Open(ctx context.Context, host, service, example string, options policy.ClientOptions) (*Account, error) {
	var err error
	a := &Account{Host: host, Connection: variable(ConnectionVariable, &err)}
	if err != nil {
		return nil, err
	}
	if a.Connection != "" {
		return a, nil
	}
	named := variable(AccountVariable, &err)
	if err != nil {
		return nil, err
	}
	if host == "" {
		if named == "" {
			return nil, fmt.Errorf("the storage account is not known: set %s, or write %s", AccountVariable, example)
		}
		a.Host = named + "." + service + ".core.windows.net"
	}
	a.Name, _, _ = strings.Cut(a.Host, ".")
	a.Key, a.Token = variable(KeyVariable, &err), strings.TrimPrefix(variable(TokenVariable, &err), "?")
	if err != nil {
		return nil, err
	}
	if named != "" && named != a.Name && a.Key+a.Token != "" {
		return nil, fmt.Errorf("the credential in the environment is for the storage account %s (%s): unset %s and %s to use another one", named, AccountVariable, KeyVariable, TokenVariable)
	}
	if a.Key != "" {
		a.Token = ""
		if _, err := base64.StdEncoding.DecodeString(a.Key); err != nil {
			return nil, fmt.Errorf("%s cannot be used: %w", KeyVariable, err)
		}
	}
	if a.Key+a.Token == "" {
		identity, err := logIn(ctx, options)
		if err != nil && !patience.MayPass(err) {
			return nil, err
		}
		a.Identity, a.Outage = identity, err
	}
	return a, nil
}

// URL is the address of what is at a path of the account, with the token if that is its
// credential. A connection string has its own address.
func (a *Account) URL(path string) string {
	u := "https://" + a.Host + "/" + path
	if a.Token != "" {
		u += "?" + a.Token
	}
	return u
}

// Check takes what opening a client returned: the client's URL and the error. It returns
// the client's host, and an error if that is not the account's. No error repeats a
// secret.
func (a *Account) Check(clientURL string, err error) (host string, _ error) {
	if err != nil && a.Connection != "" {
		return "", fmt.Errorf("%s cannot be used: %w", ConnectionVariable, err)
	}
	if err != nil {
		return "", err
	}
	u, err := url.Parse(clientURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" { // the error would quote the token
		return "", fmt.Errorf("the storage account's url is broken: check %s and %s", ConnectionVariable, TokenVariable)
	}
	if a.Host != "" && u.Host != a.Host && a.Connection == "" {
		return "", fmt.Errorf("%s is not the name of a storage account: check %s", a.Name, AccountVariable)
	}
	if a.Host != "" && u.Host != a.Host {
		return "", fmt.Errorf("%s is for %s: unset it to use another account", ConnectionVariable, u.Host)
	}
	return u.Host, nil
}

// EnvironmentName is the name of the storage account that the environment names.
func EnvironmentName() string {
	var ignored error // Open returns it
	for part := range strings.SplitSeq(variable(ConnectionVariable, &ignored), ";") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "AccountName="); ok {
			return name
		}
	}
	return variable(AccountVariable, &ignored)
}
