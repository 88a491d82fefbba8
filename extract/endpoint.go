package extract

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// regions are those of the API's documentation, as spelled in host names.
var regions = []string{
	"westus2", "eastus", "eastus2", "southcentralus", "westeurope", "northeurope", "southeastasia",
	"australiaeast", "centralindia", "uksouth", "japaneast", "northcentralus", "centraluseuap",
}

var errEndpoint = errors.New("give the resource's address, such as https://NAME.cognitiveservices.azure.com, or a region, such as westeurope")

// ParseEndpoint parses the address of a resource: a URL without a path, or the name
// of a region ("westeurope", "West Europe"). Only loopback addresses may use http,
// so that the key never travels in the clear.
func ParseEndpoint(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, fmt.Errorf("no endpoint: %w", errEndpoint)
	}
	if !strings.Contains(s, "://") && !strings.ContainsAny(s, ".:/") {
		region := strings.ToLower(strings.ReplaceAll(s, " ", ""))
		const maxRegion = 20 // a key that was given by mistake is longer, and must not be repeated
		if len(s) > maxRegion {
			return nil, fmt.Errorf("endpoint is neither a url nor a region of the service: %w", errEndpoint)
		}
		if !slices.Contains(regions, region) {
			return nil, fmt.Errorf("endpoint %q is not a region of the service (%s): %w", s, strings.Join(regions, ", "), errEndpoint)
		}
		return &url.URL{Scheme: "https", Host: region + ".api.cognitive.microsoft.com"}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		// The parser's error repeats the text, which may contain a password.
		return nil, fmt.Errorf("endpoint is not a url: %w", errEndpoint)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("endpoint of host %q has a user name or password: %w", u.Host, errEndpoint)
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
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
