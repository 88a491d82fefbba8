package extract

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Limits of answers in bytes. That of a page is an option.
const (
	maxAnswer  = 16 << 20 // of all but pages; a list of 500 tags has about 200 KiB
	maxFailure = 64 << 10 // of an error, which is cut off there
	maxHeader  = 1 << 20
)

// transport sends requests. It never follows a redirect, so that the key only reaches
// the endpoint, and limits the size of answers.
type transport struct {
	client    *http.Client
	userAgent string
	maxPage   int64
	pages     buffers
}

var _ policy.Transporter = (*transport)(nil)

func newTransport(userAgent string, maxPage int64, pages buffers) *transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.MaxResponseHeaderBytes = maxHeader
	return &transport{userAgent: userAgent, maxPage: maxPage, pages: pages, client: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends one request. It reads pages to their end into reused buffers, so that the
// pipeline does not allocate for each.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	if t.userAgent != "" {
		req.Header.Set("User-Agent", t.userAgent)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		if invalid := new(tls.CertificateVerificationError); errors.As(err, &invalid) {
			err = finalError{fmt.Errorf("%w; check --endpoint or, if a proxy inspects the traffic, name its certificate in SSL_CERT_FILE", err)}
		}
		return nil, err
	}
	body := &boundedBody{ReadCloser: resp.Body, limit: maxAnswer}
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		body.limit, body.cut = maxFailure, true
	case isPage(req):
		body.limit = t.maxPage
	}
	resp.Body = body
	if isPage(req) {
		resp.Body, err = t.pages.read(body, resp.ContentLength)
		if err = errors.Join(err, body.Close()); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

func isPage(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/performance/images") }

// finalError is not retried: the next try would end in the same way.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }
func (finalError) NonRetriable()   {}

// boundedBody fails if a body is longer than the limit or, with cut, ends it there.
type boundedBody struct {
	io.ReadCloser
	read, limit int64
	cut         bool
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.cut && b.read >= b.limit {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); b.read > b.limit && !b.cut {
		return 0, finalError{fmt.Errorf("the answer is larger than %d MiB; if that is right, raise --max-page", b.limit>>20)}
	}
	return n, err
}
