package gcs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/storage"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"

	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/secret"
	"github.com/cvexport/cvexport/telemetry"
)

// authenticated returns a transport that logs in as the storage client itself would; nil
// for an emulator, which needs none.
func authenticated(ctx context.Context, options []option.ClientOption) (http.RoundTripper, error) {
	if os.Getenv(emulator) != "" {
		if telemetry.Enabled() { // the SDK's own transport has spans
			return otelhttp.NewTransport(http.DefaultTransport.(*http.Transport).Clone()), nil
		}
		return nil, nil
	}
	options = append([]option.ClientOption{
		option.WithScopes(storage.ScopeFullControl, "https://www.googleapis.com/auth/cloud-platform"),
		internaloption.WithDefaultEndpointTemplate("https://storage.UNIVERSE_DOMAIN/storage/v1/"),
		internaloption.WithDefaultMTLSEndpoint("https://storage.mtls.googleapis.com/storage/v1/"),
		internaloption.WithDefaultUniverseDomain("googleapis.com"),
		internaloption.EnableNewAuthLibrary(),
	}, options...)
	credentials, err := internaloption.AuthCreds(ctx, options)
	if err != nil {
		return nil, err
	}
	client, _, err := htransport.NewClient(ctx, append(options, option.WithAuthCredentials(known(credentials)))...)
	if err != nil {
		return nil, err
	}
	return login{client.Transport}, nil
}

// known returns the same credentials, whose secrets are redacted from now on.
func known(c *auth.Credentials) *auth.Credentials {
	var file struct {
		PrivateKey   string `json:"private_key"`
		ClientSecret string `json:"client_secret"`
		RefreshToken string `json:"refresh_token"`
	}
	if json.Unmarshal(c.JSON(), &file) == nil { // a metadata server has none
		secret.Add(file.PrivateKey, file.ClientSecret, file.RefreshToken)
	}
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider: tokens{c}, JSON: c.JSON(),
		ProjectIDProvider:      auth.CredentialsPropertyFunc(c.ProjectID),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(c.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(c.UniverseDomain),
	})
}

type tokens struct{ *auth.Credentials }

func (t tokens) Token(ctx context.Context) (*auth.Token, error) {
	token, err := t.Credentials.Token(ctx)
	if err == nil {
		secret.AddToken(token.Value)
	}
	return token, err
}

// login tells a login that was refused from one that may succeed in a moment.
type login struct{ http.RoundTripper }

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if refused, ok := errors.AsType[*auth.Error](err); ok && refused.Response != nil && !patience.Passing(refused.Response.StatusCode) {
		err = patience.Final(err)
	}
	return answer, err
}

// single sends one request in a context of withOneRequest. The SDK's reader opens an
// object again and again when the connection breaks, also without reading a byte.
type single struct{ http.RoundTripper }

type oneRequest struct {
	mu   sync.Mutex
	sent bool
	err  error // of reading the answer
}

type oneRequestKey struct{}

func withOneRequest(ctx context.Context) context.Context {
	return context.WithValue(ctx, oneRequestKey{}, &oneRequest{})
}

func (s single) RoundTrip(r *http.Request) (*http.Response, error) {
	one, ok := r.Context().Value(oneRequestKey{}).(*oneRequest)
	if !ok {
		return s.RoundTripper.RoundTrip(r)
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.sent {
		return nil, cmp.Or(one.err, error(&patience.Fault{Err: io.ErrUnexpectedEOF}))
	}
	one.sent = true
	answer, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = &noted{answer.Body, one}
	}
	return answer, err
}

// noted keeps the error of reading a body.
type noted struct {
	io.ReadCloser
	of *oneRequest
}

func (n *noted) Read(p []byte) (int, error) {
	count, err := n.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		n.of.mu.Lock()
		defer n.of.mu.Unlock()
		n.of.err = err
	}
	return count, err
}
