package site

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Guard tells the requests of a site's own reader from those of everybody else on the
// machine, and of web pages that his browser shows.
//
// The reader comes with a token in the address, gets a cookie for it, and is led to an
// address without the token. A cookie is sent to every port of a host, so also to a
// server that another user runs on this machine; that is why it is for one path, which
// nobody else knows.
type Guard struct {
	Hosts []string // names and addresses that a request may be for, besides those of loopback

	token, cookie, path string
}

// NewGuard returns a guard with a new token.
func NewGuard(hosts ...string) *Guard {
	return &Guard{Hosts: hosts, token: rand.Text(), cookie: rand.Text(), path: "/" + rand.Text() + "/"}
}

const (
	cookieName = "cvreport"
	tokenName  = "token"
)

// Path is the address of the site below its host, with the token.
func (g *Guard) Path() string { return "/?" + tokenName + "=" + g.token }

// refusal is why a request is not answered.
type refusal struct {
	code int
	error
}

var (
	errElsewhere = errors.New("another web page asks for this one. Copy the address that cvreport serve has printed into the browser's address bar")
	errNoToken   = errors.New("only who has the address that cvreport serve printed when it was started can see the reports. Copy that address, with its token, into the browser's address bar")
)

// admit returns the path within the site that a request is for. entered is true if it
// brought the token, and is to be led there.
func (g *Guard) admit(r *http.Request) (path string, entered bool, refused *refusal) {
	if !g.knows(r) {
		return "", false, &refusal{http.StatusMisdirectedRequest, fmt.Errorf("this is not %s (give the name with --host, if it is)", r.Host)}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", false, &refusal{http.StatusMethodNotAllowed, fmt.Errorf("%s is not allowed, only GET", r.Method)}
	}
	if !isOwn(r) {
		return "", false, &refusal{http.StatusForbidden, errElsewhere}
	}
	if r.URL.Path == "/" && same(r.URL.Query().Get(tokenName), g.token) {
		return "/", true, nil
	}
	path, below := strings.CutPrefix(r.URL.Path, g.path)
	allowed := slices.ContainsFunc(r.CookiesNamed(cookieName), func(c *http.Cookie) bool { return same(c.Value, g.cookie) })
	if !below || !allowed {
		return "", false, &refusal{http.StatusForbidden, errNoToken}
	}
	return "/" + path, false, nil
}

// enter gives the cookie, and leads to the address without the token.
func (g *Guard) enter(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: g.cookie, Path: g.path, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, g.path, http.StatusSeeOther)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// isOwn reports whether a browser sends the request for the site itself or for its user,
// not for another page. What is no browser sends neither header.
func isOwn(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	return true
}

// knows reports whether a request is for a name or address of this site. A web site
// could point its own name here (DNS rebinding), but not an address.
func (g *Guard) knows(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") || slices.ContainsFunc(g.Hosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return ip.Unmap().IsLoopback() || ip.Unmap() == localAddress(r)
}

// localAddress is the address that the request came to.
func localAddress(r *http.Request) netip.Addr {
	if address, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return address.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
