package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func TestFetch(t *testing.T) {
	picture := noise(t, 20, 10, ".png")
	var served *httptest.Server
	served = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "key") || name == "Authorization" || name == "Cookie" || name == "Referer" {
				t.Errorf("the request has the header %s", name)
			}
		}
		switch r.URL.Path {
		case "/picture":
			w.Write(picture)
		case "/gone":
			w.WriteHeader(http.StatusForbidden)
		case "/redirect":
			http.Redirect(w, r, served.URL+"/picture?sig=other-secret", http.StatusFound)
		case "/huge":
			for range maxPictureBytes/len(picture) + 2 {
				w.Write(picture)
			}
		case "/reset":
			panic(http.ErrAbortHandler)
		}
	}))
	defer served.Close()
	const token = "?sig=very-secret"
	for name, tc := range map[string]struct{ image, thumbnail, want string }{
		"thumbnail":   {served.URL + "/gone" + token, served.URL + "/picture" + token, ""},
		"image":       {served.URL + "/picture" + token, served.URL + "/gone" + token, ""},
		"none":        {"", "", ErrNoPicture.Error()},
		"gone":        {served.URL + "/gone" + token, "", "403"},
		"redirect":    {served.URL + "/redirect" + token, "", "302"},
		"huge":        {served.URL + "/huge" + token, "", "more than"},
		"reset":       {served.URL + "/reset" + token, "", "EOF"},
		"not https":   {"http://192.0.2.1/picture" + token, "", "not https"},
		"file":        {"file:///etc/passwd", "", "not https"},
		"no address":  {"http://[::1" + token, "", "its address is malformed"},
		"no protocol": {"picture" + token, "", "not https"},
	} {
		got, err := Fetch()(t.Context(), Recorded{"id", tc.image, tc.thumbnail, served.Listener.Addr().String()})
		switch {
		case tc.want == "" && (err != nil || !bytes.Equal(got, picture)):
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		case err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sig=")):
			t.Errorf("%s: the error tells a token: %v", name, err)
		}
	}

	// It gives up on addresses of which none works.
	var asked atomic.Int64
	deaf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer deaf.Close()
	f := Fetch()
	for n := range 100 {
		_, err := f(t.Context(), Recorded{fmt.Sprint(n), deaf.URL, "", "localhost"})
		if err == nil {
			t.Fatal("a picture of nothing")
		}
		if !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "gave up") != (n >= maxFetchFailures) {
			t.Errorf("of picture %d the error is %v", n, err)
		}
	}
	if n := asked.Load(); n != maxFetchFailures {
		t.Errorf("it asked %d times, want %d", n, maxFetchFailures)
	}
}

