// Package gcs keeps a warehouse in a bucket of Google Cloud Storage.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
	"github.com/cvexport/cvexport/patience"
)

// emulator is the variable that puts another server in the place of Google's.
const emulator = "STORAGE_EMULATOR_HOST"

// loggingVariable makes the SDK log to standard error, unless it is given another log.
const loggingVariable = "GOOGLE_SDK_GO_LOGGING_LEVEL"

// Kind opens gs://bucket/folder.
var Kind = store.Kind{
	Schemes: []string{"gs"},
	Form:    "gs://bucket/folder",
	Open: func(ctx context.Context, at store.Address) (store.Store, error) {
		return New(ctx, at, Options{})
	},
	URL:      cloud.URL,
	Identity: func(at store.Address) (string, error) { return cloud.Identity(at, os.Getenv(emulator)) },
	DuckDB: []string{
		"-- DuckDB needs an HMAC key for Google Cloud Storage:\n--   CREATE SECRET (TYPE gcs, KEY_ID '...', SECRET '...');\nINSTALL httpfs",
		"LOAD httpfs",
	},
}

// bucket is a folder of a bucket, each of whose operations tries once; of an upload, each
// chunk a few times.
type bucket struct {
	cloud.Place
	client *storage.Client
	bucket string
	chunk  int // bytes of each request of an upload
}

var _ cloud.Tries = (*bucket)(nil)

const (
	defaultChunk = 16 << 20

	// uploads is how often an object is uploaded when what arrived is not what was
	// sent.
	uploads = 3

	// chunkTries is how often in a row a chunk is sent before the upload begins anew.
	chunkTries = 3
)

// Options are what tests change.
type Options struct {
	Client  []option.ClientOption
	Retries []storage.RetryOption // of a chunk
	Chunk   int                   // bytes of each request of an upload; 0 is the default
}

// New opens the warehouse at an address. Credentials are the machine's own;
// STORAGE_EMULATOR_HOST is followed.
func New(ctx context.Context, at store.Address, o Options) (store.Store, error) {
	place, name, err := cloud.ParsePlace(at)
	if err != nil {
		return nil, err
	}
	if os.Getenv(loggingVariable) != "" {
		o.Client = append([]option.ClientOption{option.WithLogger(slog.Default())}, o.Client...)
	}
	wait := patience.New(patience.From(ctx))
	transport, err := authenticated(ctx, o.Client)
	var client *storage.Client
	if err == nil {
		sending := &http.Client{Transport: single{wait.Strict(transport)}}
		client, err = storage.NewClient(ctx, append(slices.Clip(o.Client), option.WithHTTPClient(sending))...)
	}
	if err != nil {
		return nil, fmt.Errorf("warehouse gs://%s: %w: %w (log in with: gcloud auth application-default login)", name, store.ErrLogin, err)
	}
	client.SetRetry(append(o.Retries, storage.WithPolicy(storage.RetryNever))...) // patience retries
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	return cloud.Patient(place, &bucket{Place: place, client: client, bucket: name, chunk: o.Chunk}, wait), nil
}

func (g *bucket) handle(key string) (*storage.ObjectHandle, error) {
	name, err := g.Name(key)
	if err != nil {
		return nil, err
	}
	return g.client.Bucket(g.bucket).Object(name), nil
}

// Stat describes an object.
func (g *bucket) Stat(ctx context.Context, key string) (store.Object, error) {
	handle, err := g.handle(key)
	if err != nil {
		return store.Object{}, err
	}
	attrs, err := handle.Attrs(ctx)
	if err != nil {
		return store.Object{}, g.Missing(ctx, g, key, g.failed("looking at", key, err))
	}
	return g.object(key, attrs), nil
}

func (g *bucket) object(key string, attrs *storage.ObjectAttrs) store.Object {
	return store.Object{Key: key, Size: attrs.Size, CRC32C: attrs.CRC32C, Summed: true, Version: strconv.FormatInt(attrs.Generation, 10)}
}

// OpenFrom reads an object from an offset on.
func (g *bucket) OpenFrom(ctx context.Context, key string, offset int64, version string) (io.ReadCloser, store.Object, error) {
	handle, err := g.handle(key)
	if err != nil {
		return nil, store.Object{}, err
	}
	if offset > 0 {
		generation, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			return nil, store.Object{}, g.failed("reading", key, err)
		}
		handle = handle.Generation(generation)
	}
	r, err := handle.NewRangeReader(withOneRequest(ctx), offset, -1)
	if err != nil {
		return nil, store.Object{}, g.Missing(ctx, g, key, g.failed("reading", key, err))
	}
	return r, store.Object{Key: key, Size: r.Attrs.Size, Version: strconv.FormatInt(r.Attrs.Generation, 10)}, nil
}

