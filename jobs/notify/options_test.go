package notify

import (
	"context"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cvexport/cvexport/patience"
)

var (
	nothing   policy.ClientOptions
	noRetries = policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}} // of a login
)

// once is a context for opening a queue that tries nothing again.
func once(t *testing.T) context.Context {
	return patience.With(t.Context(), patience.Bounds{Retries: -1})
}
