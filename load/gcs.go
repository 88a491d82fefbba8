package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
)

// gcs is a folder of a Google Cloud Storage bucket. Credentials are the
// machine's own; STORAGE_EMULATOR_HOST is followed.
type gcs struct {
	place
	client *storage.Client
	bucket string
	chunk  int // bytes a request of an upload
}

var _ Store = (*gcs)(nil)

const (
	gcsChunk = 16 << 20
	// gcsTries is how often an object is uploaded when what arrived is not what
	// was sent.
	gcsTries = 3
	// gcsAttempts is how often in a row a request may fail. Left to itself the SDK
	// tries for ever. With its pauses this takes a minute.
	gcsAttempts = 8
)

func newGCS(ctx context.Context, bucket, root string, options []option.ClientOption, retries ...storage.RetryOption) (*gcs, error) {
	place, err := newPlace("gs://"+bucket, root)
	if err != nil {
		return nil, err
	}
	client, err := storage.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("warehouse gs://%s: %w: %w (log in with: gcloud auth application-default login)", bucket, ErrLogin, err)
	}
	// Every write here has a precondition, so all of them can be retried.
	client.SetRetry(append(retries, storage.WithPolicy(storage.RetryAlways), storage.WithMaxAttempts(gcsAttempts))...)
	return &gcs{place: place, client: client, bucket: bucket, chunk: gcsChunk}, nil
}

func (g *gcs) handle(key string) (*storage.ObjectHandle, error) {
	name, err := g.name(key)
	if err != nil {
		return nil, err
	}
	return g.client.Bucket(g.bucket).Object(name), nil
}

func (g *gcs) Stat(ctx context.Context, key string) (Object, error) {
	handle, err := g.handle(key)
	if err != nil {
		return Object{}, err
	}
	attrs, err := handle.Attrs(ctx)
	if err != nil {
		return Object{}, g.missing(ctx, g, key, g.failed("looking at", key, err))
	}
	return g.object(key, attrs), nil
}

func (g *gcs) object(key string, attrs *storage.ObjectAttrs) Object {
	return Object{Key: key, Size: attrs.Size, CRC32C: attrs.CRC32C, Summed: true, Version: strconv.FormatInt(attrs.Generation, 10)}
}

func (g *gcs) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	handle, err := g.handle(key)
	if err != nil {
		return nil, err
	}
	r, err := handle.NewReader(ctx)
	if err != nil {
		return nil, g.missing(ctx, g, key, g.failed("reading", key, err))
	}
	return r, nil
}

func (g *gcs) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		query := &storage.Query{Prefix: g.prefix(prefix), Projection: storage.ProjectionNoACL}
		if err := query.SetAttrSelection([]string{"Name", "Size", "CRC32C", "Generation"}); err != nil {
			yield(Object{}, g.failed("listing", prefix, err))
			return
		}
		objects := g.client.Bucket(g.bucket).Objects(ctx, query)
		for {
			attrs, err := objects.Next()
			if errors.Is(err, iterator.Done) {
				return
			}
			if err != nil {
				yield(Object{}, g.failed("listing", prefix, err))
				return
			}
			if !yield(g.object(g.key(attrs.Name), attrs), nil) {
				return
			}
		}
	}
}

// Put uploads under a precondition on the generation. What arrived is compared
// with what was sent, because a server may take a chunk twice when its
// acknowledgement is lost; then the object is uploaded again over that one.
func (g *gcs) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	handle, err := g.handle(key)
	if err != nil {
		return Object{}, err
	}
	for try := 1; ; try++ {
		condition := storage.Conditions{DoesNotExist: true}
		if old != "" {
			generation, err := strconv.ParseInt(old, 10, 64)
			if err != nil {
				return Object{}, g.failed("writing", key, fmt.Errorf("%q is no version of it: %w", old, ErrConflict))
			}
			condition = storage.Conditions{GenerationMatch: generation}
		}
		var obj Object
		attrs, err := g.upload(ctx, handle.If(condition), src)
		if err == nil {
			obj = g.object(key, attrs)
		} else if obj, err = settle(ctx, g, key, src, old, err, isPrecondition(err)); err != nil {
			return Object{}, g.failed("writing", key, err)
		}
		if sameContent(obj, src) {
			return obj, nil
		}
		if try == gcsTries {
			return Object{}, g.failed("writing", key, fmt.Errorf("it arrived broken %d times: %d bytes, crc32c %08x; want %d, %08x", try, obj.Size, obj.CRC32C, src.Size(), src.CRC32C()))
		}
		old = obj.Version
	}
}

// upload sends the whole source. A failed upload is cancelled, never closed:
// closing a writer commits what it has. The SDK counts no attempts of an upload.
func (g *gcs) upload(ctx context.Context, handle *storage.ObjectHandle, src Source) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failures atomic.Int32 // since the last chunk that arrived
	w := handle.Retryer(storage.WithErrorFunc(func(err error) bool {
		return storage.ShouldRetry(err) && failures.Add(1) < gcsAttempts
	})).NewWriter(ctx)
	w.ProgressFunc = func(int64) { failures.Store(0) }
	w.ChunkSize = g.chunk
	w.ChunkRetryDeadline = 2 * time.Minute
	w.ContentType = parquetType
	w.CRC32C, w.SendCRC32C = src.CRC32C(), true
	if err := copySource(ctx, w, src); err != nil {
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

func (g *gcs) failed(doing, key string, err error) error {
	hint := ""
	var e *googleapi.Error
	switch {
	case errors.Is(err, storage.ErrBucketNotExist), doing == "writing" && errors.As(err, &e) && e.Code == http.StatusNotFound:
		err, hint = fmt.Errorf("%w: %w", errNoBucket, err), makeBucket
	case errors.Is(err, storage.ErrObjectNotExist):
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case errors.As(err, &e) && (e.Code == http.StatusForbidden || e.Code == http.StatusUnauthorized):
		hint = "grant the credentials in use roles/storage.objectUser on the bucket"
	}
	return g.place.failed(doing, key, err, hint)
}

func (g *gcs) Close() error { return g.client.Close() }
