package extract

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// regions are the names the API page lists, as Azure writes them in a host name.
var regions = []string{
	"westus2", "eastus", "eastus2", "southcentralus", "westeurope", "northeurope", "southeastasia",
	"australiaeast", "centralindia", "uksouth", "japaneast", "northcentralus", "centraluseuap",
}

var errEndpoint = errors.New("give the resource's address, such as https://NAME.cognitiveservices.azure.com, or a region, such as westeurope")

// ParseEndpoint reads the address of a resource: a URL without a path, or one
// of the page's region names ("westeurope", "West Europe"). A key never travels
// in the clear, so http is taken on loopback only.
func ParseEndpoint(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, fmt.Errorf("no endpoint: %w", errEndpoint)
	}
	if !strings.Contains(s, "://") && !strings.ContainsAny(s, ".:/") {
		region := strings.ToLower(strings.ReplaceAll(s, " ", ""))
		const longest = 20 // of a region's name; a key that was put here by mistake is longer
		if len(s) > longest {
			return nil, fmt.Errorf("endpoint is neither a url nor a region of the service: %w", errEndpoint)
		}
		if !slices.Contains(regions, region) {
			return nil, fmt.Errorf("endpoint %q is not a region of the service (%s): %w", s, strings.Join(regions, ", "), errEndpoint)
		}
		return &url.URL{Scheme: "https", Host: region + ".api.cognitive.microsoft.com"}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		// The parser's message repeats the text, which may hold a password.
		return nil, fmt.Errorf("endpoint is not a url: %w", errEndpoint)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("endpoint of host %q holds a user name or password: %w", u.Host, errEndpoint)
	case u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fmt.Errorf("endpoint %q is not an https url: %w", u.Redacted(), errEndpoint)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("endpoint of host %q has more than a host: %w", u.Host, errEndpoint)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("endpoint %q is http and not on this machine, so the key would travel in the clear: use https", u.Redacted())
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
