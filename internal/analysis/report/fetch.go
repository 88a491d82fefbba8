package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Unless the export kept access tokens, no address in a warehouse works, so fetching
// gives up after some failures without a success.
const (
	fetchTimeout     = 10 * time.Second
	maxPictureBytes  = 20 << 20
	maxHeaderBytes   = 64 << 10
	maxFetchFailures = 24
)

// Fetch returns the pictures at the addresses of the images, preferring thumbnails.
//
// The addresses are the warehouse's, which others may write to, and this machine can
// reach servers that they cannot. So a picture is fetched with https, without a key,
// cookie, password or redirect, and from public addresses only, which is checked when
// the connection is made, after DNS. Where the service's own endpoint is on loopback, in
// a private network or link-local, pictures may be there too, on loopback with plain http.
//
// A proxy that the environment names is used. It resolves the names then, so what it lets
// pass is up to it; addresses that are no names are checked here all the same.
func Fetch() Pictures {
	f := &fetcher{proxy: http.ProxyFromEnvironment, lookup: net.DefaultResolver.LookupNetIP}
	return f.picture
}

type fetcher struct {
	proxy  func(*http.Request) (*url.URL, error)
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	endpoints           sync.Map // of *endpoint, by host
	successes, failures atomic.Int64
	firstErr            atomic.Pointer[error]
}

func (f *fetcher) picture(ctx context.Context, of Recorded) ([]byte, error) {
	err := ErrNoPicture
	for _, address := range []string{of.ThumbnailURI, of.ImageURI} {
		if address == "" {
			continue
		}
		if f.successes.Load() == 0 && f.failures.Load() >= maxFetchFailures {
			return nil, fmt.Errorf("gave up after %d failures, the first of them: %w", maxFetchFailures, *f.firstErr.Load())
		}
		var b []byte
		if b, err = f.get(ctx, address, f.endpoint(of.EndpointHost)); err == nil {
			f.successes.Add(1)
			return b, nil
		}
		failure := err
		f.firstErr.CompareAndSwap(nil, &failure)
		f.failures.Add(1)
	}
	return nil, err
}

// get returns errors without the address.
func (f *fetcher) get(ctx context.Context, address string, of *endpoint) (_ []byte, err error) {
	defer func() {
		if withAddress, ok := errors.AsType[*url.Error](err); ok {
			err = withAddress.Err
		}
		if err != nil {
			err = fmt.Errorf("fetching a picture: %w", err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("its address is malformed")
	}
	if err := of.check(ctx, r.URL); err != nil {
		return nil, err
	}
	proxy, err := f.proxy(r)
	if err != nil {
		return nil, fmt.Errorf("the proxy: %w", err)
	}
	client := of.direct
	if proxy != nil {
		client = of.proxied
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the response is %s", response.Status)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, maxPictureBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxPictureBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxPictureBytes)
	}
	return b, nil
}

// endpoint is the service's, with the clients for pictures of its projects.
type endpoint struct {
	fetcher         *fetcher
	host            string
	direct, proxied *http.Client

	mu    sync.Mutex
	known map[kind]bool // of its own addresses, once they have been asked for
}

func (f *fetcher) endpoint(host string) *endpoint {
	if found, ok := f.endpoints.Load(host); ok {
		return found.(*endpoint)
	}
	e := &endpoint{fetcher: f, host: host}
	dialer := &net.Dialer{Timeout: fetchTimeout, ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return e.allow(ctx, to.Addr())
	}}
	e.direct = newClient(&http.Transport{DialContext: dialer.DialContext})
	e.proxied = newClient(&http.Transport{Proxy: f.proxy})
	found, _ := f.endpoints.LoadOrStore(host, e)
	return found.(*endpoint)
}

func newClient(t *http.Transport) *http.Client {
	t.TLSHandshakeTimeout, t.DisableCompression, t.MaxResponseHeaderBytes, t.IdleConnTimeout = fetchTimeout, true, maxHeaderBytes, time.Minute
	return &http.Client{
		Transport: t,
		// A redirect could send the address, with its token, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// kinds returns the kinds of addresses that the endpoint has; nil if it is not known.
func (e *endpoint) kinds(ctx context.Context) map[kind]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known != nil {
		return e.known
	}
	host := e.host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "" {
		return nil
	}
	addresses, err := e.fetcher.lookup(ctx, "ip", host) // an address is its own
	if err != nil {
		return nil // then there are public pictures only
	}
	e.known = map[kind]bool{}
	for _, a := range addresses {
		e.known[kindOf(a)] = true
	}
	return e.known
}

var (
	errNotEncrypted = errors.New("its address is not https")
	errNotPublic    = errors.New("its address is not public, and the service's endpoint is not in that network")
)

// check refuses what can be refused before a connection is made.
func (e *endpoint) check(ctx context.Context, u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	ip, err := netip.ParseAddr(host)
	isIP, isLocal := err == nil, host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || host == "":
		return errNotEncrypted
	case u.Scheme == "http" && !(isLocal || isIP && kindOf(ip) == loopback):
		return errNotEncrypted
	case u.User != nil:
		return errors.New("its address has a password")
	case isLocal:
		return e.allowKind(ctx, loopback)
	case isIP:
		return e.allow(ctx, ip)
	}
	return nil
}

func (e *endpoint) allow(ctx context.Context, ip netip.Addr) error {
	return e.allowKind(ctx, kindOf(ip))
}

func (e *endpoint) allowKind(ctx context.Context, k kind) error {
	if k == public || k != reserved && e.kinds(ctx)[k] {
		return nil
	}
	return errNotPublic
}

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
