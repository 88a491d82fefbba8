package patience

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = &Fault{Err: errors.New("away")}

// Once every try has failed for all of the patience, each further operation is tried once,
// until one succeeds or some time has passed. What is set aside gets less.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Bounds{})
		fails := func(ctx context.Context) (tries int, took time.Duration, err error) {
			started := time.Now()
			err = p.Do(ctx, func(context.Context) error { tries++; return errAway })
			return tries, time.Since(started), err
		}
		ctx := t.Context()
		if tries, took, err := fails(AtMost(ctx, time.Minute)); took != time.Minute || tries < 5 || !strings.Contains(err.Error(), "--give-up-after is 1m0s") {
			t.Errorf("set aside: %d tries, %s, %v", tries, took, err)
		}
		if tries, took, err := fails(ctx); took != 14*time.Minute || tries < 20 || tries > 60 || !MayPass(err) {
			t.Errorf("with 14 minutes left: %d tries, %s, %v", tries, took, err)
		}
		if tries, took, err := fails(ctx); took != 0 || tries != 1 {
			t.Errorf("with nothing left: %d tries, %s, %v", tries, took, err)
		}
		time.Sleep(time.Hour)
		if tries, took, err := fails(ctx); took != 15*time.Minute || tries < 20 {
			t.Errorf("an hour later: %d tries, %s, %v", tries, took, err)
		}
		if err := p.Do(ctx, func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		if tries, took, err := fails(ctx); took != 15*time.Minute || tries < 20 {
			t.Errorf("after a success: %d tries, %s, %v", tries, took, err)
		}
		for retries, want := range map[int]int{-1: 1, 1: 2, 5: 6} {
			p = New(Bounds{Retries: retries})
			if tries, _, err := fails(ctx); tries != want {
				t.Errorf("%d retries: %d tries, %v", retries, tries, err)
			}
		}
	})
}

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true}, {io.ErrUnexpectedEOF, true}, {&net.OpError{Op: "dial", Err: errors.New("refused")}, true}, {&net.DNSError{IsTimeout: true}, true}, {context.DeadlineExceeded, true},
		{nil, false}, {context.Canceled, false}, {&net.DNSError{IsNotFound: true}, false}, {&tls.CertificateVerificationError{Err: io.EOF}, false}, {tls.RecordHeaderError{}, false},
		{Final(io.EOF), false}, {errors.New("Proxy Authentication Required"), false},
	} {
		if got := MayPass(Classify(tc.err)); got != tc.want {
			t.Errorf("%v may pass: %v", tc.err, got)
		}
	}
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A name that is not found is not asked for again, unless its host has answered before.
func TestNameThatWas(t *testing.T) {
	notFound := &net.DNSError{Err: "no such host", IsNotFound: true}
	var answer error
	transport := New(Bounds{}).Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 204, Body: http.NoBody}, answer
	}))
	for _, tc := range []struct {
		answer error
		want   bool
	}{{notFound, false}, {nil, false}, {notFound, true}} {
		answer = tc.answer
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://host.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(r); MayPass(err) != tc.want {
			t.Errorf("%v may pass: %v", err, MayPass(err))
		}
	}
}

// What begins a success of no service is known for an error, and what may begin one is not.
func TestIsError(t *testing.T) {
	for text, want := range map[string]bool{
		"<html>": true, "\ufeff <!DOCTYPE html>": true, "<HTML lang=en>": true, "<Error><Code>": true, "<?xml version=\"1.0\"?>\n<Error>": true, `{"error":{}}`: true, "{\n \"code\": \"x\"": true,
		"": false, "PAR1<html>": false, "[]": false, `{"kind":"storage#objects"}`: false, "<ListBucketResult><Error>": false, `<?xml version="1.0"?><EnumerationResults>`: false, `{"id":"error"}`: false, "<Errors>": false,
	} {
		if got := isError([]byte(text)); got != want {
			t.Errorf("%q is an error: %v", text, got)
		}
	}
}
