package extract

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// The kinds of the domains that a recording of the service has; they are asked for once.
func TestModelKindOfRecordedDomains(t *testing.T) {
	body, err := os.ReadFile("testdata/recordings/v3.2_GetDomains_01.json")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, strings.TrimPrefix(r.URL.Path, "/customvision/v3.2/training/"))
		if !strings.HasSuffix(r.URL.Path, "/domains") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if _, err := w.Write(body); err != nil {
			t.Error(err)
		}
	})
	const unlisted = "00000000-0000-4000-8000-0000000000ab"
	for range 2 {
		for id, want := range map[string]string{
			"ee85a74c-405e-4adc-bb47-ffa8ca0c9f31": schema.Classification, // General
			"0732100f-1a38-4e49-a514-c9b44c697ab5": schema.Classification, // General (compact)
			"da2e3a8a-40a5-4171-82f4-58522f70fbc1": schema.Detection,      // General
			"a27d5ca5-bb19-49d8-a70a-fec086c47f5b": schema.Detection,      // General (compact)
			unlisted:                               "",
		} {
			domain, err := schema.ParseID(id)
			if err != nil {
				t.Fatal(err)
			}
			kind, err := client.ModelKind(t.Context(), domain)
			if kind != want || (err != nil) != (want == "") {
				t.Errorf("domain %s is for %q, want %q (%v)", id, kind, want, err)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 2 || asked[0] != "domains" || asked[1] != "domains/"+unlisted {
		t.Errorf("asked for %v, want the list and the one that is not in it, each once", asked)
	}
}
