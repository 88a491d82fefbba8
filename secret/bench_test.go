package secret

import (
	"strings"
	"testing"
)

// BenchmarkRedact: a log line, and a report of a night over many iterations.
func BenchmarkRedact(b *testing.B) {
	Add(theSecret)
	line := `time=2026-01-02T03:04:05.678Z level=INFO msg="a request was answered" resource=westeurope.api.cognitive.microsoft.com operation=images project=aaaaaaaa-0000-0000-0000-000000000000 iteration=bbbbbbbb-0000-0000-0000-000000000000 page=3 attempt=1 duration=123ms status=200` + "\n"
	for name, text := range map[string]string{"line": line, "MB": strings.Repeat(line, 1<<20/len(line))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Redact(text)
			}
		})
	}
}
