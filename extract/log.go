package extract

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// call is what the log says of a request, whichever try it is.
type call struct {
	attrs   []slog.Attr
	attempt int // tries so far
}

type callKey struct{}

// withCall notes what a request is about: its path names project and iteration,
// its query the page.
func withCall(ctx context.Context, query url.Values, path []string) context.Context {
	c := &call{attrs: []slog.Attr{slog.String("operation", operation(path))}}
	for i, part := range path[:len(path)-1] {
		switch part {
		case "projects":
			c.attrs = append(c.attrs, slog.String("project", path[i+1]))
		case "iterations":
			c.attrs = append(c.attrs, slog.String("iteration", path[i+1]))
		}
	}
	if skip, err := strconv.Atoi(query.Get("skip")); err == nil {
		c.attrs = append(c.attrs, slog.Int("page", skip/stride))
	}
	return context.WithValue(ctx, callKey{}, c)
}

// operation is the last word of a path that is no id.
func operation(path []string) string {
	last := len(path) - 1
	if last > 0 && (path[last-1] == "projects" || path[last-1] == "iterations") {
		last--
	}
	return path[last]
}

// requestLog logs every try: those that succeed for who looks closely, the
// others for everyone.
type requestLog struct {
	log *slog.Logger
	key string // which a stranger's words could repeat
}

// Do sends the request on. It is inside of the retries and of the wait for a turn.
func (l requestLog) Do(req *policy.Request) (*http.Response, error) {
	ctx := req.Raw().Context()
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return req.Next()
	}
	c.attempt++
	started := time.Now()
	resp, err := req.Next()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return resp, err // an interrupt
	}
	attrs := append(c.attrs[:len(c.attrs):len(c.attrs)], slog.Int("attempt", c.attempt), slog.Duration("duration", time.Since(started)))
	if err != nil {
		l.log.LogAttrs(ctx, slog.LevelInfo, "a request failed", append(attrs, slog.String("error", clean(err.Error(), l.key)))...)
		return resp, err
	}
	level, message := slog.LevelDebug, "a request was answered"
	if resp.StatusCode >= http.StatusBadRequest {
		level, message = slog.LevelInfo, "a request failed"
	}
	l.log.LogAttrs(ctx, level, message, append(attrs, slog.Int("status", resp.StatusCode), slog.String("request_id", requestID(resp.Header, l.key)))...)
	return resp, nil
}
