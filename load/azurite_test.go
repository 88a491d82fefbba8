package load

import (
	"testing"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
)

func TestAzureFailsAtEveryRequest(t *testing.T) {
	server := azurite.Start(t)
	testSteps(t, func(t *testing.T) (store.Store, *storetest.Gate) {
		return azurite.OpenStore(t, server, azurite.NewContainer(t, server))
	}, 11)
}
