// Package gcs keeps a warehouse in a bucket of Google Cloud Storage.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
)

// emulator is the variable that puts another server in the place of Google's.
const emulator = "STORAGE_EMULATOR_HOST"

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

// Store is a folder of a bucket. Credentials are the machine's own;
// STORAGE_EMULATOR_HOST is followed.
type Store struct {
	cloud.Place
	client *storage.Client
	bucket string
	chunk  int // bytes of each request of an upload
}

var _ store.Store = (*Store)(nil)

const (
	defaultChunk = 16 << 20

	// uploads is how often an object is uploaded when what arrived is not what was
	// sent.
	uploads = 3

	// attempts is how often in a row a request may fail. Left to itself the SDK tries
	// forever. With its pauses this takes a minute.
	attempts = 8
)

// Options are what tests change.
type Options struct {
	Client  []option.ClientOption
	Retries []storage.RetryOption
	Chunk   int // bytes of each request of an upload; 0 is the default
}

// New opens the warehouse at an address.
func New(ctx context.Context, at store.Address, o Options) (*Store, error) {
	place, bucket, err := cloud.ParsePlace(at)
	if err != nil {
		return nil, err
	}
	client, err := storage.NewClient(ctx, o.Client...)
	if err != nil {
		return nil, fmt.Errorf("warehouse gs://%s: %w: %w (log in with: gcloud auth application-default login)", bucket, store.ErrLogin, err)
	}
	// Every write here has a precondition, so all of them can be retried.
	client.SetRetry(append(o.Retries, storage.WithPolicy(storage.RetryAlways), storage.WithMaxAttempts(attempts))...)
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	return &Store{Place: place, client: client, bucket: bucket, chunk: o.Chunk}, nil
}

func (g *Store) handle(key string) (*storage.ObjectHandle, error) {
	name, err := g.Name(key)
	if err != nil {
		return nil, err
	}
	return g.client.Bucket(g.bucket).Object(name), nil
}

// Stat describes an object.
func (g *Store) Stat(ctx context.Context, key string) (store.Object, error) {
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

func (g *Store) object(key string, attrs *storage.ObjectAttrs) store.Object {
	return store.Object{Key: key, Size: attrs.Size, CRC32C: attrs.CRC32C, Summed: true, Version: strconv.FormatInt(attrs.Generation, 10)}
}

// Open reads an object.
func (g *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	handle, err := g.handle(key)
	if err != nil {
		return nil, err
	}
	r, err := handle.NewReader(ctx)
	if err != nil {
		return nil, g.Missing(ctx, g, key, g.failed("reading", key, err))
	}
	return r, nil
}

// List yields objects with their checksums.
func (g *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		query := &storage.Query{Prefix: g.Prefix(prefix), Projection: storage.ProjectionNoACL}
		if err := query.SetAttrSelection([]string{"Name", "Size", "CRC32C", "Generation"}); err != nil {
			yield(store.Object{}, g.failed("listing", prefix, err))
			return
		}
		objects := g.client.Bucket(g.bucket).Objects(ctx, query)
		for {
			attrs, err := objects.Next()
			if errors.Is(err, iterator.Done) {
				return
			}
			if err != nil {
				yield(store.Object{}, g.failed("listing", prefix, err))
				return
			}
			if !yield(g.object(g.Key(attrs.Name), attrs), nil) {
				return
			}
		}
	}
}

// Put uploads under a precondition on the generation. What arrived is compared with
// what was sent, because a server may take a chunk twice when its acknowledgement is
// lost; then the object is uploaded again over that one.
func (g *Store) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
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

// Probe writes an object, unless it is known that the server keeps preconditions.
func (g *Store) Probe(ctx context.Context) error {
	return g.Place.Probe(ctx, g, cloud.Service{
		Endpoint: os.Getenv(emulator),
		Stale:    "1",
		Instead:  "use Google Cloud Storage itself, or another kind of warehouse",
	})
}

// upload sends the whole source. A failed upload is cancelled, never closed: closing a
// writer commits what it has. The SDK does not count the attempts of an upload.
func (g *Store) upload(ctx context.Context, handle *storage.ObjectHandle, src store.Source) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failures atomic.Int32 // since the last chunk that arrived
	w := handle.Retryer(storage.WithErrorFunc(func(err error) bool {
		return storage.ShouldRetry(err) && failures.Add(1) < attempts
	})).NewWriter(ctx)
	w.ProgressFunc = func(int64) { failures.Store(0) }
	w.ChunkSize = g.chunk
	w.ChunkRetryDeadline = 2 * time.Minute
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

func (g *Store) failed(doing, key string, err error) error {
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
func (g *Store) Close() error { return g.client.Close() }
