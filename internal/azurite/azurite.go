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
	"time"

	"github.com/gofrs/flock"
)

// The one account of the emulator. Its key is no secret: it is the same
// everywhere and stands in the documentation of Azure Storage.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Server is a running emulator. It is empty when it starts.
type Server struct {
	Account          string
	Key              string
	BlobEndpoint     string // with the account, without a slash at its end
	QueueEndpoint    string
	ConnectionString string // of both
}

// ConnectionString is what an emulator with these endpoints is opened with.
func ConnectionString(blobEndpoint, queueEndpoint string) string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s;", Account, Key, blobEndpoint, queueEndpoint)
}

// Start starts an emulator that ends with the test. What it needs is installed
// from npm the first time. Without node and npm the test fails.
func Start(t testing.TB) Server {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test runs against Azurite: install nodejs and npm (Debian: apt-get install nodejs npm): %v", err)
		}
	}
	folder, err := home()
	if err == nil {
		err = install(folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	blob, queue, err := run(t, folder)
	if err != nil {
		t.Fatal(err)
	}
	s := Server{Account: Account, Key: Key, BlobEndpoint: blob + "/" + Account, QueueEndpoint: queue + "/" + Account}
	s.ConnectionString = ConnectionString(s.BlobEndpoint, s.QueueEndpoint)
	return s
}

// home is this package's folder. A test runs somewhere in the module.
func home() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return filepath.Join(folder, "internal", "azurite"), nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("the test does not run inside the module, where internal/azurite is")
		}
		folder = parent
	}
}

// install brings node_modules to what package-lock.json says. Tests of several
// packages run at once, so one of them does it, and the others wait.
func install(folder string) (err error) {
	lock := flock.New(filepath.Join(folder, ".install.lock"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("waiting for another test that installs Azurite: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	wanted, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return err
	}
	// npm writes this one last.
	if have, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json")); err == nil && !have.ModTime().Before(wanted.ModTime()) {
		return nil
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = folder
	if output, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("installing Azurite with npm ci in %s: %w\n%s", folder, err, output)
	}
	return nil
}

// run starts the emulator on free ports of loopback and waits until it listens.
func run(t testing.TB, folder string) (blob, queue string, err error) {
	node := exec.Command("node", filepath.Join(folder, "start.js"), "--silent", "--disableTelemetry",
		"--skipApiVersionCheck", "--inMemoryPersistence", "--blobPort", "0", "--queuePort", "0", "--tablePort", "0")
	node.Dir = t.TempDir()
	// It ends when its standard input does, and so also when this process dies.
	stdin, err := node.StdinPipe()
	if err != nil {
		return "", "", err
	}
	output, into := io.Pipe()
	node.Stdout, node.Stderr = into, into
	if err := node.Start(); err != nil {
		return "", "", err
	}
	ended := make(chan error, 1)
	go func() {
		err := node.Wait()
		into.Close()
		ended <- err
	}()
	t.Cleanup(func() {
		err := errors.Join(stdin.Close(), <-ended)
		if err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("ending Azurite: %v", err)
		}
	})
	const enough = 2 * time.Minute // for a busy machine
	late := time.AfterFunc(enough, func() { output.CloseWithError(fmt.Errorf("not within %s", enough)) })
	defer late.Stop()
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for (blob == "" || queue == "") && lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if _, at, ok := strings.Cut(lines.Text(), "Blob service is successfully listening at "); ok {
			blob = at
		}
		if _, at, ok := strings.Cut(lines.Text(), "Queue service is successfully listening at "); ok {
			queue = at
		}
	}
	go io.Copy(io.Discard, output) // so that it never waits for a reader
	if blob == "" || queue == "" {
		return "", "", fmt.Errorf("azurite does not start (%v); it said:\n%s", lines.Err(), said.String())
	}
	return blob, queue, nil
}
