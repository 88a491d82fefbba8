package gcs_test

import (
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func open(t *testing.T) (store.Store, *storetest.Gate) { return fakes.OpenGCS(t, fakes.Bucket) }

func TestStore(t *testing.T) { storetest.TestCloud(t, open) }

// A large upload is several requests, the first of which begins it.
func TestChunksSurvive(t *testing.T) {
	large := storetest.RandomSource(1_000_000, 2)
	storetest.TestUploads(t, open, map[string]storetest.Fault{
		"busy, in a chunk":              {Source: large, Interfere: storetest.Instead(3, storetest.Busy)},
		"throttled, in a chunk":         {Source: large, Interfere: storetest.Instead(3, storetest.Throttled)},
		"cut, in a chunk":               {Source: large, Interfere: storetest.Instead(3, storetest.Cut)},
		"lost answer of the beginning":  {Source: large, Interfere: storetest.Afterwards(1, storetest.Busy)},
		"lost answer of a chunk":        {Source: large, Interfere: storetest.Afterwards(3, storetest.Busy)},
		"lost answer of the last chunk": {Source: large, Interfere: storetest.Afterwards(5, storetest.Busy)},
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	s, _ := fakes.OpenGCS(t, "no-such-bucket")
	storetest.TestNoBucket(t, s, cloud.MakeBucket)
}
