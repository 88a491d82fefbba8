package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
)

// gate stands before a server and may do something to an upload request.
type gate struct {
	server   http.Handler
	isUpload func(*http.Request) bool
	uploads  atomic.Int32
	meddle   meddler
}

// meddler answers the n-th upload request, counted from 1.
type meddler func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler)

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.meddle != nil && g.isUpload(r) {
		g.meddle(g.uploads.Add(1), w, r, g.server)
		return
	}
	g.server.ServeHTTP(w, r)
}

// listen opens the gate and returns its URL. The server behind it may be set later.
func (g *gate) listen(t *testing.T) string {
	t.Helper()
	front := httptest.NewServer(g)
	t.Cleanup(front.Close)
	return front.URL
}

// afterwards lets the server do the n-th upload request, and loses its answer.
func afterwards(at int32, fail func(http.ResponseWriter)) meddler {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n == at {
			server.ServeHTTP(httptest.NewRecorder(), r)
			fail(w)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// instead fails the n-th upload request before the server sees it.
func instead(at int32, fail func(http.ResponseWriter)) meddler {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n == at {
			// Read first: the clients reuse the buffer that they still send from.
			_, _ = io.Copy(io.Discard, r.Body)
			fail(w)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// untilThen fails the first upload requests before the server sees them.
func untilThen(last int32, fail func(http.ResponseWriter)) meddler {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n <= last {
			fail(w)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// never fails every upload request, the first after the server did it if done.
func never(done bool) meddler {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n == 1 && done {
			server.ServeHTTP(httptest.NewRecorder(), r)
		}
		busy(w)
	}
}

// halfway cuts the first upload request's connection in the middle of its body.
func halfway(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
	if n == 1 {
		if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength/2); err != nil {
			panic(err)
		}
		cut(w)
		return
	}
	server.ServeHTTP(w, r)
}

// damaged changes a byte of every upload.
func damaged(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	body[len(body)/2] ^= 1
	r.Body = io.NopCloser(bytes.NewReader(body))
	server.ServeHTTP(w, r)
}

// shortened takes the end of every upload away, as if it were meant to be so.
func shortened(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	body = body[:len(body)-len(body)/4]
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	server.ServeHTTP(w, r)
}

func busy(w http.ResponseWriter)      { w.WriteHeader(http.StatusServiceUnavailable) }
func throttled(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }

func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// opener opens a new warehouse behind a gate.
type opener func(t *testing.T) (Store, *gate)

// testCloudStore is what every store in a cloud must do, whatever happens on the way there.
func testCloudStore(t *testing.T, open opener) {
	testStore(t, func(t *testing.T) Store {
		s, _ := open(t)
		return s
	})
	testUploadsSurvive(t, open, singleFaults())
	testUploadsFail(t, open)
	testSomebodyElse(t, open)
}

type fault struct {
	src    Source
	meddle meddler
}

// testUploadsSurvive puts under each fault, once a new object and once over an old one.
func testUploadsSurvive(t *testing.T, open opener, faults map[string]fault) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				s, gate := open(t)
				old := putBefore(t, s, over)
				gate.meddle = fault.meddle
				obj, err := s.Put(t.Context(), localKey, fault.src, old)
				if err != nil {
					t.Fatalf("over an object %v: %v", over, err)
				}
				if gate.uploads.Load() == 0 {
					t.Error("no upload came through the gate")
				}
				if found := holdsSource(t, s, localKey, fault.src); found != obj {
					t.Errorf("Put = %+v, Stat = %+v", obj, found)
				}
			}
		})
	}
}

// singleFaults are those of the first request of an upload, for most the only one.
func singleFaults() map[string]fault {
	small, large := randomSource(1000, 1), randomSource(1_000_000, 2)
	return map[string]fault{
		"busy, small":              {small, instead(1, busy)},
		"busy, large":              {large, instead(1, busy)},
		"throttled, small":         {small, instead(1, throttled)},
		"throttled, large":         {large, instead(1, throttled)},
		"throttled, several times": {small, untilThen(3, throttled)},
		"cut, small":               {small, instead(1, cut)},
		"cut, in the middle":       {large, halfway},
		"lost answer, small":       {small, afterwards(1, busy)},
		"lost answer, large":       {large, afterwards(1, busy)},
		"lost answer, cut":         {small, afterwards(1, cut)},
		"lost answer, later busy":  {small, never(true)},
	}
}

func putBefore(t *testing.T, s Store, over bool) (version string) {
	t.Helper()
	if !over {
		return ""
	}
	before, err := s.Put(t.Context(), localKey, randomSource(5, 5), "")
	if err != nil {
		t.Fatal(err)
	}
	return before.Version
}

// testSomebodyElse is that somebody else's object at a failed try is a conflict, not ours.
func testSomebodyElse(t *testing.T, open opener) {
	for _, over := range []bool{false, true} {
		s, gate := open(t)
		theirs := randomSource(700, 7)
		old := putBefore(t, s, over)
		gate.meddle = func(_ int32, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			gate.meddle = nil
			if _, err := s.Put(t.Context(), localKey, theirs, old); err != nil {
				t.Error(err)
			}
			busy(w)
		}
		if _, err := s.Put(t.Context(), localKey, randomSource(700, 8), old); !errors.Is(err, ErrConflict) {
			t.Errorf("over an object %v: %v", over, err)
		}
		holdsSource(t, s, localKey, theirs)
	}
}

// testUploadsFail is what must stay a failure, with the object as it was.
func testUploadsFail(t *testing.T, open opener) {
	for name, meddle := range map[string]meddler{"damaged on the way": damaged, "shortened on the way": shortened} {
		t.Run(name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				s, gate := open(t)
				old := putBefore(t, s, over)
				gate.meddle = meddle
				if obj, err := s.Put(t.Context(), localKey, randomSource(1000, 1), old); err == nil || errors.Is(err, ErrConflict) {
					t.Errorf("over an object %v: Put = %+v, %v", over, obj, err)
				}
				if over {
					holdsSource(t, s, localKey, randomSource(5, 5))
				} else {
					absent(t, s, localKey)
				}
			}
		})
	}
	t.Run("never done, though the same content was there before", func(t *testing.T) {
		s, gate := open(t)
		src := randomSource(1000, 1)
		before, err := s.Put(t.Context(), localKey, src, "")
		if err != nil {
			t.Fatal(err)
		}
		gate.meddle = never(false)
		if obj, err := s.Put(t.Context(), localKey, src, before.Version); err == nil || errors.Is(err, ErrConflict) {
			t.Errorf("Put = %+v, %v", obj, err)
		}
		if now := holdsSource(t, s, localKey, src); now != before {
			t.Errorf("is %+v, was %+v", now, before)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		s, gate := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		gate.meddle = func(_ int32, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			cancel()
			busy(w)
		}
		if _, err := s.Put(ctx, localKey, randomSource(1_000_000, 1), ""); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
		absent(t, s, localKey)
	})
}

// tooLarge is a source of more bytes than anybody may read.
type tooLarge struct {
	bytesSource
	t    *testing.T
	size int64
}

func (s tooLarge) Size() int64 { return s.size }

func (s tooLarge) ReadAt([]byte, int64) (int, error) {
	s.t.Error("a source that is too large was read")
	return 0, io.ErrUnexpectedEOF
}
