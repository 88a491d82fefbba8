package names

import (
	"context"
	"log/slog"
	"sync"

	"github.com/cvexport/cvexport/schema"
)

// Book has the names of projects and iterations that a run has come across. It is safe for
// concurrent use; the zero value is empty.
type Book struct{ names sync.Map }

// Add notes the name that the service has for an id.
func (b *Book) Add(id schema.ID, name string) {
	if name != "" {
		b.names.Store(id, name)
	}
}

// Handler returns a handler of log lines that adds project_name and iteration_name to lines
// with a project or an iteration whose name is in the book by then.
func (b *Book) Handler(next slog.Handler) slog.Handler { return handler{Handler: next, book: b} }

type handler struct {
	slog.Handler
	book *Book
	ids  []slog.Attr // those of the logger
}

func isID(a slog.Attr) bool { return a.Key == string(Project) || a.Key == string(Iteration) }

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	h.ids = h.ids[:len(h.ids):len(h.ids)]
	for _, a := range attrs {
		if isID(a) {
			h.ids = append(h.ids, a)
		}
	}
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	ids := h.ids[:len(h.ids):len(h.ids)]
	r.Attrs(func(a slog.Attr) bool {
		if isID(a) {
			ids = append(ids, a)
		}
		return true
	})
	if len(ids) > 0 {
		r = r.Clone()
	}
	for _, a := range ids {
		id, err := schema.ParseID(a.Value.Resolve().String())
		if name, known := h.book.names.Load(id); err == nil && known {
			r.AddAttrs(slog.Any(a.Key+"_name", name))
		}
	}
	return h.Handler.Handle(ctx, r)
}
