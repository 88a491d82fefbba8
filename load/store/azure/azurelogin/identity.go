package azurelogin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/secret"
)

// ErrLogin means that the machine has no identity, or one that is refused. A machine
// that has just started may have none yet.
var ErrLogin = errors.New("the identity has no token")

// identity tells a refused login from one that nobody answered, which the errors of
// azidentity do not.
type identity struct{ azcore.TokenCredential }

// logIn returns the machine's identity. The error says that it cannot log in; if it may
// pass, the identity is there all the same.
func logIn(ctx context.Context, options policy.ClientOptions) (azcore.TokenCredential, error) {
	credential, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: policy.ClientOptions{
		Transport: options.Transport, Retry: options.Retry, PerRetryPolicies: []policy.Policy{watch{}},
	}})
	if err != nil {
		return nil, &loginError{err: err}
	}
	i := identity{credential}
	_, err = i.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	return i, err
}

func (i identity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	var unanswered atomic.Bool
	token, err := i.TokenCredential.GetToken(context.WithValue(ctx, unansweredKey{}, &unanswered), options)
	if err != nil {
		// A machine without identities gets no answer either, but another error.
		_, failed := errors.AsType[*azidentity.AuthenticationFailedError](err)
		passes := failed && unanswered.Load()
		if err = (&loginError{err: err, passes: passes}); passes {
			err = &patience.Fault{Err: err}
		}
	}
	secret.AddToken(token.Token)
	return token, err
}

// unansweredKey is the context's key of whether the last request of a login got no
// answer.
type unansweredKey struct{}

// watch sees the requests of a login.
type watch struct{}

func (watch) Do(req *policy.Request) (*http.Response, error) {
	answer, err := req.Next()
	if unanswered, ok := req.Raw().Context().Value(unansweredKey{}).(*atomic.Bool); ok {
		unanswered.Store(patience.MayPass(err) || err == nil && patience.Passing(answer.StatusCode))
	}
	return answer, err
}

// loginError means that an identity got no token.
type loginError struct {
	err    error
	passes bool
}

func (e *loginError) Error() string {
	if e.passes {
		return "logging in: " + e.err.Error()
	}
	return fmt.Sprintf("%v (log in with: az login, or set %s or %s)", e.err, KeyVariable, TokenVariable)
}

func (e *loginError) Unwrap() error        { return e.err }
func (e *loginError) Is(target error) bool { return target == ErrLogin }

// Transport is what the clients of an account send with; by may be nil.
func Transport(p *patience.Patience, by policy.Transporter) policy.Transporter {
	var base http.RoundTripper
	if by != nil {
		base = roundTripper{by}
	}
	return transporter{p.Strict(base)}
}

type roundTripper struct{ policy.Transporter }

func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return t.Do(r) }

// transporter follows no redirects: a key or token stays with its host.
type transporter struct{ http.RoundTripper }

func (t transporter) Do(r *http.Request) (*http.Response, error) { return t.RoundTrip(r) }

// IsCertificate reports whether a server's certificate was refused.
func IsCertificate(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
