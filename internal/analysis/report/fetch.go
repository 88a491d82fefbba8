package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// What is fetched is bounded, as are the failures until it gives up: addresses in
// a warehouse have no access token unless the export kept it, and then none works.
const (
	fetchTimeout = 10 * time.Second
	fetchBytes   = 20 << 20
	fetchTries   = 24 // failures, with no success among them
)

// fetcher fetches pictures from where the service keeps them. It sends no key.
type fetcher struct {
	client            *http.Client
	successes, failed atomic.Int64
	first             atomic.Pointer[error] // why the first one failed
}

// Fetch are the pictures at the images' own addresses, the small ones first.
func Fetch() Pictures {
	f := &fetcher{}
	f.client = &http.Client{
		Timeout: fetchTimeout,
		// A redirect would tell the address, with its token, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// safe lets no address through over which a token would travel in the clear.
func safe(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || (u.Scheme == "http" && ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errors.New("its address is not https")
}

func (f *fetcher) Picture(ctx context.Context, _, imageURI, thumbnailURI string) ([]byte, error) {
	err := ErrNoPicture
	for _, address := range []string{thumbnailURI, imageURI} {
		if address == "" {
			continue
		}
		if f.successes.Load() == 0 && f.failed.Load() >= fetchTries {
			return nil, fmt.Errorf("gave up after %d that failed, the first of them so: %w", fetchTries, *f.first.Load())
		}
		var b []byte
		if b, err = f.get(ctx, address); err == nil {
			f.successes.Add(1)
			return b, nil
		}
		why := err
		f.first.CompareAndSwap(nil, &why)
		f.failed.Add(1)
	}
	return nil, err
}

// get tells no address in an error.
func (f *fetcher) get(ctx context.Context, address string) (_ []byte, err error) {
	defer func() {
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err
		}
		if err != nil {
			err = fmt.Errorf("fetching a picture: %w", err)
		}
	}()
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("its address is none")
	}
	if err := safe(u); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("its address is none")
	}
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, fetchBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > fetchBytes {
		return nil, fmt.Errorf("it has more than %d bytes", fetchBytes)
	}
	return b, nil
}