// Which addresses are asked, by where the service's endpoint is and by what DNS says when
// the connection is made.
func TestFetchAddresses(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.SetCookie(w, &http.Cookie{Name: "kept", Value: "1"})
	}))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	names := map[string][]netip.Addr{"public.example": {netip.MustParseAddr("20.50.1.1")}, "private.example": {netip.MustParseAddr("10.1.2.3")},
		"loopback.example": {netip.MustParseAddr("127.0.0.1")}, "metadata.example": {netip.MustParseAddr("169.254.169.254")}}
	for _, tc := range []struct{ address, endpoint, want string }{
		{server.URL, "127.0.0.1" + port, ""},
		{server.URL, "[::1]:443", ""},
		{server.URL, "loopback.example", ""},
		{server.URL, "public.example", "not public"},
		{server.URL, "private.example:443", "not public"},
		{server.URL, "unknown.example", "not public"},
		{server.URL, "", "not public"},
		{"http://localhost" + port, "public.example", "not public"},
		{"http://LOCALHOST" + port, "127.0.0.1", ""},
		{"http://[::ffff:127.0.0.1]" + port, "public.example", "not public"},
		{"https://localhost" + port, "public.example", "not public"}, // after DNS
		{"https://a.localhost" + port, "public.example", "not public"},
		{"https://10.0.0.1/x", "public.example", "not public"},
		{"https://10.0.0.1/x", "loopback.example", "not public"},
		{"https://169.254.169.254/metadata", "private.example", "not public"},
		{"https://[fd00::1]/x", "public.example", "not public"},
		{"https://0.0.0.0" + port, "127.0.0.1", "not public"},
		{"http://10.0.0.1/x", "private.example", "not https"},
		{"http://public.example/x", "127.0.0.1", "not https"},
		{"http://0177.0.0.1" + port, "127.0.0.1", "not https"},
		{"ftp://127.0.0.1" + port, "127.0.0.1", "not https"},
		{strings.Replace(server.URL, "http://", "http://user:secret@", 1), "127.0.0.1", "password"},
	} {
		before := asked.Load()
		f := &fetcher{proxy: func(*http.Request) (*url.URL, error) { return nil, nil }, lookup: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			if a, err := netip.ParseAddr(host); err == nil {
				return []netip.Addr{a}, nil
			}
			if names[host] == nil {
				return nil, errors.New("no such host")
			}
			return names[host], nil
		}}
		for range 2 {
			_, err := f.picture(t.Context(), Recorded{"id", tc.address, "", tc.endpoint})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s of %q: %v, want %q", tc.address, tc.endpoint, err, tc.want)
			}
		}
		if n := asked.Load() - before; n > 0 != (tc.want == "") {
			t.Errorf("%s of %q was asked %d times", tc.address, tc.endpoint, n)
		}
	}
}

// The check is made of the address that is dialled: a name that was public when it was
// looked up before gains nothing.
func TestDialedAddress(t *testing.T) {
	f := &fetcher{lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("20.50.1.1")}, nil
	}}
	e := f.endpoint("public.example")
	dial := e.direct.Transport.(*http.Transport).DialContext
	for _, address := range []string{"127.0.0.1:1", "localhost:1", "[::1]:1", "10.0.0.1:443", "169.254.169.254:80"} {
		if _, err := dial(t.Context(), "tcp", address); !errors.Is(err, errNotPublic) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if e.direct.Jar != nil || e.proxied.Jar != nil || e.direct.Transport.(*http.Transport).Proxy != nil {
		t.Error("it keeps cookies, or dials a proxy that it would take for the picture's address")
	}
}

// With a proxy, addresses that need no DNS are checked all the same, and the rest is the
// proxy's.
func TestFetchByProxy(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect && r.Host == "pictures.example:443" {
			asked.Add(1)
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	f := &fetcher{proxy: http.ProxyURL(u), lookup: func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no DNS") }}
	for address, want := range map[string]string{"https://pictures.example/x": "Forbidden", "https://10.0.0.1/x": "not public", "https://localhost/x": "not public"} {
		if _, err := f.picture(t.Context(), Recorded{"id", address, "", "service.example"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

func TestKindOf(t *testing.T) {
	for want, addresses := range map[kind]string{
		public:     "8.8.8.8 20.50.1.1 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.0 169.253.0.1 2603:1030::1 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808",
		loopback:   "127.0.0.1 127.255.0.9 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1",
		privateNet: "10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 100.127.255.255 fc00::1 fdff::1 fec0::1 ::ffff:10.0.0.1 64:ff9b::a00:1",
		linkLocal:  "169.254.0.1 169.254.169.254 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe",
		reserved: "0.0.0.0 0.1.2.3 :: 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 168.63.129.16 " +
			"ff02::1 2001:db8::1 2001::1 2002:7f00:1:: 64:ff9b:1::1 100::1 ::7f00:1 4000::1 ::ffff:0.0.0.0",
	} {
		for _, text := range strings.Fields(addresses) {
			if got := kindOf(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s: %v, want %v", text, got, want)
			}
		}
	}
	if kindOf(netip.Addr{}) != reserved {
		t.Error("no address is one that is asked")
	}
}
