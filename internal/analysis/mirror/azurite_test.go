package mirror

import (
	"testing"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func TestCacheOfAzure(t *testing.T) {
	server := azurite.Start(t)
	testCache(t, func(t *testing.T) store.Store {
		s, _ := fakes.OpenAzure(t, server, fakes.NewContainer(t, server))
		return s
	})
}
