// Package pipeserver serves HTTP over memory instead of a network, so that client and
// server can run in the bubble of a [testing/synctest], where waiting takes no time.
package pipeserver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"google.golang.org/grpc/test/bufconn"
)

// Start serves a handler until the test ends, and returns the address. Clients made
// meanwhile from [http.DefaultTransport] all reach it. The test must not be parallel.
func Start(t testing.TB, handler http.Handler) (endpoint string) {
	t.Helper()
	const buffered = 64 << 10 // bytes
	listener := bufconn.Listen(buffered)
	transport := http.DefaultTransport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	var running sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		handler.ServeHTTP(w, r)
	})}
	running.Go(func() { server.Serve(listener) }) // its error says that it was closed
	t.Cleanup(func() {
		transport.DialContext = dial
		server.Close()
		running.Wait()
	})
	return "http://127.0.0.1:1"
}
