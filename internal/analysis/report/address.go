package report

import (
	"net/netip"
	"slices"
)

// kind is who can reach an address.
type kind int

const (
	public kind = iota
	loopback
	privateNet
	linkLocal
	reserved // nobody, many at once, or another address by way of a translation
)

var (
	privateRanges = prefixes(
		"100.64.0.0/10", // shared by a carrier's customers, RFC 6598
		"fec0::/10",     // site-local, RFC 3879
	)
	// reservedRanges are those of IANA's special-purpose registries that are not globally
	// reachable, or lead to another address.
	reservedRanges = prefixes(
		"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32", // Azure's own, for each virtual machine: not of the Internet
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	)
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // an IPv4 address in its last bytes, RFC 6052
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func kindOf(ip netip.Addr) kind {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	within := func(p netip.Prefix) bool { return p.Contains(ip) }
	switch {
	case ip.IsLoopback():
		return loopback
	case ip.IsPrivate() || slices.ContainsFunc(privateRanges, within):
		return privateNet
	case ip.IsLinkLocalUnicast():
		return linkLocal
	case !ip.IsValid() || ip.IsMulticast() || ip.IsUnspecified() || slices.ContainsFunc(reservedRanges, within) || ip.Is6() && !globalIPv6.Contains(ip):
		return reserved
	}
	return public
}
