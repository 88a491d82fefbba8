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

	"github.com/cvexport/cvexport/patience"
)

// call describes a request in the log, the same for all of its tries.
type call struct {
	attrs   []slog.Attr
	attempt int // tries so far
}

type callKey struct{}

// withCall records in ctx what a request is about: the path names operation, project
// and iteration, the query the page.
func withCall(ctx context.Context, query url.Values, path []string) context.Context {
	attrs := make([]slog.Attr, 1)
	for i, part := range path {
		switch {
		case i > 0 && path[i-1] == "projects":
			attrs = append(attrs, slog.String("project", part))
		case i > 0 && path[i-1] == "iterations":
			attrs = append(attrs, slog.String("iteration", part))
		default:
			attrs[0] = slog.String("operation", part) // the last one that is not an id
		}
	}
	if skip, err := strconv.Atoi(query.Get("skip")); err == nil {
		attrs = append(attrs, slog.Int("page", skip/stride))
	}
	return context.WithValue(ctx, callKey{}, &call{attrs: attrs})
}

// requestLog logs every try: successful ones at debug level, failed ones at info.
type requestLog struct {
	log *slog.Logger
	key string // never logged, even if an answer repeats it
}

// Do logs one try. It runs inside the retries, after the wait for the rate limit.
func (l requestLog) Do(req *policy.Request) (*http.Response, error) {
	ctx := req.Raw().Context()
	c := ctx.Value(callKey{}).(*call)
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
	attrs = append(attrs, slog.Int("status", resp.StatusCode), slog.String("request_id", requestID(resp.Header, l.key)))
	if _, text := patience.After(resp.Header); text != "" {
		attrs = append(attrs, slog.String("retry_after", clean(text, l.key)))
	}
	l.log.LogAttrs(ctx, level, message, attrs...)
	return resp, nil
}
