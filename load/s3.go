package load

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/cvexport/cvexport/internal/operation/telemetry"
)

// s3Store is a folder of a bucket on Amazon S3, or on whatever speaks its
// protocol at AWS_ENDPOINT_URL. Credentials and region are the machine's own.
type s3Store struct {
	place
	client *s3.Client
	bucket string
}

var _ Store = (*s3Store)(nil)

const (
	s3Limit = 5 << 30 // bytes of one PutObject
	s3Tries = 5       // of a request, unless AWS_MAX_ATTEMPTS says otherwise
)

func newS3(ctx context.Context, bucket, root string, options ...func(*s3.Options)) (*s3Store, error) {
	place, err := newPlace("s3://"+bucket, root)
	if err != nil {
		return nil, err
	}
	machine, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("warehouse s3://%s: %w", bucket, err)
	}
	if telemetry.Enabled() { // the SDK's own client, which has what the machine says about certificates
		machine.HTTPClient = tracedClient{telemetry.Transport(sending{machine.HTTPClient})}
	}
	client := s3.NewFromConfig(machine, append([]func(*s3.Options){s3Defaults}, options...)...)
	if client.Options().Region == "" {
		return nil, fmt.Errorf("warehouse s3://%s: no region; set AWS_REGION to the bucket's", bucket)
	}
	if _, err := client.Options().Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("warehouse s3://%s: %w: %w (log in with: aws sso login, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)", bucket, ErrLogin, err)
	}
	return &s3Store{place: place, client: client, bucket: bucket}, nil
}

// tracedClient is a client of the SDK around a transport, and sending a transport
// around a client of the SDK.
type tracedClient struct{ http.RoundTripper }

func (c tracedClient) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

type sending struct{ aws.HTTPClient }

func (s sending) RoundTrip(r *http.Request) (*http.Response, error) { return s.Do(r) }

// s3Defaults retries more than the SDK does: every write here has a
// precondition, so all of them can be retried.
func s3Defaults(o *s3.Options) {
	if o.BaseEndpoint != nil { // rarely one with a host name a bucket
		o.UsePathStyle = true
		if o.Region == "" {
			o.Region = "us-east-1" // which most take for their only one
		}
	}
	o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = s3Tries
		r.Retryables = append(r.Retryables,
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}}},
			retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}, "OperationAborted": {}}})
	})
}

func (s *s3Store) Stat(ctx context.Context, key string) (Object, error) {
	name, err := s.name(key)
	if err != nil {
		return Object{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return Object{}, s.missing(ctx, s, key, s.failed("looking at", key, err))
	}
	obj := Object{Key: key, Size: aws.ToInt64(head.ContentLength), Version: versionOf(aws.ToString(head.ETag))}
	obj.CRC32C, obj.Summed = parseCRC(head.Metadata[crcName])
	return obj, nil
}

func (s *s3Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := s.name(key)
	if err != nil {
		return nil, err
	}
	object, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return nil, s.failed("reading", key, err)
	}
	return object.Body, nil
}

// List leaves the objects without a checksum: a listing does not tell it.
func (s *s3Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.prefix(prefix))})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, s.failed("listing", prefix, err))
				return
			}
			for _, o := range page.Contents {
				obj := Object{Key: s.key(aws.ToString(o.Key)), Size: aws.ToInt64(o.Size), Version: versionOf(aws.ToString(o.ETag))}
				if !yield(obj, nil) {
					return
				}
			}
		}
	}
}

// Put uploads in one request, under a precondition on the ETag and with the
// checksum, which the service compares before anybody sees the object.
func (s *s3Store) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	name, err := s.name(key)
	if err != nil {
		return Object{}, err
	}
	if err := checkSize(src, s3Limit); err != nil {
		return Object{}, s.failed("writing", key, err)
	}
	hash := md5.New() // for servers that do not know CRC32C
	if err := copySource(ctx, hash, src); err != nil {
		return Object{}, s.failed("writing", key, err)
	}
	input := &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            &name,
		Body:           io.NewSectionReader(src, 0, src.Size()),
		ContentLength:  aws.Int64(src.Size()),
		ContentType:    aws.String(parquetType),
		ContentMD5:     aws.String(base64.StdEncoding.EncodeToString(hash.Sum(nil))),
		ChecksumCRC32C: aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, src.CRC32C()))),
		Metadata:       map[string]string{crcName: formatCRC(src)},
	}
	if old == "" {
		input.IfNoneMatch = aws.String("*")
	} else {
		input.IfMatch = aws.String(etagOf(old))
	}
	answer, err := s.client.PutObject(ctx, input)
	if err == nil {
		return Object{Key: key, Size: src.Size(), CRC32C: src.CRC32C(), Summed: true, Version: versionOf(aws.ToString(answer.ETag))}, nil
	}
	status, code := s3Answer(err)
	precondition := status == http.StatusPreconditionFailed || old != "" && code == "NoSuchKey"
	obj, err := settle(ctx, s, key, src, old, err, precondition)
	if err != nil {
		return Object{}, s.failed("writing", key, err)
	}
	return obj, nil
}

// s3Answer is what the service answered, if err is from there.
func s3Answer(err error) (status int, code string) {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answer.HTTPStatusCode()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	return status, code
}

func (s *s3Store) failed(doing, key string, err error) error {
	hint := ""
	switch status, code := s3Answer(err); {
	case code == "NoSuchBucket", doing == "writing" && status == http.StatusNotFound:
		err, hint = fmt.Errorf("%w: %w", errNoBucket, err), makeBucket
	case status == http.StatusNotFound:
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case status == http.StatusMovedPermanently, code == "AuthorizationHeaderMalformed":
		hint = "set AWS_REGION to the bucket's region"
	case status == http.StatusUnauthorized, status == http.StatusForbidden, code == "ExpiredToken":
		hint = "log in again, or grant the credentials in use s3:GetObject, s3:PutObject and s3:ListBucket on the bucket"
	}
	return s.place.failed(doing, key, err, hint)
}

func (s *s3Store) Close() error { return nil }
