package extract

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/cvexport/cvexport/schema"
)

// Time is a time of the service, to the microsecond; see [schema.ParseTime]. In an answer,
// one that cannot be read is nil.
type Time struct {
	time.Time
	unread string // as it was written; empty if it was read
}

// UnmarshalJSON reads a time with or without a zone. It hides the method of time.Time,
// which takes none without. What it cannot read is no error: the client leaves it out.
func (t *Time) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		if micros, err := schema.ParseTime(text); err == nil {
			*t = Time{Time: time.UnixMicro(micros).UTC()}
			return nil
		}
	}
	*t = Time{unread: string(b)}
	return nil
}

// dropUnread makes the times nil that could not be read.
func (i *Iteration) dropUnread(told func(field, text string)) {
	for _, t := range []struct {
		field string
		value **Time
	}{{"created", &i.Created}, {"lastModified", &i.LastModified}, {"trainedAt", &i.TrainedAt}} {
		if at := *t.value; at != nil && at.unread != "" {
			told(t.field, at.unread)
			*t.value = nil
		}
	}
}

// maxTold limits what tellUnread remembers: a service may have any number of odd texts.
const maxTold = 1000

// tellUnread warns of a time that cannot be read, once for each iteration, field and text.
func (c *Client) tellUnread(ctx context.Context, project, iteration schema.ID, field, text string) {
	const maxText = 60
	text = clean(text, c.key)
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "..."
	}
	c.toldMu.Lock()
	defer c.toldMu.Unlock()
	key := told{iteration, field, text}
	if c.told[key] || len(c.told) >= maxTold {
		return
	}
	if c.told == nil {
		c.told = map[told]bool{}
	}
	c.told[key] = true
	c.log.LogAttrs(ctx, slog.LevelWarn, "a time of the service cannot be read and is null; want 2020-02-11T16:43:08.98791, with or without a zone",
		slog.String("project", project.String()), slog.String("iteration", iteration.String()), slog.String("field", field), slog.String("text", text))
}

type told struct {
	iteration   schema.ID
	field, text string
}
