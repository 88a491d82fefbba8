// Package site serves the reports of a warehouse to the person who started it.
package site

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/secret"
)

// Site serves the pages of a warehouse over HTTP to whom its guard admits: / lists its
// projects and their last iterations, /project?project= all iterations of one, both with page=
// for more than fit on one, and /report?project=&iteration=&compare= is a page. All are
// below the guard's path.
type Site struct {
	Version  string
	Pictures report.Pictures // nil: outlines only
	Guard    *Guard
	Log      *log.Logger

	// Open opens a new database at each call, with the wanted tables and functions.
	Open func(ctx context.Context, wanted func(name string) bool) (*sql.DB, error)

	// Explain adds to an error of a question what can be done about it. It may be nil.
	Explain func(error) error

	PictureMemory int // MiB; 0 for [report.DefaultPictureMemory]

	work  sync.Mutex // held while a page is made, which uses most memory and all cores
	cache []cached   // the last one used is last
}

// cached is a page, with the exports that it was made from.
type cached struct {
	key, exports string
	body         []byte
}

const cachedPages = 12

// ServeHTTP answers the requests that the guard admits, and tells the others why not.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-store")
	path, entered, refused := s.Guard.admit(r)
	switch {
	case refused != nil:
		if refused.code == http.StatusMethodNotAllowed {
			h.Set("Allow", "GET, HEAD")
		}
		s.fail(w, refused.code, refused, false)
		return
	case entered:
		s.Guard.enter(w, r)
		return
	}
	var body []byte
	var err error
	switch q := r.URL.Query(); path {
	case "/":
		body, err = s.overview(r.Context(), "", q.Get("page"))
	case "/project":
		if err = onlyIDs(q, "project"); err == nil {
			body, err = s.overview(r.Context(), q.Get("project"), q.Get("page"))
		}
	case "/report":
		if err = onlyIDs(q, "project", "iteration", "compare"); err != nil {
			break
		}
		body, err = s.report(r.Context(), report.Options{
			Project: q.Get("project"), Iteration: q.Get("iteration"), Compare: q.Get("compare"),
			Lenient:  true, // the form keeps the other choice when one changes
			Pictures: s.Pictures, PictureMemory: s.PictureMemory,
		})
	default:
		err = fmt.Errorf("%s: %w", path, report.ErrNotFound)
	}
	if err != nil && s.Explain != nil {
		err = s.Explain(err)
	}
	switch {
	case errors.Is(err, report.ErrNotFound):
		s.fail(w, http.StatusNotFound, err, true)
	case errors.Is(err, report.ErrChoice):
		s.fail(w, http.StatusBadRequest, err, true)
	case err != nil && r.Context().Err() != nil: // the client has gone
	case err != nil:
		s.Log.Print(err)
		s.fail(w, http.StatusInternalServerError, err, true)
	default:
		if _, err := w.Write(body); err != nil {
			s.Log.Printf("sending a page: %v", err)
		}
	}
}

// onlyIDs makes sure that these parameters have ids, if they are there, and no names: an
// address must mean the same page tomorrow.
func onlyIDs(q url.Values, names ...string) error {
	for _, name := range names {
		if text := q.Get(name); text != "" {
			id, err := schema.ParseID(text)
			if err != nil {
				return fmt.Errorf("%s %.100s: %w: an address has ids only", name, text, report.ErrNotFound)
			}
			q.Set(name, id.String())
		}
	}
	return nil
}

// fail says what is wrong; home adds a link to the projects.
func (s *Site) fail(w http.ResponseWriter, code int, err error, home bool) {
	var b bytes.Buffer
	if err := errorTemplate.Execute(&b, map[string]any{"Code": http.StatusText(code), "Error": printable.Text(secret.Redact(err.Error())), "Home": home, "Style": report.Style()}); err != nil {
		s.Log.Print(err)
	}
	w.WriteHeader(code)
	if _, err := w.Write(b.Bytes()); err != nil {
		s.Log.Printf("sending an error: %v", err)
	}
}

func (s *Site) report(ctx context.Context, o report.Options) (_ []byte, err error) {
	s.work.Lock()
	defer s.work.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db, err := s.Open(ctx, query.NoFunction)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	exports := ""
	err = rows.Each(ctx, db, "SELECT COALESCE(string_agg(export_id, ' ' ORDER BY export_id), '') FROM exports WHERE project_id = "+rows.Quote(o.Project), []any{&exports}, func() {})
	if err != nil {
		return nil, fmt.Errorf("looking for changes: %w", err)
	}
	key := o.Project + " " + o.Iteration + " " + o.Compare
	at := slices.IndexFunc(s.cache, func(c cached) bool { return c.key == key })
	var page cached
	if at >= 0 {
		page = s.cache[at]
		s.cache = slices.Delete(s.cache, at, at+1)
	}
	if at < 0 || page.exports != exports {
		p, err := report.Load(ctx, db, o)
		if err != nil {
			return nil, err
		}
		if p.Warning != nil {
			s.Log.Print("warning: ", p.Warning)
		}
		var b bytes.Buffer
		if err := (report.Writer{Version: s.Version, Now: time.Now(), Served: true}).Write(&b, p); err != nil {
			return nil, err
		}
		page = cached{key, exports, b.Bytes()}
	}
	s.cache = append(s.cache, page)
	if len(s.cache) > cachedPages {
		s.cache = slices.Delete(s.cache, 0, 1)
	}
	return page.body, nil
}
