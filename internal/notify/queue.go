package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
)

// ErrLost is that a message is no longer this receiver's: its time was up, and
// another has it.
var ErrLost = errors.New("another receiver has the message")

// Queue is an Azure storage queue, and the queue beside it, named with -poison at
// the end, for messages that cannot be worked off.
type Queue struct {
	client, poison *azqueue.QueueClient
	name           string
}

// Open opens the queue at https://account.queue.core.windows.net/queue, or the one
// of that name in the account that the environment names. It talks to nobody yet.
// A token in the address is refused: command lines are no place for secrets.
func Open(address string, options policy.ClientOptions) (*Queue, error) {
	host, name := "", address
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("queue: want https://account.queue.core.windows.net/queue, or the queue's name")
		}
		if u.RawQuery != "" {
			return nil, errors.New("queue: the address has a token in it, which everybody can read on a command line: set AZURE_STORAGE_SAS_TOKEN")
		}
		host, name = u.Host, strings.Trim(u.Path, "/")
	}
	if name == "" || strings.ContainsAny(name, "/?#") {
		return nil, fmt.Errorf("queue: %q is not the name of a queue", name)
	}
	q := &Queue{name: name}
	var err error
	if q.client, err = connect(host, name, options); err != nil {
		return nil, redact(fmt.Errorf("queue %s: %w", name, err))
	}
	if q.poison, err = connect(host, name+"-poison", options); err != nil {
		return nil, redact(fmt.Errorf("queue %s-poison: %w", name, err))
	}
	return q, nil
}

// connect takes the credentials that there are, in the order in which other tools
// look for them.
func connect(host, name string, client policy.ClientOptions) (*azqueue.QueueClient, error) {
	options := &azqueue.ClientOptions{ClientOptions: client}
	if connection := os.Getenv("AZURE_STORAGE_CONNECTION_STRING"); connection != "" && host == "" {
		c, err := azqueue.NewQueueClientFromConnectionString(connection, name, options)
		if err != nil {
			return nil, errors.New("AZURE_STORAGE_CONNECTION_STRING is not a connection string")
		}
		return c, nil
	}
	account, _, _ := strings.Cut(host, ".")
	if host == "" {
		if account = os.Getenv("AZURE_STORAGE_ACCOUNT"); account == "" {
			return nil, errors.New("no storage account: set AZURE_STORAGE_ACCOUNT, or give https://account.queue.core.windows.net/queue")
		}
		host = account + ".queue.core.windows.net"
	}
	address := "https://" + host + "/" + name
	if key := os.Getenv("AZURE_STORAGE_KEY"); key != "" {
		credential, err := azqueue.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, errors.New("AZURE_STORAGE_KEY is not a storage key")
		}
		return azqueue.NewQueueClientWithSharedKeyCredential(address, credential, options)
	}
	if token := strings.TrimPrefix(os.Getenv("AZURE_STORAGE_SAS_TOKEN"), "?"); token != "" {
		return azqueue.NewQueueClientWithNoCredential(address+"?"+token, options)
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("%w; log in with az login, or set AZURE_STORAGE_KEY", err)
	}
	return azqueue.NewQueueClient(address, credential, options)
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
	resp, err := q.client.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: wholeSeconds(hidden)})
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
	resp, err := m.queue.client.UpdateMessage(ctx, m.ID, m.pop, m.Text, &azqueue.UpdateMessageOptions{VisibilityTimeout: wholeSeconds(d)})
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
	if _, err := m.queue.client.DeleteMessage(ctx, m.ID, m.pop, nil); err != nil {
		return m.queue.failed("deleting message "+m.ID, err)
	}
	return nil
}

// Poison moves the message to the poison queue, which it makes if there is none.
// It is put there before it is deleted here: twice is better than not at all.
func (m *Message) Poison(ctx context.Context) error {
	if _, err := m.queue.poison.Create(ctx, nil); err != nil && !queueerror.HasCode(err, queueerror.QueueAlreadyExists) {
		return m.queue.failed("making the poison queue for", err)
	}
	forever := int32(-1)
	if _, err := m.queue.poison.EnqueueMessage(ctx, m.Text, &azqueue.EnqueueMessageOptions{TimeToLive: &forever}); err != nil {
		return m.queue.failed("moving message "+m.ID+" to the poison queue of", err)
	}
	return m.Delete(ctx)
}

func wholeSeconds(d time.Duration) *int32 {
	s := int32((d + time.Second - 1) / time.Second)
	return &s
}

// MayPass reports whether a failure may be over soon: no answer, or one of a
// service in trouble.
func MayPass(err error) bool {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		return true
	}
	return answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
}

// failed names the queue, and says what the user can do where there is something.
func (q *Queue) failed(doing string, err error) error {
	hint := ""
	var answer *azcore.ResponseError
	errors.As(err, &answer)
	switch {
	case queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch):
		err, answer = ErrLost, nil
	case queueerror.HasCode(err, queueerror.QueueNotFound):
		hint = "; make the queue, or check --queue"
	case answer != nil && (answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized):
		hint = "; grant the credentials in use the role Storage Queue Data Contributor on the queue"
	}
	if answer != nil { // its own text is a page long
		return fmt.Errorf("%s queue %s: %w%s", doing, q.name, &answerError{answer}, hint)
	}
	return redact(fmt.Errorf("%s queue %s: %w%s", doing, q.name, err, hint))
}

// answerError is an answer of the service in one line.
type answerError struct{ *azcore.ResponseError }

func (e *answerError) Error() string {
	return fmt.Sprintf("the service answered %d %s", e.StatusCode, e.ErrorCode)
}

func (e *answerError) Unwrap() error { return e.ResponseError }
