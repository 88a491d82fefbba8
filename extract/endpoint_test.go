package extract

import (
	"strings"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	for _, tc := range []struct{ in, want, err string }{
		{in: "westeurope", want: "https://westeurope.api.cognitive.microsoft.com"},
		{in: "West US 2", want: "https://westus2.api.cognitive.microsoft.com"},
		{in: "Central US EUAP", want: "https://centraluseuap.api.cognitive.microsoft.com"},
		{in: " https://name.cognitiveservices.azure.com/ ", want: "https://name.cognitiveservices.azure.com"},
		{in: "http://127.0.0.1:8770", want: "http://127.0.0.1:8770"},
		{in: "http://localhost:1", want: "http://localhost:1"},
		{in: "http://[::1]:1", want: "http://[::1]:1"},
		{in: "", err: "no endpoint"},
		{in: "atlantis", err: `"atlantis" is neither a url nor a region`},
		{in: "http://name.cognitiveservices.azure.com", err: "in the clear"},
		{in: "http://localhost.evil.example", err: "in the clear"},
		{in: "name.cognitiveservices.azure.com", err: "has no https://"},
		{in: "ftp://name", err: "is not an https url"},
		{in: "https://", err: "is not an https url"},
		{in: "https://name/customvision/v3.2", err: "more than a host"},
		{in: "https://name/?key=SECRET", err: "more than a host"},
		{in: "https://user:SECRET@name", err: "user name or password"},
		{in: "https://na me/SECRET", err: "is not a url"},
	} {
		got, err := ParseEndpoint(tc.in)
		switch {
		case tc.err == "" && (err != nil || got.String() != tc.want):
			t.Errorf("ParseEndpoint(%q) = %v, %v; want %s", tc.in, got, err, tc.want)
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("ParseEndpoint(%q) = %v, %v; want an error with %q", tc.in, got, err, tc.err)
		case err != nil && strings.Contains(err.Error(), "SECRET"):
			t.Errorf("ParseEndpoint(%q) tells a secret: %v", tc.in, err)
		}
	}
}
