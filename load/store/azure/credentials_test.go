package azure_test

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest"
)

func TestIdentities(t *testing.T) {
	server := azurite.Start(t)
	emulator := strings.TrimSuffix(server.BlobEndpoint, "/"+server.Account)
	for name, identity := range logintest.Identities() {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, identity.Machine(t))
			hosts := logintest.ForIdentity(t)
			hosts[azureHost] = logintest.Signing(t, emulator, accountToken(t, server), identity.Token)
			options := azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}
			options.Transport = hosts
			s, err := openText(t, azureHost+"/"+azurite.NewContainer(t, server)+"/vision", options)
			if err != nil {
				t.Fatal(err)
			}
			storetest.TestCredentials(t, s)
		})
	}
}
