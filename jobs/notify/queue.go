package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/patience"
)

// ErrLost means that a message is no longer this receiver's: its time was up, and
// another receiver has it.
var ErrLost = errors.New("another receiver has the message")

// Queue is an Azure storage queue, and the queue beside it, named with -poison at
// the end, for messages that cannot be worked off.
type Queue struct {
	client, poison *azqueue.QueueClient
	name           string
	patience       *patience.Patience
}

// Open opens the queue at https://account.queue.core.windows.net/queue, or the one
// of that name in the account that the environment names. An identity logs in at once;
// if that is refused, the error wraps [azurelogin.ErrLogin]. A login that nobody answers is not an
// error yet: Receive returns it. A token in the address is refused, because command lines
// are no place for secrets.
func Open(ctx context.Context, address string, options policy.ClientOptions) (*Queue, error) {
	host, name := "", address
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("queue: want https://account.queue.core.windows.net/queue, or the queue's name")
		}
		if u.RawQuery+u.Fragment != "" {
			return nil, errors.New("queue: the address has a token in it, which everybody can read on a command line: set AZURE_STORAGE_SAS_TOKEN")
		}
		host, name = u.Host, strings.Trim(u.Path, "/")
	}
	if name == "" || strings.ContainsAny(name, "/?#") {
		return nil, fmt.Errorf("queue: %q is not the name of a queue", name)
	}
	q := &Queue{name: name, patience: patience.New(patience.From(ctx))}
	options.Transport = azurelogin.Transport(q.patience, options.Transport)
	a, err := azurelogin.Open(ctx, host, "queue", "https://ACCOUNT.queue.core.windows.net/queue", options)
	if err == nil {
		q.client, err = newClient(a, name, options)
	}
	if err == nil {
		q.poison, err = newClient(a, name+poison, options)
	}
	if err != nil {
		return nil, failed("opening", name, err, "")
	}
	return q, nil
}

const poison = "-poison"

// newClient opens a queue of the account.
func newClient(a *azurelogin.Account, name string, tuned policy.ClientOptions) (client *azqueue.QueueClient, err error) {
	options := &azqueue.ClientOptions{ClientOptions: tuned} // a new one each time: the SDK adds to it
	options.Retry = policy.RetryOptions{MaxRetries: -1}     // patience retries
	switch {
	case a.Connection != "":
		client, err = azqueue.NewQueueClientFromConnectionString(a.Connection, name, options)
	case a.Key != "":
		var key *azqueue.SharedKeyCredential
		if key, err = azqueue.NewSharedKeyCredential(a.Name, a.Key); err == nil {
			client, err = azqueue.NewQueueClientWithSharedKeyCredential(a.URL(name), key, options)
		}
	case a.Token != "":
		client, err = azqueue.NewQueueClientWithNoCredential(a.URL(name), options)
	default:
		client, err = azqueue.NewQueueClient(a.URL(name), a.Identity, options)
	}
	address := ""
	if err == nil {
		address = client.URL()
	}
	_, err = a.Check(address, err)
	return client, err
}

// Message is one message that this receiver has for a while.
type Message struct {
	ID    string
	Text  string
	Tries int // how often it was received, this time too

	queue *Queue
	mu    sync.Mutex // the receipt changes with every extension
	pop   string
}

// Receive returns the next message and keeps it from others for a time; nil if
// there is none now.
func (q *Queue) Receive(ctx context.Context, hidden time.Duration) (*Message, error) {
	var resp azqueue.DequeueMessagesResponse
	err := q.patience.Do(ctx, func(ctx context.Context) (err error) {
		resp, err = q.client.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: wholeSeconds(hidden)})
		return err
	})
	if err != nil {
		return nil, q.failed("receiving", err)
	}
	if len(resp.Messages) == 0 {
		return nil, nil
	}
	m := resp.Messages[0]
	if m.MessageID == nil || m.PopReceipt == nil || m.MessageText == nil || m.DequeueCount == nil {
		return nil, fmt.Errorf("receiving from queue %s: the message lacks its id, receipt, text or count", q.name)
	}
	return &Message{ID: *m.MessageID, Text: *m.MessageText, Tries: int(*m.DequeueCount), queue: q, pop: *m.PopReceipt}, nil
}

