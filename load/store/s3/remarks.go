package s3

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"

	"github.com/cvexport/cvexport/secret"
)

// remarks is the log of the SDK. Left to itself, the SDK writes to standard error.
type remarks struct{}

func (remarks) Logf(kind logging.Classification, format string, args ...any) {
	slog.Debug("AWS's SDK remarks", "kind", string(kind), "text", fmt.Sprintf(format, args...))
}

// seen makes the secrets of credentials known when they are obtained.
type seen struct{ aws.CredentialsProvider }

func (s seen) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := s.CredentialsProvider.Retrieve(ctx)
	if c.CanExpire {
		secret.AddToken(c.SecretAccessKey)
		secret.AddToken(c.SessionToken)
	} else {
		secret.Add(c.SecretAccessKey, c.SessionToken)
	}
	return c, err
}
