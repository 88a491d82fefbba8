package load

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/cvexport/cvexport/internal/telemetry"
)

// s3Store is a folder of an S3 bucket, or of a store that speaks its protocol.
// Credentials, region and endpoint are the machine's own: AWS_PROFILE,
// AWS_ACCESS_KEY_ID, a role, AWS_ENDPOINT_URL.
type s3Store struct {
	client *s3.Client
	bucket string
	folder folder
}

var _ Store = (*s3Store)(nil)

// s3Most is how large an object may be that is put at once, which makes a put one
// atomic, conditional and checksummed request. The largest iteration that the
// service allows is a fraction of it.
const s3Most = 5 << 30

func newS3(ctx context.Context, bucket, root string, options ...func(*config.LoadOptions) error) (*s3Store, error) {
	address := "s3://" + bucket
	folder, err := newFolder(address, root)
	if err != nil {
		return nil, err
	}
	if telemetry.Enabled() {
		transport := telemetry.Transport(awshttp.NewBuildableClient().GetTransport())
		options = append(options, config.WithHTTPClient(&http.Client{Transport: transport}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("warehouse %s: %w", address, err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // MinIO and others have no host a bucket
		if o.BaseEndpoint != nil && o.Region == "" {
			o.Region = "us-east-1" // they do not care, but a signature needs one
		}
		const tries = 5
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = tries
			// A put that met another in the making; every write here has a
			// precondition, so all of them can be retried.
			r.Retryables = append(r.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}}},
				retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}}})
		})
	})
	if client.Options().Region == "" {
		return nil, fmt.Errorf("warehouse %s: no region: set AWS_REGION", address)
	}
	return &s3Store{client: client, bucket: bucket, folder: folder}, nil
}

func (s *s3Store) Stat(ctx context.Context, key string) (Object, error) {
	name, err := s.folder.name(key)
	if err != nil {
		return Object{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return Object{}, s.failed("looking at", key, err)
	}
	obj := Object{Key: key, Size: aws.ToInt64(head.ContentLength), Version: aws.ToString(head.ETag)}
	obj.setSum(head.Metadata[sumKey])
	return obj, nil
}

func (s *s3Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := s.folder.name(key)
	if err != nil {
		return nil, err
	}
	got, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return nil, s.failed("reading", key, err)
	}
	return got.Body, nil
}

func (s *s3Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.folder.prefix(prefix))})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, s.failed("listing", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(Object{Key: s.folder.key(aws.ToString(o.Key)), Size: aws.ToInt64(o.Size), Version: aws.ToString(o.ETag)}, nil) {
					return
				}
			}
		}
	}
}

// Put sends the object in one request, which the server checks by MD5 and CRC32C
// before anyone sees it. The version is the ETag.
func (s *s3Store) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	name, err := s.folder.name(key)
	if err != nil {
		return Object{}, err
	}
	if src.Size() > s3Most {
		return Object{}, s.failed("writing", key, fmt.Errorf("it has %d bytes, and one request can carry %d", src.Size(), int64(s3Most)))
	}
	hash, err := hashed(ctx, src)
	if err != nil {
		return Object{}, s.failed("writing", key, err)
	}
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &name, Body: io.NewSectionReader(src, 0, src.Size()), ContentLength: aws.Int64(src.Size()),
		ContentMD5:     aws.String(base64.StdEncoding.EncodeToString(hash)),
		ChecksumCRC32C: aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, src.CRC32C()))),
		ContentType:    aws.String(contentType),
		Metadata:       map[string]string{sumKey: formatSum(src.CRC32C())},
	}
	if old == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &old
	}
	out, err := s.client.PutObject(ctx, in)
	if err == nil {
		return Object{Key: key, Size: src.Size(), Summed: true, CRC32C: src.CRC32C(), Version: aws.ToString(out.ETag)}, nil
	}
	if ctx.Err() == nil {
		// Ours may be there all the same: only its acknowledgement was lost, and the
		// retry met the object.
		if there, statErr := s.Stat(ctx, key); statErr == nil && there.is(src) {
			return there, nil
		}
	}
	return Object{}, s.failed("writing", key, err)
}

// failed names the object, and says what the user can do where there is something.
func (s *s3Store) failed(doing, key string, err error) error {
	status, code := 0, ""
	if answer := new(smithyhttp.ResponseError); errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	}
	hint := ""
	switch {
	case code == "NoSuchBucket":
		hint = "; make the bucket, or check --warehouse"
	case status == http.StatusPreconditionFailed, status == http.StatusNotFound && doing == "writing":
		err = ErrConflict
	case status == http.StatusNotFound:
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		hint = "; allow the credentials in use s3:GetObject, s3:PutObject and s3:ListBucket on the bucket"
	case status == 0 && strings.Contains(err.Error(), "credentials"):
		hint = "; log in with aws configure, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	}
	return fmt.Errorf("%s %s: %w%s", doing, s.URL(key), err, hint)
}

func (s *s3Store) URL(key string) string {
	return "s3://" + path.Join(s.bucket, string(s.folder), key)
}

// Close has nothing to do.
func (s *s3Store) Close() error { return nil }
