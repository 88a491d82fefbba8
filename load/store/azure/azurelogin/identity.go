package azurelogin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

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
		err = &loginError{err: err, passes: failed && unanswered.Load()}
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
		unanswered.Store(err != nil && isUnreachable(err) || err == nil && isTrouble(answer.StatusCode))
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

// MayPass reports whether a failure of a login, or of a service, may be over soon: there
// was no connection, no answer, or the answer of a service in trouble.
func MayPass(err error) bool {
	if login, ok := errors.AsType[*loginError](err); ok {
		return login.passes
	}
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return isTrouble(answer.StatusCode)
	}
	return isUnreachable(err)
}

func isTrouble(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// isUnreachable reports whether there was no connection, or one that broke.
func isUnreachable(err error) bool {
	if IsCertificate(err) {
		return false
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Op != "parse" // a malformed address stays malformed
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// IsCertificate reports whether a server's certificate was refused.
func IsCertificate(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
