// Package pipeserver serves HTTP over pipes instead of a network, so that client and
// server can run in the bubble of a [testing/synctest], where waiting takes no time.
package pipeserver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Start serves a handler until the test ends, and returns the address. Clients made
// meanwhile from [http.DefaultTransport] all reach it. The test must not be parallel.
func Start(t testing.TB, handler http.Handler) (endpoint string) {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport)
	dial := transport.DialContext
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	transport.DialContext = l.dial
	var running sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		handler.ServeHTTP(w, r)
	})}
	running.Go(func() { server.Serve(l) }) // its error says that it was closed
	t.Cleanup(func() {
		transport.DialContext = dial
		server.Close()
		running.Wait()
	})
	return "http://127.0.0.1:1"
}

type listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	close(l.closed)
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
