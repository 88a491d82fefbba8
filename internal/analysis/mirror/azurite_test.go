package mirror

import (
	"testing"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store"
)

func TestCacheOfAzure(t *testing.T) {
	server := azurite.Start(t)
	testCache(t, func(t *testing.T) store.Store {
		s, _ := azurite.OpenStore(t, server, azurite.NewContainer(t, server))
		return s
	})
}
