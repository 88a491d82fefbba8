package site

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestGuard sends requests of every origin. Only who has the token, or the cookie that it
// was exchanged for, gets past.
func TestGuard(t *testing.T) {
	g := NewGuard("Reports.example", "192.168.1.5")
	other := NewGuard()
	site := &Site{Guard: g}
	withToken, cookie := g.Path(), "cvreport="+g.cookie
	for name, tc := range map[string]struct {
		method, host, path string
		header             string // "Name: value", several separated by |
		code               int
		says               string
	}{
		"token":                      {path: withToken, code: 303},
		"token by name":              {host: "localhost:1", path: withToken, code: 303},
		"token by IPv6":              {host: "[::1]:1", path: withToken, code: 303},
		"token by another loopback":  {host: "127.8.9.1", path: withToken, code: 303},
		"token by given name":        {host: "reports.example", path: withToken, code: 303},
		"token by given address":     {host: "192.168.1.5:8771", path: withToken, code: 303},
		"token by the address of it": {host: "10.9.8.7", path: withToken, code: 303},
		"typed":                      {path: withToken, header: "Sec-Fetch-Site: none", code: 303},
		"cookie":                     {path: g.path + "x", header: "Cookie: " + cookie, code: 404},
		"cookie, clicked":            {path: g.path + "x", header: "Cookie: " + cookie + "|Sec-Fetch-Site: same-origin|Origin: http://127.0.0.1:8771", code: 404},
		"cookie among others":        {path: g.path + "x", header: "Cookie: cvreport=old; a=b; " + cookie, code: 404},

		"nothing":                   {path: "/", code: 403, says: "Copy that address, with its token"},
		"path alone":                {path: g.path, code: 403, says: "Copy that address"},
		"no token":                  {path: "/?token=", code: 403},
		"wrong token":               {path: other.Path(), code: 403},
		"half a token":              {path: withToken[:len(withToken)-1], code: 403},
		"the cookie as token":       {path: "/?token=" + g.cookie, code: 403},
		"token elsewhere":           {path: "/report" + withToken[1:], code: 403},
		"cookie elsewhere":          {path: "/report?project=x", header: "Cookie: " + cookie, code: 403},
		"wrong cookie":              {path: g.path, header: "Cookie: cvreport=" + other.cookie, code: 403},
		"no cookie":                 {path: g.path, header: "Cookie: cvreport=", code: 403},
		"the token as cookie":       {path: g.path, header: "Cookie: cvreport=" + g.token, code: 403},
		"another's path":            {path: other.path, header: "Cookie: " + cookie, code: 403},
		"path from above":           {path: "/x/.." + g.path, header: "Cookie: " + cookie, code: 403},
		"rebound":                   {host: "evil.example", path: withToken, code: 421, says: "evil.example"},
		"rebound, cookie":           {host: "evil.example:8771", path: g.path, header: "Cookie: " + cookie, code: 421},
		"like localhost":            {host: "localhost.evil.example", path: withToken, code: 421},
		"another address":           {host: "192.168.1.6", path: withToken, code: 421},
		"no host":                   {host: " ", path: withToken, code: 421},
		"another site":              {path: withToken, header: "Sec-Fetch-Site: cross-site", code: 403, says: "another web page"},
		"another port":              {path: g.path, header: "Sec-Fetch-Site: same-site|Cookie: " + cookie, code: 403, says: "another web page"},
		"unknown site":              {path: g.path, header: "Sec-Fetch-Site: |Cookie: " + cookie, code: 403},
		"another site's script":     {path: g.path, header: "Origin: https://evil.example|Cookie: " + cookie, code: 403},
		"another port's script":     {path: g.path, header: "Origin: http://127.0.0.1:9999|Cookie: " + cookie, code: 403},
		"a file's script":           {path: g.path, header: "Origin: null|Cookie: " + cookie, code: 403},
		"two origins":               {path: g.path, header: "Origin: http://127.0.0.1:8771|Origin: http://evil.example|Cookie: " + cookie, code: 403},
		"writing":                   {method: "POST", path: withToken, code: 405, says: "only GET"},
		"asking for leave to write": {method: "OPTIONS", path: g.path, header: "Origin: https://evil.example", code: 405},
	} {
		if tc.host == "" {
			tc.host = "127.0.0.1:8771"
		}
		if tc.method == "" {
			tc.method = http.MethodGet
		}
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 8771})
		r := httptest.NewRequestWithContext(ctx, tc.method, tc.path, nil)
		r.Host = strings.TrimSpace(tc.host)
		for header := range strings.SplitSeq(tc.header, "|") {
			if name, value, ok := strings.Cut(header, ": "); ok {
				r.Header.Add(name, value)
			}
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		body := w.Body.String()
		if w.Code != tc.code || !strings.Contains(body, tc.says) || strings.Contains(body, g.token) || strings.Contains(body, g.cookie) {
			t.Errorf("%s: %d, want %d and %q: %s", name, w.Code, tc.code, tc.says, body)
		}
		for header, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "private, no-store", "X-Frame-Options": "DENY", "Access-Control-Allow-Origin": ""} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s: %q", name, header, got)
			}
		}
		cookies := w.Result().Cookies()
		if tc.code != http.StatusSeeOther {
			if len(cookies) > 0 {
				t.Errorf("%s: it gives the cookie", name)
			}
			continue
		}
		if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Path != g.path || w.Header().Get("Location") != g.path {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
	for _, secret := range []string{g.token, g.cookie, strings.Trim(g.path, "/")} {
		if len(secret) < 26 { // of 32 letters and digits: 130 bits
			t.Errorf("%q is short", secret)
		}
	}
	if g.token == other.token || g.cookie == other.cookie || g.path == other.path || g.token == g.cookie {
		t.Error("secrets repeat")
	}
}
