package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// identity tells a login that is refused from one that nobody answered, which the
// errors of azidentity do not.
type identity struct{ azcore.TokenCredential }

// logIn returns the machine's identity, which has logged in once if somebody
// answered.
func logIn(ctx context.Context, options policy.ClientOptions) (azcore.TokenCredential, error) {
	credential, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: policy.ClientOptions{
		Transport: options.Transport, Retry: options.Retry, PerRetryPolicies: []policy.Policy{watch{}},
	}})
	if err != nil {
		return nil, &loginError{err: err}
	}
	i := identity{credential}
	if _, err := i.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}}); err != nil && !MayPass(err) {
		return nil, err
	}
	return i, nil
}

func (i identity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	var silent atomic.Bool
	token, err := i.TokenCredential.GetToken(context.WithValue(ctx, silentKey{}, &silent), options)
	if err != nil {
		// A machine without identities is asked in vain too, but that is told by
		// another error.
		_, failed := errors.AsType[*azidentity.AuthenticationFailedError](err)
		err = &loginError{err: err, passes: failed && silent.Load()}
	}
	return token, err
}

// silentKey is the context's key of whether the last request of a login was in vain.
type silentKey struct{}

// watch sees the requests of a login.
type watch struct{}

func (watch) Do(req *policy.Request) (*http.Response, error) {
	answer, err := req.Next()
	if silent, ok := req.Raw().Context().Value(silentKey{}).(*atomic.Bool); ok {
		silent.Store(err != nil && unreached(err) || err == nil && inTrouble(answer.StatusCode))
	}
	return answer, err
}

// ErrLogin is that the machine has no identity, or one that is refused. A machine
// that has just started may have none yet.
var ErrLogin = errors.New("the identity has no token")

// loginError is that an identity got no token.
type loginError struct {
	err    error
	passes bool
}

func (e *loginError) Error() string {
	if e.passes {
		return "logging in: " + e.err.Error()
	}
	return fmt.Sprintf("%v (log in with: az login, or set %s or %s)", e.err, azureKey, azureSAS)
}

func (e *loginError) Unwrap() error        { return e.err }
func (e *loginError) Is(target error) bool { return target == ErrLogin }
