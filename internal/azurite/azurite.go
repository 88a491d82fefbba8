// Package azurite runs Azurite, the emulator of Azure Storage, for tests. It comes
// from npm, pinned by the lock file beside this one, and is installed when it is
// first needed.
package azurite

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// The emulator's account, which its documentation publishes: no secret.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Server is a running emulator, with nothing in it.
type Server struct {
	Blob  string // address of the blob service, such as 127.0.0.1:10000
	Queue string // address of the queue service
}

// ConnectionString is what the SDKs connect with. The addresses may be those of
// proxies before the server.
func (s Server) ConnectionString() string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=http://%s/%s;QueueEndpoint=http://%s/%s;",
		Account, Key, s.Blob, Account, s.Queue, Account)
}

// Start starts an emulator that ends with the test.
func Start(t testing.TB) Server {
	t.Helper()
	script, err := install()
	if err != nil {
		t.Fatal(err)
	}
	const tries = 3 // another process may take a port between finding it free and using it
	for try := 1; ; try++ {
		server, err := start(t, script)
		if err == nil {
			return server
		}
		if try == tries {
			t.Fatal(err)
		}
	}
}

// install makes sure that the emulator is there, once for all test processes.
var install = sync.OnceValues(func() (string, error) {
	_, self, _, _ := runtime.Caller(0)
	folder := filepath.Dir(self)
	if _, err := exec.LookPath("npm"); err != nil {
		return "", fmt.Errorf("the tests need node and npm for azurite (Debian: apt-get install nodejs npm): %w", err)
	}
	lock := flock.New(filepath.Join(os.TempDir(), "cvexport-azurite.lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	want, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", err
	}
	script := filepath.Join(folder, "node_modules", "azurite", "dist", "src", "azurite.js")
	have, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if err == nil && !have.ModTime().Before(want.ModTime()) {
		return script, nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci in %s: %w: %s", folder, err, out)
	}
	return script, nil
})

func start(t testing.TB, script string) (Server, error) {
	blob, queue, table := freeAddress(t), freeAddress(t), freeAddress(t)
	args := []string{script, "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"}
	for name, address := range map[string]string{"blob": blob, "queue": queue, "table": table} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return Server{}, err
		}
		args = append(args, "--"+name+"Host", host, "--"+name+"Port", port)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		return Server{}, fmt.Errorf("starting azurite: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed in the end
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	const patience = 60 * time.Second
	for _, address := range []string{blob, queue} {
		for deadline := time.Now().Add(patience); ; {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case <-ended:
				return Server{}, fmt.Errorf("azurite has ended: %s", &out)
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return Server{}, fmt.Errorf("azurite does not answer at %s: %w", address, err)
			}
		}
	}
	return Server{Blob: blob, Queue: queue}, nil
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
