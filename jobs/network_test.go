package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/pipeserver"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs/notify"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
	"github.com/cvexport/cvexport/transform"
)

// faultyServer stands before a server. Nothing happens until it is armed.
type faultyServer struct {
	server http.Handler
	fault  *networkFault
	armed  atomic.Bool
	n      atomic.Int32
	began  atomic.Int64
	hit    atomic.Bool
	over   context.Context // of the test
}

func (f *faultyServer) faulty() bool {
	f.began.CompareAndSwap(0, time.Now().UnixNano())
	hit := f.fault.faulty(f.n.Add(1), time.Duration(time.Now().UnixNano()-f.began.Load()))
	if hit {
		f.hit.Store(true)
	}
	return hit
}

func (f *faultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer *httptest.ResponseRecorder
	whole := func() *httptest.ResponseRecorder {
		if answer == nil {
			answer = httptest.NewRecorder()
			f.server.ServeHTTP(answer, r)
		}
		return answer
	}
	fits := f.armed.Load() && f.fault.serve != nil && !(f.fault.document && r.Method == http.MethodHead) && !(f.fault.upload && r.ContentLength == 0) &&
		!(f.fault.inAnswer && whole().Body.Len() < 2)
	if fits && f.faulty() {
		// The request's own context ends too late where nobody reads the body, and now and
		// then too early over memory.
		f.fault.serve(w, r.WithContext(f.over), whole)
		return
	}
	whole()
	copyHeader(w, answer)
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// errLost means that an operation took something for right that is not.
var errLost = errors.New("lost")

// target is a server, and the operations on it, which a new client does.
type target struct {
	name       string
	server     func(t *testing.T) http.Handler
	operations []string
	client     func(t *testing.T, server http.Handler) map[string]func(context.Context) error
}

const pipeEndpoint = "127.0.0.1:1"

// storeTarget has the operations of a store. With Put, the object must be there or not.
func storeTarget(name, address string, server func(t *testing.T) http.Handler) target {
	src := storetest.RandomSource(200_000, 1)
	return target{name, server, []string{"stat", "list", "read", "put"}, func(t *testing.T, _ http.Handler) map[string]func(context.Context) error {
		s, err := open.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		read := func(ctx context.Context, key string) error {
			r, err := s.Open(ctx, key)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
			if int64(len(body)) != src.Size() {
				return fmt.Errorf("%d bytes in place of %d", len(body), src.Size())
			}
			if !bytes.Equal(body, storeContent(src)) {
				return errLost
			}
			return nil
		}
		return map[string]func(context.Context) error{
			"": func(ctx context.Context) error {
				_, err := s.Put(ctx, storetest.Key, src, "")
				return err
			},
			"stat": func(ctx context.Context) error {
				obj, err := s.Stat(ctx, storetest.Key)
				if err == nil && (obj.Size != src.Size() || obj.Version == "") {
					err = errLost
				}
				return err
			},
			"list": func(ctx context.Context) error {
				n := 0
				for obj, err := range s.List(ctx, "tags/") {
					if err != nil {
						return err
					}
					if n++; obj.Key != storetest.Key || obj.Size != src.Size() {
						return errLost
					}
				}
				if n != 1 {
					return errLost
				}
				return nil
			},
			"read": func(ctx context.Context) error { return read(ctx, storetest.Key) },
			"put": func(ctx context.Context) error {
				_, err := s.Put(ctx, "images/new", src, "")
				return err
			},
			"put, afterwards": func(ctx context.Context) error { return read(ctx, "images/new") },
		}
	}}
}

func storeContent(src store.Source) []byte {
	body, _ := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	return body
}

var targets = []target{
	storeTarget("gcs", "gs://bucket/warehouse", func(t *testing.T) http.Handler {
		server, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: "http://" + pipeEndpoint, PublicHost: pipeEndpoint})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
		return server.HTTPHandler()
	}),
	storeTarget("s3", "s3://bucket/warehouse", func(t *testing.T) http.Handler {
		backend := s3mem.New()
		if err := backend.CreateBucket("bucket"); err != nil {
			t.Fatal(err)
		}
		return gofakes3.New(backend).Server()
	}),
	storeTarget("azure", "azblob://bucket/warehouse", func(*testing.T) http.Handler { return &blobService{blobs: map[string]blobContent{}} }),
	{"queue", func(*testing.T) http.Handler {
		return &queueService{now: time.Now(), queues: map[string][]*queued{"q": nil}}
	}, []string{"receive", "hide", "delete", "poison"}, func(t *testing.T, server http.Handler) map[string]func(context.Context) error {
		q, err := notify.Open(t.Context(), "q", policy.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var m *notify.Message
		queues := func() *queueService { return server.(*queueService) }
		operations := map[string]func(context.Context) error{
			"": func(ctx context.Context) error {
				queues().queues["q"] = []*queued{{MessageId: "1", PopReceipt: "1", MessageText: "text", visible: queues().now, InsertionTime: time.Now().UTC().Format(http.TimeFormat), ExpirationTime: time.Now().UTC().Format(http.TimeFormat)}}
				queues().queues["q-poison"] = nil
				m, err = q.Receive(ctx, time.Minute)
				return err
			},
			"receive": func(ctx context.Context) error {
				queues().advance(time.Hour)
				_, err := q.Receive(ctx, time.Minute)
				return err
			},
			"hide":   func(ctx context.Context) error { return m.Hide(ctx, time.Minute) },
			"delete": func(ctx context.Context) error { return m.Delete(ctx) },
			"poison": func(ctx context.Context) error { return m.Poison(ctx) },
		}
		return operations
	}},
	{"service", func(t *testing.T) http.Handler {
		service, err := simulated.New(simulated.Config{Seed: 7, Images: 300})
		if err != nil {
			t.Fatal(err)
		}
		return service
	}, []string{"list", "pages"}, func(t *testing.T, server http.Handler) map[string]func(context.Context) error {
		client, err := extract.NewClient(extract.Options{Endpoint: "http://" + pipeEndpoint, Key: "simulated", Rate: 1000})
		if err != nil {
			t.Fatal(err)
		}
		project := server.(*simulated.Service).Projects()[0]
		return map[string]func(context.Context) error{
			"": func(context.Context) error { return nil },
			"list": func(ctx context.Context) error {
				list, err := client.Iterations(ctx, project.ID)
				if err == nil && len(list) != 1 {
					err = errLost
				}
				return err
			},
			"pages": func(ctx context.Context) error {
				images := 0
				counted := 300
				_, err := extract.Read(ctx, client, extract.Listing{Project: project.ID, Iteration: project.Iterations[0].ID, Concurrency: 1, Counted: &counted},
					newDecoders(transform.Options{}).decode, func(page *transform.Records) error {
						images += int(page.Images.NumRows())
						page.Release()
						return nil
					})
				if err == nil && images != 300 {
					err = errLost
				}
				return err
			},
		}
	}},
}

