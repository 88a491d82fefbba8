package azure_test

import (
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/operation/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func TestIdentities(t *testing.T) {
	server := azurite.Start(t)
	emulator := strings.TrimSuffix(server.BlobEndpoint, "/"+server.Account)
	for name, identity := range logintest.Identities() {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, identity.Machine(t))
			hosts := logintest.ForIdentity(t)
			hosts[azureHost] = logintest.Signing(t, emulator, accountToken(t, server), identity.Token)
			options := fakes.ImpatientAzure()
			options.Transport = hosts
			s, err := openText(t, azureHost+"/"+fakes.NewContainer(t, server)+"/vision", options)
			if err != nil {
				t.Fatal(err)
			}
			storetest.TestCredentials(t, s)
		})
	}
}
