// Package s3 keeps a warehouse in a bucket of Amazon S3, or of a server that speaks
// its protocol.
package s3

import (
	"cmp"
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
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
	"github.com/cvexport/cvexport/telemetry"
)

// Kind opens s3://bucket/folder.
var Kind = store.Kind{
	Schemes: []string{"s3"},
	Form:    "s3://bucket/folder",
	Open:    func(ctx context.Context, at store.Address) (store.Store, error) { return New(ctx, at) },
	URL:     cloud.URL,
	Identity: func(at store.Address) (string, error) {
		return cloud.Identity(at, cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")))
	},
	DuckDB: []string{"INSTALL httpfs", "LOAD httpfs", "INSTALL aws", "LOAD aws", "CREATE OR REPLACE SECRET cvexport (TYPE s3, PROVIDER credential_chain)"},
}

// Store is a folder of a bucket on Amazon S3, or on the server at AWS_ENDPOINT_URL.
// Credentials and region are the machine's own.
type Store struct {
	cloud.Place
	client *s3.Client
	bucket string
}

var _ store.Store = (*Store)(nil)

const (
	maxBytes = 5 << 30 // of one PutObject
	attempts = 5       // of a request, unless AWS_MAX_ATTEMPTS says otherwise
)

// New opens the warehouse at an address. Tests change the client's options.
func New(ctx context.Context, at store.Address, options ...func(*s3.Options)) (*Store, error) {
	place, bucket, err := cloud.ParsePlace(at)
	if err != nil {
		return nil, err
	}
	machine, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("warehouse s3://%s: %w", bucket, err)
	}
	if telemetry.Enabled() { // the SDK's own client has what the machine says about certificates
		machine.HTTPClient = tracedClient{otelhttp.NewTransport(sending{machine.HTTPClient})}
	}
	named := func(o *s3.Options) { o.APIOptions = append(o.APIOptions, noteServer(place)) }
	client := s3.NewFromConfig(machine, append([]func(*s3.Options){setDefaults, named}, options...)...)
	if client.Options().Region == "" {
		return nil, fmt.Errorf("warehouse s3://%s: no region; set AWS_REGION to the bucket's", bucket)
	}
	if _, err := client.Options().Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("warehouse s3://%s: %w: %w (log in with: aws sso login, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)", bucket, store.ErrLogin, err)
	}
	return &Store{Place: place, client: client, bucket: bucket}, nil
}

// noteServer notes what the server calls itself.
func noteServer(place cloud.Place) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("NoteServer", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && answer != nil && answer.Response != nil {
				place.Served(answer.Header.Get("Server"))
			}
			return out, metadata, err
		}), middleware.After)
	}
}

// tracedClient makes a client of the SDK from a transport, and sending makes a
// transport from a client of the SDK.
type tracedClient struct{ http.RoundTripper }

func (c tracedClient) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

type sending struct{ aws.HTTPClient }

func (s sending) RoundTrip(r *http.Request) (*http.Response, error) { return s.Do(r) }

// setDefaults retries more than the SDK does: every write here has a precondition, so
// all of them can be retried.
func setDefaults(o *s3.Options) {
	if o.BaseEndpoint != nil { // rarely a server with a host name for each bucket
		o.UsePathStyle = true
		if o.Region == "" {
			o.Region = "us-east-1" // which most servers take for their only region
		}
	}
	o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = attempts
		r.Retryables = append(r.Retryables,
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}}},
			retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}, "OperationAborted": {}}})
	})
}

// Stat describes an object.
func (s *Store) Stat(ctx context.Context, key string) (store.Object, error) {
	name, err := s.Name(key)
	if err != nil {
		return store.Object{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name})
	if status, _ := answerOf(err); status == http.StatusForbidden {
		for _, listErr := range s.List(ctx, key) { // an answer to HEAD has no body that says why
			err = cmp.Or(listErr, err)
			break
		}
	}
	if err != nil {
		return store.Object{}, s.Missing(ctx, s, key, s.failed("looking at", key, err))
	}
	obj := store.Object{Key: key, Size: aws.ToInt64(head.ContentLength), Version: cloud.VersionOf(aws.ToString(head.ETag))}
	obj.CRC32C, obj.Summed = cloud.ParseCRC(head.Metadata[cloud.CRCName])
	return obj, nil
}

// Open reads an object.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := s.Name(key)
	if err != nil {
		return nil, err
	}
	object, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return nil, s.failed("reading", key, err)
	}
	return object.Body, nil
}

