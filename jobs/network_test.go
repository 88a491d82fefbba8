package jobs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
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

// How an operation under a fault has to end.
type ending int

const (
	heals   ending = iota
	gives   ending = iota // up, within --give-up-after and two tries
	refuses               // at the first request
	tells                 // by an error or a wrong length, unless it heals
	stops                 // within two seconds of the interrupt
)

// networkFault is what happens to requests.
type networkFault struct {
	name string
	end  ending
	said string        // in the error
	took time.Duration // at least

	// faulty reports whether it happens to the n-th request, counted from 1, so long
	// after the first.
	faulty func(n int32, since time.Duration) bool

	serve    func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder)
	dial     func(ctx context.Context) error // in place of serve: what happens to a connection
	inAnswer bool                            // needs an answer with a body
	document bool                            // needs a request whose answer may have one
	upload   bool                            // needs a request with a body
	done     bool                            // the server has done what it was asked for
}

type serving = func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder)

func once(n int32, _ time.Duration) bool  { return n == 1 }
func twice(n int32, _ time.Duration) bool { return n <= 2 }
func always(int32, time.Duration) bool    { return true }
func forMinutes(m int) func(int32, time.Duration) bool {
	return func(_ int32, since time.Duration) bool { return since < time.Duration(m)*time.Minute }
}

func mute(_ http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) {
	<-r.Context().Done()
}

func status(code int, after string) serving {
	return func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) {
		io.Copy(io.Discard, r.Body)
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(code)
	}
}

func document(kind, text string) serving {
	return func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, text)
	}
}

// done lets the server do what it was asked for.
func done(then func(w http.ResponseWriter, r *http.Request)) serving {
	return func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder) {
		whole()
		then(w, r)
	}
}

// part sends the header, and a part of the body of a length that may be a lie.
func part(length, sent func(int) int, then func(w http.ResponseWriter, r *http.Request)) serving {
	return func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder) {
		answer := whole()
		body := answer.Body.Bytes()
		copyHeader(w, answer)
		w.Header().Set("Content-Length", strconv.Itoa(length(len(body))))
		w.WriteHeader(answer.Code)
		w.Write(body[:sent(len(body))])
		http.NewResponseController(w).Flush()
		then(w, r)
	}
}

func copyHeader(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
}

func all(n int) int       { return n }
func half(n int) int      { return n / 2 }
func more(n int) int      { return n + 100 }
func nothing(int) int     { return 0 }
func allButOne(n int) int { return n - 1 }

