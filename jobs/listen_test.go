package jobs

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs/notify"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

var queues atomic.Int32

// mailbox is a queue of its own in the emulator.
type mailbox struct {
	*notify.Queue
	client, poison *azqueue.QueueClient
}

func newMailbox(t *testing.T, server azurite.Server) *mailbox {
	t.Helper()
	return newMailboxBehind(t, server, server.QueueEndpoint)
}

// newMailboxBehind is one that listeners reach at another endpoint.
func newMailboxBehind(t *testing.T, server azurite.Server, endpoint string) *mailbox {
	t.Helper()
	name := fmt.Sprintf("queue%d", queues.Add(1))
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.ConnectionString(server.BlobEndpoint, endpoint))
	m := &mailbox{}
	var err error
	if m.Queue, err = notify.Open(patience.With(t.Context(), patience.Bounds{Retries: -1}), name, policy.ClientOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, into := range map[string]**azqueue.QueueClient{name: &m.client, name + "-poison": &m.poison} {
		if *into, err = azqueue.NewQueueClientFromConnectionString(server.ConnectionString, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mailbox) send(t *testing.T, text string) {
	t.Helper()
	if _, err := m.client.EnqueueMessage(t.Context(), text, nil); err != nil {
		t.Fatal(err)
	}
}

// left counts what is in the queue, hidden messages too, and in its poison queue.
func (m *mailbox) left(t *testing.T) (messages, poisoned int64) {
	t.Helper()
	p, err := m.client.GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if q, err := m.poison.GetProperties(t.Context(), nil); err == nil {
		poisoned = *q.ApproximateMessagesCount
	}
	return *p.ApproximateMessagesCount, poisoned
}

func trained(b *bench, project, iteration int) string {
	p := b.service.Projects()[project]
	return fmt.Sprintf(`{"version":"1.0","type":"Training","Content":{"projectId":"%s","iterationId":"%s","trainingStatus":"TrainingCompleted"}}`, p.ID, p.Iterations[iteration].ID)
}

func (b *bench) listen(t *testing.T, ctx context.Context, m Queue, o ListenOptions) (map[Outcome]int, error) {
	t.Helper()
	return b.listenFor(t, ctx, m, Choice{}, o)
}

// listenFor listens as a resource that wants some projects only.
func (b *bench) listenFor(t *testing.T, ctx context.Context, m Queue, choice Choice, o ListenOptions) (map[Outcome]int, error) {
	t.Helper()
	counts := map[Outcome]int{}
	o.Done = func(p ProjectResult) { counts[p.Iterations[0].Outcome]++ }
	if o.Hidden == 0 {
		o.Hidden = time.Minute
	}
	if o.MaxTries == 0 {
		o.MaxTries = 3
	}
	o.Poll = 10 * time.Millisecond
	r := b.request()
	r.SpoolDir = t.TempDir()
	err := Listen(ctx, Resource{Name: "test", Client: b.client, Store: b.store, Choice: choice, Request: r}, m, o)
	return counts, err
}

// queueServers are the servers to test with: always our own, which knows no time, and
// the emulator when there is time for it.
func queueServers(t *testing.T) map[string]azurite.Server {
	servers := map[string]azurite.Server{"in process": startQueues(t).Server}
	if !testing.Short() {
		servers["azurite"] = azurite.Start(t)
	}
	return servers
}

func TestListen(t *testing.T) {
	for name, server := range queueServers(t) {
		t.Run(name, func(t *testing.T) { testListen(t, server) })
	}
}

func testListen(t *testing.T, server azurite.Server) {
	t.Run("exports, and ignores other messages", func(t *testing.T) {
		b, m := newBench(t, simulated.Config{Seed: 4, Projects: 2, Iterations: 2, Images: 300}), newMailbox(t, server)
		m.send(t, `{"version":"1.0","type":"ConnectionTest","Content":{}}`)
		m.send(t, trained(b, 0, 1))
		m.send(t, base64.StdEncoding.EncodeToString([]byte(trained(b, 1, 0))))
		m.send(t, `{"version":"1.0","type":"Export","Content":{}}`)
		m.send(t, strings.ReplaceAll(trained(b, 1, 1), "Completed", "Failed"))
		m.send(t, trained(b, 0, 1)) // Azure may deliver twice
		counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true})
		if err != nil || !maps.Equal(counts, map[Outcome]int{Exported: 2, Present: 1}) {
			t.Errorf("outcomes %v, %v", counts, err)
		}
		if left, poisoned := m.left(t); left != 0 || poisoned != 0 {
			t.Errorf("%d messages left, %d poisoned", left, poisoned)
		}
		b.verify(t)
		compareRows(t, b, 0, 1, 0, 300)
		compareRows(t, b, 1, 0, 0, 300)
		// A night after it has only the rest to do.
		wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Present: 2, Exported: 2})
	})
	t.Run("understands envelopes, and poisons what it does not understand", func(t *testing.T) {
		b, m := newBench(t, simulated.Config{Seed: 4, Iterations: 3, Images: 20}), newMailbox(t, server)
		m.send(t, `{"specversion":"1.0","type":"Microsoft.CustomVision.Training","source":"/customvision","id":"1","data":`+trained(b, 0, 0)+`}`)
		m.send(t, strings.ToLower(trained(b, 0, 1)))
		m.send(t, base64.StdEncoding.EncodeToString([]byte(`[{"eventType":"x","data":`+trained(b, 0, 2)+`}]`)))
		m.send(t, strings.ReplaceAll(trained(b, 0, 0), `"type":"Training"`, `"type":"connectionTest"`))
		m.send(t, `{"type":"SomethingNew","Content":{}}`)
		m.send(t, strings.ReplaceAll(trained(b, 0, 0), "TrainingCompleted", "TrainingPaused"))
		m.send(t, `{"specversion":"1.0","type":"Microsoft.CustomVision.Training","data":{"new":1}}`)
		counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true})
		if err != nil || !maps.Equal(counts, map[Outcome]int{Exported: 3}) {
			t.Errorf("outcomes %v, %v", counts, err)
		}
		if left, poisoned := m.left(t); left != 0 || poisoned != 3 {
			t.Errorf("%d messages left, %d poisoned, want 0 and 3", left, poisoned)
		}
	})
	t.Run("ignores projects that are not chosen", func(t *testing.T) {
		b, m := newBench(t, simulated.Config{Seed: 4, Projects: 2, Images: 20}), newMailbox(t, server)
		projects := b.service.Projects()
		for name, choice := range map[string]Choice{
			"ids": {IDs: []schema.ID{projects[1].ID}}, "include": {Include: []string{"* 2"}}, "exclude": {Exclude: []string{projects[0].Name}},
			"ids and include": {IDs: []schema.ID{projects[0].ID, projects[1].ID}, Include: []string{"* 2"}},
		} {
			m.send(t, trained(b, 0, 0))
			m.send(t, trained(b, 1, 0))
			counts, err := b.listenFor(t, t.Context(), m, choice, ListenOptions{UntilIdle: true})
			if err != nil || counts[Exported]+counts[Present] != 1 || len(counts) != 1 {
				t.Errorf("%s: outcomes %v, %v", name, counts, err)
			}
			if left, poisoned := m.left(t); left != 0 || poisoned != 0 {
				t.Errorf("%s: %d messages left, %d poisoned", name, left, poisoned)
			}
		}
		compareRows(t, b, 1, 0, 0, 20)
		if held, err := load.ReadProject(t.Context(), b.store, schema.Evaluation, projects[0].ID); err != nil || len(held) > 0 {
			t.Errorf("the warehouse has %v of the project that is not wanted, %v", held, err)
		}
		// Whether one is wanted may not be known: then its message is not lost.
		b.useService(t, simulated.Config{Seed: 5, Images: 20})
		m.send(t, fmt.Sprintf(`{"type":"Training","content":{"projectId":"%s","iterationId":"%s","trainingStatus":"TrainingCompleted"}}`, projects[1].ID, projects[1].Iterations[0].ID))
		counts, err := b.listenFor(t, t.Context(), m, Choice{Include: []string{"* 2"}}, ListenOptions{UntilIdle: true, Retry: time.Hour})
		if left, _ := m.left(t); err != nil || !maps.Equal(counts, map[Outcome]int{Failed: 1}) || left != 1 {
			t.Errorf("outcomes %v, %v; %d messages left", counts, err, left)
		}
	})
	t.Run("a failed message returns, and goes to the poison queue in the end", func(t *testing.T) {
		b, m := newBench(t, simulated.Config{Iterations: 2, Images: 300}), newMailbox(t, server)
		bad := b.service.Projects()[0].Iterations[0].ID
		b.service.Fault(simulated.Fault{Kind: simulated.MissingID, Page: 1, Iteration: bad.String()})
		m.send(t, trained(b, 0, 0))
		m.send(t, "unreadable")
		m.send(t, trained(b, 0, 1))
		counts := map[Outcome]int{}
		for left := int64(1); left > 0; left, _ = m.left(t) {
			more, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true, MaxTries: 2})
			if err != nil {
				t.Fatal(err)
			}
			for o, n := range more {
				counts[o] += n
			}
		}
		if !maps.Equal(counts, map[Outcome]int{Exported: 1, Failed: 2}) {
			t.Errorf("outcomes %v", counts)
		}
		if _, poisoned := m.left(t); poisoned != 2 {
			t.Errorf("%d messages poisoned", poisoned)
		}
	})
	t.Run("an interrupt gives the message back", func(t *testing.T) {
		b, m := newBench(t, simulated.Config{Images: 300}), newMailbox(t, server)
		b.service.Fault(simulated.Fault{Kind: simulated.Slow, Page: 1, Delay: time.Hour})
		m.send(t, trained(b, 0, 0))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := b.listen(t, ctx, m, ListenOptions{})
			done <- err
		}()
		waitFor(t, "the page to be asked for", b.pageAsked(1))
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		got, err := m.Receive(t.Context(), time.Minute)
		if err != nil || got == nil || got.Tries != 2 {
			t.Errorf("the message did not come back: %+v, %v", got, err)
		}
		if len(b.snapshot(t)) != 0 {
			t.Error("the warehouse is not as it was")
		}
	})
	t.Run("a refused key ends it, and loses no message", func(t *testing.T) {
		b, m := newBench(t, simulated.Config{Images: 5}), newMailbox(t, server)
		m.send(t, trained(b, 0, 0))
		b.useService(t, simulated.Config{Images: 5, Key: "another"})
		if _, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true, MaxTries: 1}); !extract.AuthRefused(err) {
			t.Errorf("error %v", err)
		}
		if left, poisoned := m.left(t); left != 1 || poisoned != 0 {
			t.Errorf("%d messages left, %d poisoned", left, poisoned)
		}
	})
	t.Run("a missing queue is reported", func(t *testing.T) {
		b := newBench(t, simulated.Config{})
		t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString)
		q, err := notify.Open(t.Context(), "nobody-made-it", policy.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.listen(t, t.Context(), q, ListenOptions{}); err == nil || !strings.Contains(err.Error(), "make the queue") {
			t.Errorf("error %v", err)
		}
	})
}

