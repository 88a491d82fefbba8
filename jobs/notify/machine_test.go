package notify

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/sas"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
)

const queueHost = azurite.Account + ".queue.core.windows.net"

// root is the emulator without the account, which stands in the host's name.
func root(server azurite.Server) string {
	return strings.TrimSuffix(server.QueueEndpoint, "/"+server.Account)
}

var queues atomic.Int32

// newQueue makes one in the emulator, with a message.
func newQueue(t *testing.T, server azurite.Server) string {
	t.Helper()
	name := fmt.Sprintf("queue%d", queues.Add(1))
	q := clientOf(t, server, name)
	if _, err := q.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := q.EnqueueMessage(t.Context(), completed, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

func clientOf(t *testing.T, server azurite.Server, name string) *azqueue.QueueClient {
	t.Helper()
	q, err := azqueue.NewQueueClientFromConnectionString(server.ConnectionString, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// count counts the messages, hidden ones too.
func count(t *testing.T, server azurite.Server, name string) int32 {
	t.Helper()
	p, err := clientOf(t, server, name).GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return int32(*p.ApproximateMessagesCount)
}

// accountToken signs a token of the emulator's account, for working off messages and
// for more.
func accountToken(t *testing.T, server azurite.Server, more sas.AccountPermissions) string {
	t.Helper()
	more.Add, more.Update, more.Process = true, true, true
	return signed(t, server, (&sas.AccountSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour), Permissions: more.String(),
		ResourceTypes: (&sas.AccountResourceTypes{Container: true, Object: true}).String(),
	}).SignWithSharedKey)
}

// queueToken signs a token of one queue.
func queueToken(t *testing.T, server azurite.Server, queue string) string {
	t.Helper()
	return signed(t, server, sas.QueueSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour), QueueName: queue,
		Permissions: (&sas.QueuePermissions{Add: true, Update: true, Process: true}).String(),
	}.SignWithSharedKey)
}

func signed(t *testing.T, server azurite.Server, sign func(*azqueue.SharedKeyCredential) (sas.QueryParameters, error)) string {
	t.Helper()
	credential, err := azqueue.NewSharedKeyCredential(server.Account, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	query, err := sign(credential)
	if err != nil {
		t.Fatal(err)
	}
	return query.Encode()
}

// works uses a queue in every way.
func works(t *testing.T, server azurite.Server, q *Queue, name string) {
	t.Helper()
	receive := func() *Message {
		m, err := q.Receive(t.Context(), time.Minute)
		if err != nil || m == nil || m.Text != completed {
			t.Fatalf("received %+v, %v", m, err)
		}
		return m
	}
	if err := receive().Hide(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	m := receive()
	if err := errors.Join(m.Poison(t.Context()), m.Delete(t.Context())); err != nil {
		t.Fatal(err)
	}
	if left, poisoned := count(t, server, name), count(t, server, name+poison); left != 0 || poisoned != 1 {
		t.Errorf("%d messages left, %d poisoned", left, poisoned)
	}
}

// signing stands in front of the emulator, which knows no identities.
func signing(t *testing.T, server azurite.Server, token string) string {
	return logintest.Signing(t, root(server), accountToken(t, server, sas.AccountPermissions{Create: true}), token)
}
