package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// startOdd starts what a newcomer may meet in place of the service, for scripts: "odd
// answer 404" and "odd proxy 407", which refuse everything; "odd empty", a resource
// without projects; "odd untrained", one whose projects have no trained iteration; "odd tls", whose certificate
// nobody has signed; and "odd expired". It sets ODD to the address.
func startOdd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: odd KIND [STATUS]")
	}
	status := http.StatusOK
	if len(args) > 1 {
		var err error
		status, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		switch args[0] {
		case "empty":
			_, _ = io.WriteString(w, "[]")
		case "untrained":
			_, _ = io.WriteString(w, `[{"id":"11111111-2222-4333-8444-555555555555","name":"Iteration 1","status":"Training"}]`)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	switch args[0] {
	case "answer", "proxy", "empty", "untrained":
		server.Start()
	case "tls":
		server.StartTLS()
	case "expired":
		server.TLS = &tls.Config{Certificates: []tls.Certificate{expired(ts)}}
		server.StartTLS()
	default:
		ts.Fatalf("unknown kind %s", args[0])
	}
	ts.Defer(server.Close)
	ts.Setenv("ODD", server.URL)
}

// expired makes a certificate of this machine that was valid in 2020.
func expired(ts *testscript.TestScript) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 12, 31, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