// While its iteration is exported, a message is hidden again and again.
func TestListenKeepsTheMessageHidden(t *testing.T) {
	server := startQueues(t)
	b, m := newBench(t, simulated.Config{Images: 300}), newMailbox(t, server.Server)
	requested, release := make(chan struct{}), make(chan struct{})
	b.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/images") && r.URL.Query().Get("skip") == "0" {
			close(requested)
			<-release
		}
		b.service.ServeHTTP(w, r)
	})
	m.send(t, trained(b, 0, 0))
	done := make(chan map[Outcome]int, 1)
	go func() {
		counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true, Hidden: time.Millisecond}) // a second, for a queue
		if err != nil {
			t.Error(err)
		}
		done <- counts
	}()
	<-requested
	for range 5 {
		before := server.renewals()
		waitFor(t, "the message to be hidden again", func() bool { return server.renewals() > before })
		server.advance(900 * time.Millisecond)
		if got, err := m.Receive(t.Context(), time.Hour); err != nil || got != nil {
			t.Errorf("another receiver got %+v, %v", got, err)
		}
	}
	close(release)
	if counts := <-done; counts[Exported] != 1 {
		t.Errorf("outcomes %v", counts)
	}
}

// pageAsked reports whether a page was asked for.
func (b *bench) pageAsked(page int) func() bool {
	return func() bool {
		return slices.ContainsFunc(b.service.Requests(), func(r simulated.Request) bool { return r.Page == page })
	}
}
