package ping

import (
	"strings"
	"sync"
)

// healthchecks.io keeps the first 100,000 bytes of a message. Of a longer summary its
// beginning is kept and its end, which says what is missing.
const (
	maxBody = 100_000
	maxHead = 60_000
	maxTail = maxBody - maxHead - len(omitted)
	omitted = "\n[...]\n"
)

// summary keeps the two ends of what is written to it. It is safe for concurrent use.
type summary struct {
	mu         sync.Mutex
	head, tail []byte
}

// Write never fails.
func (s *summary) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(p), maxBody-len(s.head))
	s.head = append(s.head, p[:n]...)
	s.tail = append(s.tail, p[n:]...)
	if over := len(s.tail) - maxBody; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	return len(p), nil
}

// text is what was written, or so much of its two ends that [cut] leaves the same of both.
func (s *summary) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.head) + string(s.tail)
}

// cut shortens a text to what a monitor keeps.
func cut(text string) string {
	if len(text) > maxBody {
		text = text[:maxHead] + omitted + text[len(text)-maxTail:]
	}
	return strings.ToValidUTF8(text, "")
}
