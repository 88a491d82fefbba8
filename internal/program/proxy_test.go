package program

import (
	"strings"
	"testing"
)

func TestCheckProxy(t *testing.T) {
	variables := []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"}
	for _, name := range variables {
		t.Setenv(name, "")
	}
	for text, want := range map[string]bool{
		"": true, "http://proxy:3128": true, "http://proxy:3128/": true, "https://user:secret@proxy:3128": true, "proxy:3128": true, "proxy": true, "socks5://127.0.0.1:1080": true,
		"socks5h://proxy": true, "http://[::1]:3128": true, "10.0.0.1:3128": true, "user:secret@proxy:3128": true,
		"http://": false, "http:/proxy:3128": false, "http://proxy:secret": false, "http://proxy:3128\n": false, " http://proxy:3128": false, "ftp://proxy": false,
		"://proxy": false, "proxy:": false, "http://proxy:3128 secret": false, `"http://proxy:3128"`: false, "http://%zz@secret:1": false, "proxy/secret": false, "http://proxy?secret": false,
	} {
		for _, name := range variables {
			t.Setenv(name, text)
			if err := CheckProxy(); (err == nil) != want || err != nil && (!strings.HasPrefix(err.Error(), name+" is not") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%s=%q: %v", name, text, err)
			}
			t.Setenv(name, "")
		}
	}
}
