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
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/telemetry"
)

// Kind opens s3://bucket/folder.
var Kind = store.Kind{
	Schemes: []string{"s3"},
	Form:    "s3://bucket/folder",
	Open:    New,
	URL:     cloud.URL,
	Identity: func(at store.Address) (string, error) {
		return cloud.Identity(at, cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")))
	},
	DuckDB: []string{"INSTALL httpfs", "LOAD httpfs", "INSTALL aws", "LOAD aws", "CREATE OR REPLACE SECRET cvexport (TYPE s3, PROVIDER credential_chain)"},
}

// bucket is a folder of a bucket, each of whose operations tries once.
type bucket struct {
	cloud.Place
	client *s3.Client
	bucket string
}

var _ cloud.Tries = (*bucket)(nil)

const maxBytes = 5 << 30 // of one PutObject

// New opens the warehouse at an address, on Amazon S3 or on the server at AWS_ENDPOINT_URL.
// Credentials and region are the machine's own.
func New(ctx context.Context, at store.Address) (store.Store, error) {
	place, name, err := cloud.ParsePlace(at)
	if err != nil {
		return nil, err
	}
	// The SDK's own kind of client, which can take certificates from the machine.
	connecting := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.DialContext = http.DefaultTransport.(*http.Transport).DialContext
	})
	machine, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(connecting), config.WithLogger(remarks{}))
	if err != nil {
		return nil, fmt.Errorf("warehouse s3://%s: %w", name, err)
	}
	if machine.Credentials != nil && !aws.IsCredentialsProvider(machine.Credentials, aws.AnonymousCredentials{}) {
		machine.Credentials = seen{machine.Credentials}
	}
	bounds := patience.From(ctx)
	wait := patience.New(bounds)
	transport := http.RoundTripper(sending{machine.HTTPClient})
	if telemetry.Enabled() {
		transport = otelhttp.NewTransport(transport)
	}
	machine.HTTPClient = &client{wait.Strict(transport)}
	machine.Credentials = login(machine.Credentials, cmp.Or(bounds.Stall, patience.DefaultStall))
	client := s3.NewFromConfig(machine, setDefaults, func(o *s3.Options) { o.APIOptions = append(o.APIOptions, noteServer(place)) })
	if client.Options().Region == "" {
		return nil, fmt.Errorf("warehouse s3://%s: no region; set AWS_REGION to the bucket's", name)
	}
	err = wait.Do(ctx, func(ctx context.Context) error {
		_, err := client.Options().Credentials.Retrieve(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("warehouse s3://%s: %w: %w (log in with: aws sso login, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)", name, store.ErrLogin, err)
	}
	return cloud.Patient(place, &bucket{Place: place, client: client, bucket: name}, wait), nil
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

// client makes a client of the SDK from a transport, and sending makes a transport from a
// client of the SDK.
type client struct{ http.RoundTripper }

func (c *client) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

type sending struct{ aws.HTTPClient }

func (s sending) RoundTrip(r *http.Request) (*http.Response, error) { return s.Do(r) }

// login bounds the time of a login, which has connections of its own, and tells what can
// pass.
func login(from aws.CredentialsProvider, longest time.Duration) aws.CredentialsProvider {
	if from == nil {
		return nil
	}
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, longest, &patience.Fault{Err: &patience.StallError{For: longest}})
		defer cancel()
		credentials, err := from.Retrieve(ctx)
		if err == nil {
			return credentials, nil
		}
		if cause := context.Cause(ctx); cause != nil && patience.MayPass(cause) {
			err = fmt.Errorf("logging in: %w", cause)
		} else if status, _ := answerOf(err); patience.Passing(status) {
			err = &patience.Fault{Err: err}
		} else if unsent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok && patience.MayPass(patience.Classify(unsent)) {
			err = &patience.Fault{Err: err}
		}
		return aws.Credentials{}, err
	}))
}

