package patience

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.left)
	if e.left -= n; n == 0 {
		return 0, io.EOF
	}
	clear(p)
	return n, nil
}

// An answer has a bound unless its reader has another one.
func TestBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		status, bytes, read int
		streams, fails      bool
	}{
		"as long as it may be": {200, MaxAnswer, MaxAnswer, false, false},
		"a byte too long":      {200, MaxAnswer + 1, 0, false, true},
		"read as a stream":     {200, MaxAnswer + 1, MaxAnswer + 1, true, false},
		"a failure":            {500, MaxAnswer + 1, MaxFailure, true, false},
	} {
		transport := New(Bounds{}).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tc.status, ContentLength: -1, Body: io.NopCloser(&endless{tc.bytes}), Request: r}, nil
		}))
		ctx := t.Context()
		if tc.streams {
			ctx = Stream(ctx)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://store.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err = errors.Join(err, answer.Body.Close()); (err != nil) != tc.fails || MayPass(err) || !tc.fails && n != int64(tc.read) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}
