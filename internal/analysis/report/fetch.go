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

// Unless the export kept access tokens, no address in a warehouse works, so fetching
// gives up after some failures without a success.
const (
	fetchTimeout     = 10 * time.Second
	maxPictureBytes  = 20 << 20
	maxFetchFailures = 24
)

// fetcher fetches pictures from the service. It sends no key.
type fetcher struct {
	client              *http.Client
	successes, failures atomic.Int64
	firstErr            atomic.Pointer[error]
}

// Fetch returns the pictures at the addresses of the images, preferring thumbnails.
func Fetch() Pictures {
	f := &fetcher{client: &http.Client{
		Timeout: fetchTimeout,
		// A redirect could send the address, with its token, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return f.picture
}

// checkEncrypted refuses addresses that would send a token unencrypted.
func checkEncrypted(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || (u.Scheme == "http" && ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errors.New("its address is not https")
}

func (f *fetcher) picture(ctx context.Context, _, imageURI, thumbnailURI string) ([]byte, error) {
	err := ErrNoPicture
	for _, address := range []string{thumbnailURI, imageURI} {
		if address == "" {
			continue
		}
		if f.successes.Load() == 0 && f.failures.Load() >= maxFetchFailures {
			return nil, fmt.Errorf("gave up after %d failures, the first of them: %w", maxFetchFailures, *f.firstErr.Load())
		}
		var b []byte
		if b, err = f.get(ctx, address); err == nil {
			f.successes.Add(1)
			return b, nil
		}
		failure := err
		f.firstErr.CompareAndSwap(nil, &failure)
		f.failures.Add(1)
	}
	return nil, err
}

// get returns errors without the address.
func (f *fetcher) get(ctx context.Context, address string) (_ []byte, err error) {
	defer func() {
		if withAddress, ok := errors.AsType[*url.Error](err); ok {
			err = withAddress.Err
		}
		if err != nil {
			err = fmt.Errorf("fetching a picture: %w", err)
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("its address is malformed")
	}
	if err := checkEncrypted(r.URL); err != nil {
		return nil, err
	}
	response, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the response is %s", response.Status)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, maxPictureBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxPictureBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxPictureBytes)
	}
	return b, nil
}