// Hide keeps the message from others for a time from now; zero gives it back. The
// error wraps ErrLost if another receiver has it.
func (m *Message) Hide(ctx context.Context, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var resp azqueue.UpdateMessageResponse
	err := m.queue.patience.Do(ctx, func(ctx context.Context) (err error) {
		resp, err = m.queue.client.UpdateMessage(ctx, m.ID, m.pop, m.Text, &azqueue.UpdateMessageOptions{VisibilityTimeout: wholeSeconds(d)})
		return err
	})
	if err != nil {
		return m.queue.failed("keeping message "+m.ID, err)
	}
	if resp.PopReceipt != nil {
		m.pop = *resp.PopReceipt
	}
	return nil
}

// Delete takes the message out of the queue. The error wraps ErrLost if another
// receiver has it.
func (m *Message) Delete(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	tries := 0
	err := m.queue.patience.Do(ctx, func(ctx context.Context) error {
		_, err := m.queue.client.DeleteMessage(ctx, m.ID, m.pop, nil)
		if tries++; tries > 1 && queueerror.HasCode(err, queueerror.MessageNotFound) {
			err = nil // a try before did it, and its answer was lost
		}
		return err
	})
	if err != nil {
		return m.queue.failed("deleting message "+m.ID, err)
	}
	return nil
}

// Poison puts a copy of the message into the poison queue, which it makes if there
// is none: a token may be good for both queues, and for making none. The message is
// deleted after it: twice is better than not at all.
func (m *Message) Poison(ctx context.Context) error {
	forever := int32(-1)
	put := func(ctx context.Context) error {
		_, err := m.queue.poison.EnqueueMessage(ctx, m.Text, &azqueue.EnqueueMessageOptions{TimeToLive: &forever})
		return err
	}
	err := m.queue.patience.Do(ctx, func(ctx context.Context) error {
		err := put(ctx)
		if queueerror.HasCode(err, queueerror.QueueNotFound) {
			if _, err = m.queue.poison.Create(ctx, nil); err == nil || queueerror.HasCode(err, queueerror.QueueAlreadyExists) {
				err = put(ctx)
			}
		}
		return err
	})
	if err == nil {
		return nil
	}
	name, hint := m.queue.name+poison, ""
	if refused(err) {
		hint = "; make that queue, and let the credentials in use add messages to it"
	}
	return failed("putting message "+m.ID+" into", name, err, hint)
}

func wholeSeconds(d time.Duration) *int32 {
	s := int32((d + time.Second - 1) / time.Second)
	return &s
}

func refused(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && (answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized)
}

// failed says what the user can do where there is something.
func (q *Queue) failed(doing string, err error) error {
	hint := ""
	switch {
	case queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch):
		err = ErrLost
	case queueerror.HasCode(err, queueerror.QueueNotFound):
		hint = "; make the queue, or check --queue"
	case refused(err):
		hint = "; grant the credentials in use the role Storage Queue Data Contributor on the queue"
	case azurelogin.IsCertificate(err):
		hint = "; check --queue or, if a proxy on the way looks into the traffic, name its certificate in SSL_CERT_FILE"
	}
	return failed(doing, q.name, err, hint)
}

// queryOfURL is where a shared access signature stands.
var queryOfURL = regexp.MustCompile(`\?[^\s"'<>]+`)

// failed returns an error whose text is short and without secrets.
func failed(doing, queue string, err error, hint string) error {
	text := err.Error()
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok { // its own text is a page long
		text = fmt.Sprintf("the service answered %d %s", answer.StatusCode, answer.ErrorCode)
	}
	text = fmt.Sprintf("%s queue %s: %s%s", doing, queue, text, hint)
	return &queueError{queryOfURL.ReplaceAllString(text, "?REDACTED"), err}
}

type queueError struct {
	text string
	err  error
}

func (e *queueError) Error() string { return e.text }
func (e *queueError) Unwrap() error { return e.err }
