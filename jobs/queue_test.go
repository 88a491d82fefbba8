package jobs

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/azurite"
)

// queueService speaks the part of the protocol of Azure's queues that listeners use.
// Its clock stands still unless a test advances it.
type queueService struct {
	azurite.Server
	mu      sync.Mutex
	now     time.Time
	queues  map[string][]*queued
	next    int // message ids and receipts
	renewed int // messages hidden for longer
}

type queued struct {
	MessageId, PopReceipt, MessageText             string
	DequeueCount                                   int
	InsertionTime, ExpirationTime, TimeNextVisible string
	visible                                        time.Time
}

func startQueues(t *testing.T) *queueService {
	t.Helper()
	s := &queueService{now: time.Now(), queues: map[string][]*queued{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	address := server.URL + "/" + azurite.Account
	s.Server = azurite.Server{Account: azurite.Account, Key: azurite.Key, BlobEndpoint: address, QueueEndpoint: address,
		ConnectionString: azurite.ConnectionString(address, address)}
	return s
}

func (s *queueService) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *queueService) renewals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

func (s *queueService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")[1:] // without the account
	name := parts[0]
	messages, exists := s.queues[name]
	fail := func(status int, code string) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
	seconds, _ := strconv.Atoi(r.URL.Query().Get("visibilitytimeout"))
	visible := s.now.Add(time.Duration(seconds) * time.Second)
	switch call := fmt.Sprint(r.Method, " ", len(parts)); {
	case call == "PUT 1":
		s.queues[name] = messages
		w.WriteHeader(http.StatusCreated)
	case !exists:
		fail(http.StatusNotFound, "QueueNotFound")
	case call == "GET 1":
		w.Header().Set("x-ms-approximate-messages-count", strconv.Itoa(len(messages)))
	case call == "POST 2":
		m := &queued{}
		if err := xml.Unmarshal(body, m); err != nil {
			fail(http.StatusBadRequest, "InvalidXmlDocument")
			return
		}
		m.InsertionTime, m.ExpirationTime = s.now.UTC().Format(http.TimeFormat), s.now.AddDate(0, 0, 7).UTC().Format(http.TimeFormat)
		s.hide(m, s.now)
		m.MessageId = m.PopReceipt
		s.queues[name] = append(messages, m)
		w.WriteHeader(http.StatusCreated)
		writeMessages(w, m)
	case call == "GET 2":
		i := slices.IndexFunc(messages, func(m *queued) bool { return !m.visible.After(s.now) })
		if i < 0 {
			writeMessages(w)
			return
		}
		m := messages[i]
		m.DequeueCount++
		s.hide(m, visible)
		writeMessages(w, m)
	default: // of one message
		i := slices.IndexFunc(messages, func(m *queued) bool { return m.MessageId == parts[2] })
		switch {
		case i < 0:
			fail(http.StatusNotFound, "MessageNotFound")
			return
		case messages[i].PopReceipt != r.URL.Query().Get("popreceipt"):
			fail(http.StatusBadRequest, "PopReceiptMismatch")
			return
		case r.Method == http.MethodDelete:
			s.queues[name] = slices.Delete(messages, i, i+1)
		default:
			s.renewed++
			s.hide(messages[i], visible)
			w.Header().Set("x-ms-popreceipt", messages[i].PopReceipt)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// hide gives a message a new receipt, the only one that is valid from now on.
func (s *queueService) hide(m *queued, until time.Time) {
	s.next++
	m.PopReceipt, m.visible, m.TimeNextVisible = strconv.Itoa(s.next), until, until.UTC().Format(http.TimeFormat)
}

func writeMessages(w io.Writer, messages ...*queued) {
	xml.NewEncoder(w).Encode(struct {
		XMLName      xml.Name `xml:"QueueMessagesList"`
		QueueMessage []*queued
	}{QueueMessage: messages})
}
