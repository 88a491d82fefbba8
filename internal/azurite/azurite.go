// Package azurite runs Azurite, Microsoft's emulator of Azure Storage, for tests.
package azurite

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/npm"
)

// The one account of the emulator. Its key is public: it is part of the
// documentation of Azure Storage.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Server is a running emulator. It is empty when it starts.
type Server struct {
	Account          string
	Key              string
	BlobEndpoint     string // with the account, without a trailing slash
	QueueEndpoint    string
	ConnectionString string // for both
}

// ConnectionString returns the connection string of an emulator with these endpoints.
func ConnectionString(blobEndpoint, queueEndpoint string) string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s;", Account, Key, blobEndpoint, queueEndpoint)
}

// Start starts an emulator that ends with the test. The first call installs it from
// npm, and the test fails without node and npm. With -short the test is skipped.
func Start(t testing.TB) Server {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short there is no Azurite, which needs Node.js: make check runs this test")
	}
	folder, err := npm.Install()
	if err != nil {
		t.Fatalf("installing Azurite: %v", err)
	}
	blob, queue, err := run(t, folder)
	if err != nil {
		t.Fatalf("starting Azurite: %v", err)
	}
	s := Server{Account: Account, Key: Key, BlobEndpoint: blob + "/" + Account, QueueEndpoint: queue + "/" + Account}
	s.ConnectionString = ConnectionString(s.BlobEndpoint, s.QueueEndpoint)
	return s
}

// run starts the emulator on free ports of loopback and waits until it listens.
func run(t testing.TB, folder string) (blob, queue string, err error) {
	node := exec.Command("node", filepath.Join(folder, "azurite.js"), "--silent", "--disableTelemetry",
		"--skipApiVersionCheck", "--inMemoryPersistence", "--blobPort", "0", "--queuePort", "0", "--tablePort", "0")
	node.Dir = t.TempDir()
	// It exits when its standard input is closed, and so also when this process dies.
	stdin, err := node.StdinPipe()
	if err != nil {
		return "", "", err
	}
	output, into := io.Pipe()
	node.Stdout, node.Stderr = into, into
	if err := node.Start(); err != nil {
		return "", "", err
	}
	exited := make(chan error, 1)
	go func() {
		err := node.Wait()
		into.Close()
		exited <- err
	}()
	t.Cleanup(func() {
		err := errors.Join(stdin.Close(), <-exited)
		if err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("stopping Azurite: %v", err)
		}
	})
	var printed strings.Builder
	lines := bufio.NewScanner(output)
	const listening = " service is successfully listening at "
	for (blob == "" || queue == "") && lines.Scan() {
		fmt.Fprintln(&printed, lines.Text())
		switch service, at, _ := strings.Cut(lines.Text(), listening); {
		case strings.HasSuffix(service, "Blob"):
			blob = at
		case strings.HasSuffix(service, "Queue"):
			queue = at
		}
	}
	go io.Copy(io.Discard, output) // so that node never blocks on a full pipe
	if blob == "" || queue == "" {
		return "", "", fmt.Errorf("it exited or closed its output (%v) after printing:\n%s", lines.Err(), printed.String())
	}
	return blob, queue, nil
}