// setDefaults leaves the retries to patience.
func setDefaults(o *s3.Options) {
	if o.BaseEndpoint != nil { // rarely a server with a host name for each bucket
		o.UsePathStyle = true
		if o.Region == "" {
			o.Region = "us-east-1" // which most servers take for their only region
		}
	}
	o.RetryMaxAttempts = 0 // which AWS_MAX_ATTEMPTS sets
	o.Retryer = aws.NopRetryer{}
}

// Stat describes an object.
func (s *bucket) Stat(ctx context.Context, key string) (store.Object, error) {
	name, err := s.Name(key)
	if err != nil {
		return store.Object{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name})
	if status, _ := answerOf(err); status == http.StatusForbidden {
		_, _, listErr := s.Page(ctx, key, "") // an answer to HEAD has no body that says why
		err = cmp.Or(listErr, err)
	}
	if err != nil {
		return store.Object{}, s.Missing(ctx, s, key, s.failed("looking at", key, err))
	}
	obj := store.Object{Key: key, Size: aws.ToInt64(head.ContentLength), Version: cloud.VersionOf(aws.ToString(head.ETag))}
	obj.CRC32C, obj.Summed = cloud.ParseCRC(head.Metadata[cloud.CRCName])
	return obj, nil
}

// OpenFrom reads an object from an offset on.
func (s *bucket) OpenFrom(ctx context.Context, key string, offset int64, version string) (io.ReadCloser, store.Object, error) {
	name, err := s.Name(key)
	if err != nil {
		return nil, store.Object{}, err
	}
	input := &s3.GetObjectInput{Bucket: &s.bucket, Key: &name}
	if offset > 0 {
		input.Range, input.IfMatch = aws.String(fmt.Sprintf("bytes=%d-", offset)), aws.String(cloud.ETagOf(version))
	}
	object, err := s.client.GetObject(ctx, input, func(o *s3.Options) {
		if offset > 0 { // the object's checksum is not that of a part
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	if err != nil {
		return nil, store.Object{}, s.failed("reading", key, err)
	}
	obj := store.Object{Key: key, Size: -1, Version: cloud.VersionOf(aws.ToString(object.ETag))}
	if object.ContentLength != nil {
		obj.Size = *object.ContentLength
	}
	if offset > 0 {
		if err := cloud.CheckRange(object.Body, offset, aws.ToString(object.ContentRange)); err != nil {
			return nil, store.Object{}, s.failed("reading", key, err)
		}
	}
	return object.Body, obj, nil
}

// Page leaves the objects without a checksum: a listing does not have it.
func (s *bucket) Page(ctx context.Context, prefix, from string) (objects []store.Object, next string, err error) {
	input := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.Prefix(prefix))}
	if from != "" {
		input.ContinuationToken = &from
	}
	page, err := s.client.ListObjectsV2(ctx, input)
	if err != nil {
		return nil, "", s.failed("listing", prefix, err)
	}
	for _, o := range page.Contents {
		objects = append(objects, store.Object{Key: s.Key(aws.ToString(o.Key)), Size: aws.ToInt64(o.Size), Version: cloud.VersionOf(aws.ToString(o.ETag))})
	}
	if aws.ToBool(page.IsTruncated) {
		next = aws.ToString(page.NextContinuationToken)
	}
	return objects, next, nil
}

// Put uploads in one request, under a precondition on the ETag and with the checksum,
// which the service compares before anybody sees the object.
func (s *bucket) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
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

// Service is what a probe needs to know.
func (s *bucket) Service() cloud.Service {
	return cloud.Service{
		Endpoint: aws.ToString(s.client.Options().BaseEndpoint),
		Stale:    "00000000000000000000000000000000",
		Instead:  "use Amazon S3, a server that heeds If-None-Match and If-Match of PutObject (MinIO, Cloudflare R2 and Versity S3 Gateway do), or a warehouse on gs://, azblob:// or in a folder",
	}
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

func (s *bucket) failed(doing, key string, err error) error {
	hint := ""
	switch status, code := answerOf(err); {
	case code == "ConditionalRequestConflict", code == "OperationAborted":
		err = &patience.Fault{Err: err} // another writer is at it
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
func (s *bucket) Close() error { return nil }
