package simulated

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits of the service.
const (
	maxTake   = 256
	maxTagIDs = 20
)

// pageAt returns the number of the page that begins at skip, given that pages have the
// maximum size and overlap by one image.
func pageAt(skip int) int { return skip / (maxTake - 1) }

// listed returns the images of an iteration that have any of the request's tags, oldest
// first. Without tags it returns all images.
func (s *Service) listed(r *http.Request, p, k int) []int {
	tagIDs := strings.Split(r.URL.Query().Get("tagIds"), ",")
	s.mu.Lock()
	from, to := s.removed, s.Projects()[p].Iterations[k].Images+s.added
	s.mu.Unlock()
	var list []int
	for i := from; i < to; i++ {
		if tagIDs[0] == "" || slices.ContainsFunc(s.labels(p, i), func(t int) bool {
			return slices.Contains(tagIDs, s.Projects()[p].Tags[t].ID.String())
		}) {
			list = append(list, i)
		}
	}
	return list
}

func (s *Service) getCount(w http.ResponseWriter, r *http.Request, p, k int) {
	n := len(s.listed(r, p, k))
	if f := s.takeFault(s.place(p, k, AnyPage), WrongCount); f != nil {
		n = max(0, n+f.By)
	}
	answer(w, n)
}

func (s *Service) getPage(w http.ResponseWriter, r *http.Request, p, k int) {
	take, takeOK := parameter(r, "take", 50, maxTake)
	skip, skipOK := parameter(r, "skip", 0, math.MaxInt32)
	if !takeOK || !skipOK {
		refuse(w, http.StatusBadRequest, "BadRequestExceededBatchSize", "Invalid take or skip")
		return
	}
	at := s.place(p, k, pageAt(skip))
	if s.failPage(w, r, at) {
		return
	}
	list := s.listed(r, p, k)
	if r.URL.Query().Get("orderBy") != "Oldest" {
		slices.Reverse(list)
	}
	chosen := list[min(skip, len(list)):min(skip+take, len(list))]
	switch {
	case len(chosen) == 0 && s.takeFault(at, Endless) != nil:
		chosen = []int{s.Projects()[p].Iterations[k].Images + skip}
	case skip > 0 && len(chosen) > 1 && s.takeFault(at, Duplicate) != nil:
		chosen = slices.Concat(chosen[:1], []int{list[skip-1]}, chosen[2:])
	}
	s.writePage(w, p, k, at, chosen)
}

// failPage applies faults that replace or delay the page, and reports whether it has
// answered the request.
func (s *Service) failPage(w http.ResponseWriter, r *http.Request, at place) bool {
	f := s.takeFault(at, Slow, Error500, Busy, Throttle, HTML, HTML200)
	if f == nil {
		return false
	}
	switch f.Kind {
	case Slow:
		select {
		case <-time.After(f.Delay):
			return false
		case <-r.Context().Done():
		}
	case Error500:
		refuse(w, http.StatusInternalServerError, "ErrorUnknown", "Unknown error")
	case Busy:
		w.WriteHeader(http.StatusServiceUnavailable)
	case Throttle:
		s.throttled(w)
	case HTML, HTML200:
		w.Header().Set("Content-Type", "text/html")
		if f.Kind == HTML {
			w.WriteHeader(http.StatusBadGateway)
		}
		fmt.Fprint(w, "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>")
	}
	return true
}

// writePage writes the page, with the faults that alter it.
func (s *Service) writePage(w http.ResponseWriter, p, k int, at place, images []int) {
	s.mu.Lock()
	call := int64(len(s.requests))
	s.mu.Unlock()
	body := s.appendImages(make([]byte, 0, len(images)*1024), p, k, images, call)
	switch f := s.takeFault(at, Reset, Truncated, MissingID, BadNumber, UnknownField); {
	case f == nil:
	case f.Kind == Reset:
		reset(w, body)
		return
	case f.Kind == Truncated:
		body = body[:len(body)/2]
	case f.Kind == MissingID:
		if i := bytes.Index(body, []byte(`"id":"`)); i >= 0 {
			body = slices.Delete(body, i, i+len(`"id":"",`)+36)
		}
	case f.Kind == BadNumber: // of the last image, if the page has one
		if i := bytes.LastIndex(body, []byte(`"width":`)); i >= 0 {
			body = slices.Insert(body, i+len(`"width":`), []byte(`99999999`)...)
		}
	case f.Kind == UnknownField:
		if i := bytes.LastIndex(body, []byte(`"width":`)); i >= 0 {
			body = slices.Insert(body, i, []byte(`"brandNew":{"a":[1,null]},`)...)
		}
	}
	for _, kind := range []FaultKind{Added, Removed, Replaced, Relabelled, Renamed} {
		if s.takeFault(at, kind) != nil {
			s.edit(p, kind)
		}
	}
	write(w, http.StatusOK, string(body))
}

// edit changes the project, as a user of the portal would.
func (s *Service) edit(p int, kind FaultKind) {
	s.change(p, func(project *Project) {
		if kind == Added || kind == Replaced {
			s.added++
		}
		if kind == Removed || kind == Replaced {
			s.removed++
		}
		if kind == Relabelled {
			s.relabelled.Add(1)
		}
		if kind == Renamed {
			for t := range project.Tags {
				project.Tags[t].Name += " renamed"
			}
		}
	})
}

func (s *Service) appendImages(b []byte, p, k int, images []int, call int64) []byte {
	b = append(b, '[')
	for n, i := range images {
		b = s.appendImage(comma(b, n), p, s.Image(p, k, i), call)
	}
	return append(b, ']')
}

// AppendPage appends the body of one page to b, oldest images first. It is for
// benchmarks. project and iteration are indices in Projects.
func (s *Service) AppendPage(b []byte, project, iteration, skip, take int) []byte {
	images := make([]int, 0, take)
	for i := skip; i < min(skip+take, s.Projects()[project].Iterations[iteration].Images); i++ {
		images = append(images, i)
	}
	return s.appendImages(b, project, iteration, images, int64(skip))
}
