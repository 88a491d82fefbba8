package extract

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/patience"
)

// Limits of answers in bytes. That of a page is an option.
const (
	maxAnswer = 16 << 20 // of all but pages; a list of 500 tags has about 200 KiB
	maxHeader = 1 << 20
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

func newTransport(userAgent string, maxPage int64, pages buffers, wait *patience.Patience) *transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.MaxResponseHeaderBytes = maxHeader
	return &transport{userAgent: userAgent, maxPage: maxPage, pages: pages, client: &http.Client{
		Transport:     wait.Transport(t),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends one request. It reads pages to their end into reused buffers, so that the
// pipeline does not allocate for each.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	if t.userAgent != "" {
		req.Header.Set("User-Agent", t.userAgent)
	}
	resp, err := t.client.Do(req.WithContext(patience.Stream(req.Context())))
	if err != nil {
		return nil, unreached(req, err)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		limit, hint := int64(maxAnswer), ""
		if isPage(req) {
			limit, hint = t.maxPage, "; if that is right, raise --max-page"
		}
		resp.Body = patience.Bounded(resp.Body, limit, false, hint)
	}
	if body := resp.Body; isPage(req) {
		resp.Body, err = t.pages.read(body, resp.ContentLength)
		if err = errors.Join(err, body.Close()); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

func isPage(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/performance/images") }

// buffers is a pool of buffers for pages, which are all of about the same size.
type buffers chan []byte

const (
	maxIdle     = 16       // buffers
	maxKeptSize = 16 << 20 // of one buffer, in bytes
)

// pageBody is a response body that was read to its end.
type pageBody struct {
	*bytes.Reader
	bytes []byte
}

func (*pageBody) Close() error { return nil }

// read reads r to its end. expected is its size if known, else 0 or less.
func (b buffers) read(r io.Reader, expected int64) (*pageBody, error) {
	var buf []byte
	select {
	case idle := <-b:
		buf = idle[:0]
	default:
	}
	if expected > 0 && expected < maxKeptSize {
		buf = slices.Grow(buf, int(expected)+1) // one more, to see the end
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return &pageBody{bytes.NewReader(buf), buf}, nil
		}
		if err != nil {
			b.put(buf)
			return nil, err
		}
	}
}

// put returns a buffer that is no longer read.
func (b buffers) put(buf []byte) {
	if cap(buf) <= maxKeptSize {
		select {
		case b <- buf:
		default: // there are enough
		}
	}
}
