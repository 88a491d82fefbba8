package notify

import "github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

var (
	nothing   policy.ClientOptions
	noRetries = policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}
)
