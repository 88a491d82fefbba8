package azurite

import (
	"net/http"
	"testing"
)

func TestStart(t *testing.T) {
	server := Start(t)
	for endpoint, want := range map[string]string{server.BlobEndpoint: "Azurite-Blob/3.37.0", server.QueueEndpoint: "Azurite-Queue/3.37.0"} {
		response, err := http.Get(endpoint + "?comp=list")
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if got := response.Header.Get("Server"); got != want {
			t.Errorf("%s: %q answers, want %q", endpoint, got, want)
		}
	}
}
