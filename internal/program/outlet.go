package program

import (
	"io"
	"log"
	"log/slog"
	"os"
	"sync"
	"unicode/utf8"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"golang.org/x/term"

	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/secret"
)

// Outlet returns a writer for what people and programs read: standard output, standard
// error, a log. What goes through it has no secret, and nothing that a terminal would
// obey. JSON stays the same JSON. Each secret must be within one write.
func Outlet(w io.Writer) io.Writer { return &outlet{w: w} }

// Data is an outlet for rows of a warehouse. They are what the user asked for, secrets too,
// so only a terminal gets something else than them: characters that it would obey are
// escaped there.
func Data(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &outlet{w: w, data: true}
	}
	return w
}

// Messages is an [Outlet] for writes of one message each, whose second and later lines it
// indents.
func Messages(w io.Writer) io.Writer { return messages{Raw(w)} }

// Raw returns the writer behind an outlet, for what draws on a terminal and for other
// programs. What is written to it must be printable and without secrets.
func Raw(w io.Writer) io.Writer {
	if o, ok := w.(*outlet); ok {
		return o.w
	}
	return w
}

type outlet struct {
	w    io.Writer
	data bool // what is written may be a secret

	mu   sync.Mutex
	rest []byte // the beginning of a character
}

func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := append(o.rest, p...)
	whole := len(text)
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if at := len(text) - n; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	o.rest = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return len(p), nil
	}
	shown := string(text[:whole])
	if !o.data {
		shown = secret.Redact(shown)
	}
	if _, err := io.WriteString(o.w, printable.Text(shown)); err != nil {
		return 0, err
	}
	return len(p), nil
}

type messages struct{ w io.Writer }

func (m messages) Write(p []byte) (int, error) {
	if _, err := io.WriteString(m.w, printable.Message(secret.Redact(string(p)))+"\n"); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Begin prepares a program, before it runs a command: it makes the secrets of the
// environment known, and sends what libraries would write to standard error themselves
// through stderr, the program's outlet. A command that has a log of its own makes that
// slog's default, and libraries write there.
func Begin(name string, stderr io.Writer) {
	secret.AddEnvironment()
	log.SetFlags(0)
	log.SetPrefix(name + ": ")
	log.SetOutput(Messages(stderr))
	if os.Getenv("AZURE_SDK_GO_LOGGING") != "" {
		azlog.SetListener(func(event azlog.Event, text string) {
			slog.Debug("Azure's SDK remarks", "event", string(event), "text", text)
		})
	}
}

// UseLog makes a log the one that libraries write to.
func UseLog(l *slog.Logger) {
	slog.SetDefault(l)
	log.SetPrefix("")
}
