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

// What an answer may hold. Of a page, Options say it.
const (
	maxAnswer  = 16 << 20 // any other answer; a list of 500 tags is about 200 KiB
	maxFailure = 64 << 10 // of an answer other than success only the beginning is of use
	maxHeader  = 1 << 20
)

// transport sends requests. It never follows a redirect, so that the key stays
// with the endpoint, and never reads more than an answer may hold.
type transport struct {
	client    *http.Client
	userAgent string
	maxPage   int64
	pages     *buffers
}

var _ policy.Transporter = (*transport)(nil)

func newTransport(userAgent string, maxPage int64, pages *buffers) *transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.MaxResponseHeaderBytes = maxHeader
	return &transport{userAgent: userAgent, maxPage: maxPage, pages: pages, client: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends one request. The answer to one for a page is read to its end here, into
// a buffer that is used again, so that the pipeline does not read it into one that
// grows with it.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	if t.userAgent != "" {
		req.Header.Set("User-Agent", t.userAgent)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		if invalid := new(tls.CertificateVerificationError); errors.As(err, &invalid) {
			err = &certificateError{err}
		}
		return nil, err
	}
	body := &boundedBody{ReadCloser: resp.Body, most: maxAnswer}
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		body.most, body.cut = maxFailure, true
	case isPage(req):
		body.most = t.maxPage
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

// certificateError is not worth a retry.
type certificateError struct{ err error }

func (e *certificateError) Error() string {
	return e.err.Error() + "; check --endpoint or, if a proxy on the way looks into the traffic, name its certificate in SSL_CERT_FILE"
}
func (e *certificateError) Unwrap() error { return e.err }
func (*certificateError) NonRetriable()   {}

// boundedBody ends a body that is too long: with an error or, where its beginning
// is enough, as if that were all.
type boundedBody struct {
	io.ReadCloser
	read, most int64
	cut        bool
}

// tooLargeError is not worth a retry: the next answer would be as large.
type tooLargeError struct{ most int64 }

func (e tooLargeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d MiB; if the service means it, raise --max-page", e.most>>20)
}
func (tooLargeError) NonRetriable() {}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.cut && b.read >= b.most {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); b.read > b.most && !b.cut {
		return 0, tooLargeError{b.most}
	}
	return n, err
}