// Page returns objects with their checksums.
func (g *bucket) Page(ctx context.Context, prefix, from string) (objects []store.Object, next string, err error) {
	query := &storage.Query{Prefix: g.Prefix(prefix), Projection: storage.ProjectionNoACL}
	if err := query.SetAttrSelection([]string{"Name", "Size", "CRC32C", "Generation"}); err != nil {
		return nil, "", g.failed("listing", prefix, err)
	}
	const most = 1000 // the service's limit
	var page []*storage.ObjectAttrs
	next, err = iterator.NewPager(g.client.Bucket(g.bucket).Objects(ctx, query), most, from).NextPage(&page)
	if err != nil {
		return nil, "", g.failed("listing", prefix, err)
	}
	for _, attrs := range page {
		objects = append(objects, g.object(g.Key(attrs.Name), attrs))
	}
	return objects, next, nil
}

// Put uploads under a precondition on the generation. What arrived is compared with
// what was sent, because a server may take a chunk twice when its acknowledgement is
// lost; then the object is uploaded again over that one.
func (g *bucket) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	handle, err := g.handle(key)
	if err != nil {
		return store.Object{}, err
	}
	if err := cloud.CheckOthers(ctx, g, others); err != nil {
		return store.Object{}, g.failed("writing", key, err)
	}
	for try := 1; ; try++ {
		condition := storage.Conditions{DoesNotExist: true}
		if old != "" {
			generation, err := strconv.ParseInt(old, 10, 64)
			if err != nil {
				return store.Object{}, g.failed("writing", key, fmt.Errorf("%q is not a version of it: %w", old, store.ErrConflict))
			}
			condition = storage.Conditions{GenerationMatch: generation}
		}
		var obj store.Object
		attrs, err := g.upload(ctx, handle.If(condition), src)
		if err == nil {
			obj = g.object(key, attrs)
		} else if obj, err = cloud.Settle(ctx, g, key, src, old, err, isPrecondition(err)); err != nil {
			return store.Object{}, g.failed("writing", key, err)
		}
		if obj.Matches(src) {
			return obj, nil
		}
		if try == uploads {
			return store.Object{}, g.failed("writing", key, fmt.Errorf("it arrived broken %d times: %d bytes, crc32c %08x; want %d, %08x", try, obj.Size, obj.CRC32C, src.Size(), src.CRC32C()))
		}
		old = obj.Version
	}
}

// Service is what a probe needs to know.
func (g *bucket) Service() cloud.Service {
	return cloud.Service{
		Endpoint: os.Getenv(emulator),
		Stale:    "1",
		Instead:  "use Google Cloud Storage itself, or another kind of warehouse",
	}
}

// upload sends the whole source. A failed upload is cancelled, never closed: closing a
// writer commits what it has.
func (g *bucket) upload(ctx context.Context, handle *storage.ObjectHandle, src store.Source) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failures atomic.Int32 // since the last chunk that arrived
	w := handle.Retryer(storage.WithPolicy(storage.RetryAlways), storage.WithErrorFunc(func(err error) bool {
		fault, passes := errors.AsType[*patience.Fault](err)
		_, stalled := errors.AsType[*patience.StallError](err)
		return passes && !stalled && fault.After == 0 && failures.Add(1) < chunkTries
	})).NewWriter(ctx)
	w.ProgressFunc = func(int64) { failures.Store(0) }
	w.ChunkSize = g.chunk
	w.ContentType = cloud.ContentType(handle.ObjectName())
	w.CRC32C, w.SendCRC32C = src.CRC32C(), true
	if err := store.Copy(ctx, w, src); err != nil {
		cancel()
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

func isPrecondition(err error) bool {
	var e *googleapi.Error
	return errors.As(err, &e) && e.Code == http.StatusPreconditionFailed
}

func (g *bucket) failed(doing, key string, err error) error {
	hint := ""
	var e *googleapi.Error
	switch {
	case errors.Is(err, storage.ErrBucketNotExist), doing == "writing" && errors.As(err, &e) && e.Code == http.StatusNotFound:
		err, hint = fmt.Errorf("%w: %w", store.ErrNoBucket, err), cloud.MakeBucket
	case errors.Is(err, storage.ErrObjectNotExist):
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case errors.As(err, &e) && (e.Code == http.StatusForbidden || e.Code == http.StatusUnauthorized):
		hint = refusal(e)
	}
	return g.Place.Failed(doing, key, err, hint)
}

// refusal says what to do about a 401 or 403, by the service's reason:
// https://cloud.google.com/storage/docs/json_api/v1/status-codes.
func refusal(e *googleapi.Error) string {
	text := e.Message + e.Body // a read answers in XML, which the SDK does not decode
	switch {
	case e.Message == "" && !strings.Contains(text, `"error"`) && !strings.Contains(text, "<Code>"):
		return cloud.Between
	case strings.Contains(text, "vpcServiceControlsUniqueIdentifier"), strings.Contains(text, "IP filter"):
		return "a service perimeter, or the bucket's IP filter, refuses this machine's address: allow it there"
	case e.Code == http.StatusUnauthorized:
		return "log in again: gcloud auth application-default login"
	}
	return "grant the credentials in use roles/storage.objectUser on the bucket"
}

// Close closes the client.
func (g *bucket) Close() error { return g.client.Close() }