// Every operation on the service, the queue and every store is under every fault of the
// network: it heals, or it fails in time and says why; nothing is lost, and nothing hangs.
// The long waits are those of a bubble, whose time passes at once.
func TestEveryFaultOfTheNetwork(t *testing.T) {
	fakes.S3Machine(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://"+pipeEndpoint)
	t.Setenv("STORAGE_EMULATOR_HOST", pipeEndpoint)
	at := "http://" + pipeEndpoint + "/" + azurite.Account
	logintest.Machine(t, map[string]string{azurelogin.ConnectionVariable: azurite.ConnectionString(at, at)})
	operations, faults, healed, told := 0, 0, 0, 0
	for _, target := range targets {
		for _, operation := range target.operations {
			operations++
			for i := range networkFaults {
				if testing.Short() && (i+operations)%5 != 0 {
					continue
				}
				fault := &networkFaults[i]
				t.Run(target.name+", "+operation+", "+fault.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						happened, err := underFault(t, target, operation, fault)
						switch {
						case !happened:
						case err == nil:
							faults, healed = faults+1, healed+1
						default:
							faults, told = faults+1, told+1
						}
					})
				})
			}
		}
	}
	t.Logf("FIGURES: %d operations of service, queue and stores under %d faults of the network, in %d combinations: %d healed, %d told, 0 lost, 0 hung",
		operations, len(networkFaults), faults, healed, told)
	if healed < 50 || told < 25 {
		t.Error("all are alike: the test shows nothing")
	}
}

// underFault does an operation under a fault, and reports whether the fault happened.
func underFault(t *testing.T, target target, operation string, fault *networkFault) (happened bool, err error) {
	f := &faultyServer{server: target.server(t), fault: fault}
	pipeserver.Start(t, f)
	over, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	f.over = over
	transport := http.DefaultTransport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if f.armed.Load() && fault.dial != nil && f.faulty() {
			if err := fault.dial(ctx); err != nil {
				return nil, err
			}
		}
		return dial(ctx, network, address)
	}
	t.Cleanup(func() { transport.DialContext = dial })
	do := target.client(t, f.server)
	if err := do[""](t.Context()); err != nil {
		t.Fatal(err)
	}
	if fault.dial != nil {
		time.Sleep(5 * time.Minute) // until the connection is closed, which nobody uses
		transport.CloseIdleConnections()
	}
	f.armed.Store(true)
	started := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const interrupt = 50 * time.Second
	if fault.end == stops {
		time.AfterFunc(interrupt, cancel)
	}
	err = do[operation](ctx)
	took := time.Since(started)
	f.armed.Store(false)
	if !f.hit.Load() {
		return false, nil
	}
	// A receipt that was lost on its way cannot be had again.
	gone := operation == "hide" && fault.done && errors.Is(err, notify.ErrLost)
	switch limit := 20 * time.Minute; {
	case errors.Is(err, errLost):
		t.Error("a fault was taken for an answer")
	case took > limit:
		t.Errorf("it took %s", took)
	case fault.end == heals && !gone && (err != nil || took < fault.took):
		t.Errorf("after %s and %d requests: %v", took, f.n.Load(), err)
	case fault.end == gives && !gone && (err == nil || took < 15*time.Minute || !strings.Contains(err.Error(), fault.said)):
		t.Errorf("after %s and %d requests: %v", took, f.n.Load(), err)
	case fault.end == stops && (err == nil || took < interrupt || took > interrupt+2*time.Second):
		t.Errorf("interrupted after %s, it ended after %s: %v", interrupt, took, err)
	case fault.end == refuses && (err == nil || took > time.Second || !strings.Contains(err.Error(), fault.said)):
		t.Errorf("after %s and %d requests: %v", took, f.n.Load(), err)
	}
	if after := do[operation+", afterwards"]; after != nil {
		if now := after(t.Context()); err == nil && now != nil || now != nil && !errors.Is(now, fs.ErrNotExist) {
			t.Errorf("%v, and then %v", err, now)
		}
	}
	if fault.dial != nil {
		time.Sleep(5 * time.Minute) // net/http goes on connecting when nobody waits any more
	}
	return true, err
}
