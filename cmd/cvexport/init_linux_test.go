package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cvexport/cvexport/internal/simulated"
)

// terminal is a pseudo-terminal with a command on it.
type terminal struct {
	t     *testing.T
	ours  *os.File
	other *os.File
	cmd   *exec.Cmd
	shown bytes.Buffer
}

func onTerminal(t *testing.T, folder string, args ...string) *terminal {
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { ours.Close() })
	number, err := unix.IoctlGetUint32(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), asCommand+"=1", "VISION_TRAINING_KEY=", "VISION_TRAINING_ENDPOINT=", "CVEXPORT_CONFIG=", "CVEXPORT_WAREHOUSE=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = other, other, other
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &terminal{t: t, ours: ours, other: other, cmd: cmd}
}

// echoes reports whether what is typed is shown.
func (term *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(term.other.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// until reads what is shown until it ends with a text.
func (term *terminal) until(text string) {
	term.t.Helper()
	for one := make([]byte, 1); !strings.HasSuffix(term.shown.String(), text); {
		if _, err := term.ours.Read(one); err != nil {
			term.t.Fatalf("%v, after %q, want %q", err, term.shown.String(), text)
		}
		term.shown.WriteByte(one[0])
	}
}

func (term *terminal) answer(question, text string) {
	term.t.Helper()
	term.until(question)
	if _, err := term.ours.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

// A key that is typed is not shown, and goes into a file of its own.
func TestInitOnTerminal(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	service, err := simulated.New(simulated.Config{Images: 3, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	folder := t.TempDir()
	term := onTerminal(t, folder, "init", "--endpoint", server.URL, "--warehouse", "tables", "--rate", "1000", "--key-file", "cvexport.key")
	term.until("(it is not shown): ")
	for term.echoes() { // it is turned off after the question
	}
	term.answer("", key+"\n")
	term.until("Next: cvexport nightly --config cvexport.yaml")
	if err := term.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if strings.Contains(term.shown.String(), key) || !term.echoes() {
		t.Errorf("the terminal shows %q, echo %v", term.shown.String(), term.echoes())
	}
	for name, has := range map[string]bool{"cvexport.key": true, "cvexport.yaml": false} {
		body, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || strings.Contains(string(body), key) != has {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
}

// An interrupt at any question ends it at once, leaves nothing, and the terminal as it was.
func TestInitInterrupted(t *testing.T) {
	for question, answers := range map[string][]string{"or its region: ": nil, "[cvexport.key]: ": {"westeurope\n"}, "(it is not shown): ": {"westeurope\n", "\n"}} {
		folder := t.TempDir()
		term := onTerminal(t, folder, "init")
		before := []string{"or its region: ", "[cvexport.key]: "}
		for i, text := range answers {
			term.answer(before[i], text)
		}
		term.until(question)
		for strings.Contains(question, "not shown") && term.echoes() {
		}
		term.answer("", "\x03")
		exit := new(exec.ExitError)
		if err := term.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
			t.Errorf("%q: %v", question, err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 || !term.echoes() {
			t.Errorf("%q: %v, %v, echo %v", question, left, err, term.echoes())
		}
	}
}