// List leaves the objects without a checksum: a listing does not have it.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.Prefix(prefix))})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(store.Object{}, s.failed("listing", prefix, err))
				return
			}
			for _, o := range page.Contents {
				obj := store.Object{Key: s.Key(aws.ToString(o.Key)), Size: aws.ToInt64(o.Size), Version: cloud.VersionOf(aws.ToString(o.ETag))}
				if !yield(obj, nil) {
					return
				}
			}
		}
	}
}

// Put uploads in one request, under a precondition on the ETag and with the checksum,
// which the service compares before anybody sees the object.
func (s *Store) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	name, err := s.Name(key)
	if err != nil {
		return store.Object{}, err
	}
	if err := cmp.Or(cloud.CheckSize(src, maxBytes), cloud.CheckOthers(ctx, s, others)); err != nil {
		return store.Object{}, s.failed("writing", key, err)
	}
	hash := md5.New() // for servers that do not know CRC32C
	if err := store.Copy(ctx, hash, src); err != nil {
		return store.Object{}, s.failed("writing", key, err)
	}
	input := &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            &name,
		Body:           io.NewSectionReader(src, 0, src.Size()),
		ContentLength:  aws.Int64(src.Size()),
		ContentType:    aws.String(cloud.ContentType(key)),
		ContentMD5:     aws.String(base64.StdEncoding.EncodeToString(hash.Sum(nil))),
		ChecksumCRC32C: aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, src.CRC32C()))),
		Metadata:       map[string]string{cloud.CRCName: cloud.FormatCRC(src)},
	}
	if old == "" {
		input.IfNoneMatch = aws.String("*")
	} else {
		input.IfMatch = aws.String(cloud.ETagOf(old))
	}
	answer, err := s.client.PutObject(ctx, input)
	if err == nil {
		return store.Object{Key: key, Size: src.Size(), CRC32C: src.CRC32C(), Summed: true, Version: cloud.VersionOf(aws.ToString(answer.ETag))}, nil
	}
	status, code := answerOf(err)
	precondition := status == http.StatusPreconditionFailed || old != "" && code == "NoSuchKey"
	obj, err := cloud.Settle(ctx, s, key, src, old, err, precondition)
	if err != nil {
		return store.Object{}, s.failed("writing", key, err)
	}
	return obj, nil
}

// Probe writes an object, unless it is known that the server keeps preconditions.
func (s *Store) Probe(ctx context.Context) error {
	return s.Place.Probe(ctx, s, cloud.Service{
		Endpoint: aws.ToString(s.client.Options().BaseEndpoint),
		Stale:    "00000000000000000000000000000000",
		Instead:  "use Amazon S3, a server that heeds If-None-Match and If-Match of PutObject (MinIO, Cloudflare R2 and Versity S3 Gateway do), or a warehouse on gs://, azblob:// or in a folder",
	})
}

// answerOf returns what the service answered, if err is its answer.
func answerOf(err error) (status int, code string) {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answer.HTTPStatusCode()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	return status, code
}

const logIn = "log in again: the credentials have expired"

// refusals say what to do about a refusal, by the service's code:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
var refusals = map[string]string{
	"AccessDenied":          "grant the credentials in use s3:GetObject, s3:PutObject and s3:ListBucket on the bucket; or a policy of the bucket or network refuses this machine's address",
	"AllAccessDisabled":     "the bucket is disabled: ask its owner",
	"AccountProblem":        "the account has a problem: ask its owner",
	"ExpiredToken":          logIn,
	"InvalidAccessKeyId":    "there is no such access key: check AWS_ACCESS_KEY_ID or the profile, or log in again",
	"InvalidToken":          "the session token is wrong: check AWS_SESSION_TOKEN, or log in again",
	"RequestTimeTooSkewed":  "set this machine's clock",
	"SignatureDoesNotMatch": "the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY",
	"TokenRefreshRequired":  logIn,
}

func (s *Store) failed(doing, key string, err error) error {
	hint := ""
	switch status, code := answerOf(err); {
	case code == "NoSuchBucket", doing == "writing" && status == http.StatusNotFound:
		err, hint = fmt.Errorf("%w: %w", store.ErrNoBucket, err), cloud.MakeBucket
	case status == http.StatusNotFound:
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case status == http.StatusMovedPermanently, code == "AuthorizationHeaderMalformed":
		hint = "set AWS_REGION to the bucket's region"
	case status == http.StatusNotImplemented:
		hint = "the server does not know something that is asked of it; it needs If-None-Match and If-Match of PutObject"
	case refusals[code] != "":
		hint = refusals[code]
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		hint = cloud.Between
	}
	return s.Place.Failed(doing, key, err, hint)
}

// Close does nothing.
func (s *Store) Close() error { return nil }
