package azurelogin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/patience"
)

const host = "account.table.core.windows.net"

func open(t *testing.T, host string, options policy.ClientOptions) (*azurelogin.Account, error) {
	t.Helper()
	return azurelogin.Open(t.Context(), host, "table", "https://ACCOUNT.table.core.windows.net", options)
}

// Secrets from files end with a newline, and the portal shows a token with a question
// mark.
func TestSecretsAreTrimmed(t *testing.T) {
	const connection = "AccountName=account;AccountKey=AAAA"
	for name, tc := range map[string]struct {
		variables map[string]string
		want      azurelogin.Account
		url       string
	}{
		"connection":        {map[string]string{azurelogin.ConnectionVariable: connection + "\r\n", azurelogin.KeyVariable: "BBBB"}, azurelogin.Account{Connection: connection}, ""},
		"key":               {map[string]string{azurelogin.AccountVariable: "account\n", azurelogin.KeyVariable: " AAAA\n", azurelogin.TokenVariable: "sig=a"}, azurelogin.Account{Host: host, Name: "account", Key: "AAAA"}, "https://" + host + "/q"},
		"token":             {map[string]string{azurelogin.AccountVariable: "account", azurelogin.TokenVariable: "?sig=a\n"}, azurelogin.Account{Host: host, Name: "account", Token: "sig=a"}, "https://" + host + "/q?sig=a"},
		"quoted connection": {map[string]string{azurelogin.ConnectionVariable: "\ufeff\"" + connection + "\""}, azurelogin.Account{Connection: connection}, ""},
		"key as a line":     {map[string]string{azurelogin.AccountVariable: "'account'", azurelogin.KeyVariable: "AZURE_STORAGE_KEY=AAAA\n"}, azurelogin.Account{Host: host, Name: "account", Key: "AAAA"}, "https://" + host + "/q"},
		"quoted token":      {map[string]string{azurelogin.AccountVariable: "account", azurelogin.TokenVariable: `"?sv=1&sig=a"`}, azurelogin.Account{Host: host, Name: "account", Token: "sv=1&sig=a"}, "https://" + host + "/q?sv=1&sig=a"},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, tc.variables)
			a, err := open(t, "", policy.ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if *a != tc.want {
				t.Errorf("%+v, want %+v", *a, tc.want)
			}
			if tc.url != "" && a.URL("q") != tc.url {
				t.Errorf("URL = %s, want %s", a.URL("q"), tc.url)
			}
			if name := azurelogin.EnvironmentName(); name != "account" {
				t.Errorf("the environment names %q", name)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	const secret = "c2VjcmV0"
	for name, tc := range map[string]struct {
		host      string
		variables map[string]string
		want      string
	}{
		"no account":              {"", nil, "set AZURE_STORAGE_ACCOUNT, or write https://ACCOUNT"},
		"a broken key":            {"", map[string]string{azurelogin.AccountVariable: "account", azurelogin.KeyVariable: secret + "!"}, "AZURE_STORAGE_KEY cannot be used"},
		"two lines":               {"", map[string]string{azurelogin.ConnectionVariable: "AccountName=a\nAccountKey=" + secret}, "AZURE_STORAGE_CONNECTION_STRING cannot be used: it has several lines"},
		"half a quote":            {"", map[string]string{azurelogin.AccountVariable: "account", azurelogin.TokenVariable: `"sig=` + secret}, "AZURE_STORAGE_SAS_TOKEN cannot be used: it has a quote"},
		"another account's key":   {host, map[string]string{azurelogin.AccountVariable: "some", azurelogin.KeyVariable: secret}, "account some (AZURE_STORAGE_ACCOUNT): unset AZURE_STORAGE_KEY"},
		"another account's token": {host, map[string]string{azurelogin.AccountVariable: "some", azurelogin.TokenVariable: "sig=" + secret}, "account some (AZURE_STORAGE_ACCOUNT): unset AZURE_STORAGE_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, tc.variables)
			if _, err := open(t, tc.host, policy.ClientOptions{}); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error = %v, want %s", err, tc.want)
			}
		})
	}
	a := azurelogin.Account{Host: host, Connection: "connection"}
	for _, tc := range []struct {
		url  string
		err  error
		want string
	}{
		{"", errors.New("broken"), "AZURE_STORAGE_CONNECTION_STRING cannot be used: broken"},
		{"https://other.table.core.windows.net/?sig=" + secret, nil, "AZURE_STORAGE_CONNECTION_STRING is for other.table.core.windows.net: unset it"},
		{"ftp://" + host + "/?sig=" + secret, nil, "check AZURE_STORAGE_CONNECTION_STRING and AZURE_STORAGE_SAS_TOKEN"},
		{"https://" + host + "/?sig=\n" + secret, nil, "check AZURE_STORAGE_CONNECTION_STRING and AZURE_STORAGE_SAS_TOKEN"},
	} {
		if _, err := a.Check(tc.url, tc.err); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("Check(%s): %v, want %s", tc.url, err, tc.want)
		}
	}
	if got, err := a.Check("https://"+host+"/q", nil); got != host || err != nil {
		t.Errorf("Check = %s, %v", got, err)
	}
}

func TestIdentities(t *testing.T) {
	for name, identity := range logintest.Identities() {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, identity.Machine(t))
			a, err := open(t, host, logintest.ForIdentity(t).Options())
			if err != nil || a.Outage != nil || a.Identity == nil {
				t.Fatalf("%+v, %v", a, err)
			}
			token, err := a.Identity.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
			if err != nil || token.Token != identity.Token {
				t.Errorf("token %q, %v", token.Token, err)
			}
		})
	}
}

// A refused login is an error at once; one that nobody answers is an outage.
func TestLogin(t *testing.T) {
	for name, variables := range map[string]map[string]string{
		"none": nil, "none on a machine of Azure's": {"AZURE_TOKEN_CREDENTIALS": logintest.Production}, "refused": logintest.Principal("wrong"), "no such kind": {"AZURE_TOKEN_CREDENTIALS": "wish"},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, variables)
			_, err := open(t, host, logintest.Hosts{logintest.LoginHost: logintest.Login(t)}.Options())
			if !errors.Is(err, azurelogin.ErrLogin) || patience.MayPass(err) || !strings.Contains(err.Error(), "log in with: az login") {
				t.Errorf("error %v, may pass %v", err, patience.MayPass(err))
			}
		})
	}
	for name, hosts := range map[string]logintest.Hosts{
		"nobody answers": {},
		"in trouble":     {logintest.LoginHost: storetest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) })},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, logintest.Principal("app"))
			a, err := open(t, host, hosts.Options())
			if err != nil {
				t.Fatal(err)
			}
			if !errors.Is(a.Outage, azurelogin.ErrLogin) || !patience.MayPass(a.Outage) || !strings.Contains(a.Outage.Error(), "logging in: ") {
				t.Errorf("outage %v, may pass %v", a.Outage, patience.MayPass(a.Outage))
			}
			hosts[logintest.LoginHost] = logintest.Login(t)
			if _, err := a.Identity.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}}); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		})
	}
}