func hangs(_ http.ResponseWriter, r *http.Request)    { <-r.Context().Done() }
func breakOff(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
func end(http.ResponseWriter, *http.Request)          {}

func dialFails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

var networkFaults = []networkFault{
	{name: "silent before the answer", faulty: once, serve: mute, took: time.Minute},
	{name: "silent twice", faulty: twice, serve: mute, took: 2 * time.Minute},
	{name: "silent for good", faulty: always, serve: mute, end: gives, said: "no byte for 1m0s"},
	{name: "silent behind the header", faulty: once, serve: part(all, nothing, hangs), inAnswer: true, done: true, took: time.Minute},
	{name: "silent in the middle", faulty: once, serve: part(all, half, hangs), inAnswer: true, done: true, took: time.Minute},
	{name: "silent before the last byte", faulty: once, serve: part(all, allButOne, hangs), inAnswer: true, done: true},
	{name: "silent in the middle, for good", faulty: always, serve: part(all, half, hangs), inAnswer: true, done: true, end: gives, said: "no byte for 1m0s"},
	{name: "silent when it is done", faulty: once, serve: done(hangs), done: true, took: time.Minute},
	{name: "reads nothing of an upload", faulty: once, serve: mute, upload: true, took: time.Minute},
	{name: "cut before the answer", faulty: once, serve: func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) { breakOff(w, r) }},
	{name: "cut before the answer, for good", faulty: always, serve: func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) { breakOff(w, r) }, end: gives, said: "--give-up-after is 15m0s"},
	{name: "cut when it is done", faulty: once, serve: done(breakOff), done: true},
	{name: "cut behind the header", faulty: once, serve: part(all, nothing, breakOff), inAnswer: true, done: true},
	{name: "cut in the middle", faulty: once, serve: part(all, half, breakOff), inAnswer: true, done: true},
	{name: "cut in the middle, twice", faulty: twice, serve: part(all, half, breakOff), inAnswer: true, done: true},
	{name: "cut behind the header, for good", faulty: always, serve: part(all, nothing, breakOff), inAnswer: true, done: true, end: gives, said: "--give-up-after is 15m0s"},
	{name: "longer than it is", faulty: once, serve: part(more, all, end), inAnswer: true, done: true, end: tells},
	{name: "shorter than it is", faulty: once, serve: part(half, half, end), inAnswer: true, done: true, end: tells},
	{name: "408", faulty: once, serve: status(408, "")},
	{name: "429", faulty: once, serve: status(429, "")},
	{name: "500", faulty: once, serve: status(500, "")},
	{name: "502", faulty: once, serve: status(502, "")},
	{name: "503", faulty: twice, serve: status(503, "")},
	{name: "504", faulty: once, serve: status(504, "")},
	{name: "429 that asks for ten minutes", faulty: once, serve: status(429, "600"), took: 10 * time.Minute},
	{name: "429 for ten minutes", faulty: forMinutes(10), serve: status(429, ""), took: 10 * time.Minute},
	{name: "429 for twenty minutes", faulty: forMinutes(20), serve: status(429, ""), end: gives, said: "429"},
	{name: "429 that asks for twenty minutes", faulty: always, serve: status(429, "1200"), end: refuses, said: "it asks to wait 20m0s (tried once; --give-up-after is 15m0s): come back at 2000-01-01T00:20:"},
	{name: "503 that asks for a second", faulty: forMinutes(5), serve: status(503, "1"), took: 5 * time.Minute},
	{name: "a web page in place of an answer", faulty: once, serve: document("text/html", "<!DOCTYPE html><html><body>502</body></html>"), document: true},
	{name: "a web page, for good", faulty: always, serve: document("text/html", "<html>502</html>"), document: true, end: gives, said: "error document"},
	{name: "an error document of xml", faulty: once, serve: document("application/xml", `<?xml version="1.0"?><Error><Code>InternalError</Code></Error>`), document: true},
	{name: "an error document of json", faulty: once, serve: document("application/json", `{"error":{"code":503,"message":"backend"}}`), document: true},
	{name: "400", faulty: always, serve: status(400, ""), end: refuses},
	{name: "401", faulty: always, serve: status(401, ""), end: refuses},
	{name: "403", faulty: always, serve: status(403, ""), end: refuses},
	{name: "404", faulty: always, serve: status(404, ""), end: refuses},
	{name: "silent, and interrupted", faulty: always, serve: mute, end: stops},
	{name: "silent in the middle, and interrupted", faulty: always, serve: part(all, half, hangs), inAnswer: true, done: true, end: stops},
	{name: "503, and interrupted", faulty: always, serve: status(503, ""), end: stops},
	{name: "429 that asks for ten minutes, and interrupted", faulty: always, serve: status(429, "600"), end: stops},
	{name: "connection refused", faulty: twice, dial: dialFails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})},
	{name: "connection reset", faulty: once, dial: dialFails(&net.OpError{Op: "read", Err: syscall.ECONNRESET})},
	{name: "connecting hangs", faulty: once, dial: func(context.Context) error { time.Sleep(2 * time.Minute); return syscall.ETIMEDOUT }, took: time.Minute},
	{name: "no name server", faulty: twice, dial: dialFails(&net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true})},
	{name: "no such host", faulty: always, dial: dialFails(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), end: tells},
	{name: "a wrong certificate", faulty: always, dial: dialFails(&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}}), end: refuses, said: "x509"},
}

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
