package gcs_test

import (
	"fmt"
	"net/http"
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
	storetest.TestRefusals(t, open, func(w http.ResponseWriter, code string) {
		status := http.StatusForbidden
		if code == "Invalid Credentials" {
			status = http.StatusUnauthorized
		}
		if code == "" {
			http.Error(w, "<html>no</html>", status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"reason":"forbidden"}]}}`, status, code)
	}, map[string]string{
		"x does not have storage.objects.get access": "roles/storage.objectUser",
		"Invalid Credentials":                        "gcloud auth application-default login",
		"Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: 1": "service perimeter",
		"": "proxy or firewall",
	})
}
