package program

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// CheckProxy returns an error if a variable for a proxy has a value that is no address of
// one. Go's HTTP client ignores such a value, and the requests would go past the proxy.
func CheckProxy() error {
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"} {
		if text := os.Getenv(name); text != "" && !isProxy(text) { // which may have a password in it
			return fmt.Errorf("%s is not the address of a proxy, and the requests would go past it: want http://host:port, https://host:port or socks5://host:port, or unset it", name)
		}
	}
	return nil
}

func isProxy(text string) bool {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" &&
		slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) && !strings.HasSuffix(u.Host, ":")
}
