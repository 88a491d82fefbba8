package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/cvexport/cvexport/secret"
)

// redacting exports spans without secrets, whoever has made them.
type redacting struct{ sdktrace.SpanExporter }

func (r redacting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	redacted := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		redacted[i] = span{s}
	}
	return r.SpanExporter.ExportSpans(ctx, redacted)
}

// span is a span without secrets in its texts.
type span struct{ sdktrace.ReadOnlySpan }

func (s span) Name() string { return secret.Redact(s.ReadOnlySpan.Name()) }

func (s span) Attributes() []attribute.KeyValue { return without(s.ReadOnlySpan.Attributes()) }

func (s span) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Name, events[i].Attributes = secret.Redact(events[i].Name), without(events[i].Attributes)
	}
	return events
}

func (s span) Links() []sdktrace.Link {
	links := slices.Clone(s.ReadOnlySpan.Links())
	for i := range links {
		links[i].Attributes = without(links[i].Attributes)
	}
	return links
}

func (s span) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = secret.Redact(status.Description)
	return status
}

// Resource has what OTEL_RESOURCE_ATTRIBUTES says.
func (s span) Resource() *resource.Resource {
	r := s.ReadOnlySpan.Resource()
	return resource.NewWithAttributes(r.SchemaURL(), without(r.Attributes())...)
}

func without(attributes []attribute.KeyValue) []attribute.KeyValue {
	attributes = slices.Clone(attributes)
	for i, a := range attributes {
		switch a.Value.Type() {
		case attribute.STRING:
			attributes[i].Value = attribute.StringValue(secret.Redact(a.Value.AsString()))
		case attribute.STRINGSLICE:
			texts := a.Value.AsStringSlice()
			for n := range texts {
				texts[n] = secret.Redact(texts[n])
			}
			attributes[i].Value = attribute.StringSliceValue(texts)
		}
	}
	return attributes
}

// current is the handler of slog's default log at the time of each record.
type current struct{}

func (current) Enabled(ctx context.Context, level slog.Level) bool {
	return slog.Default().Enabled(ctx, level)
}

func (current) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

func (c current) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c current) WithGroup(string) slog.Handler      { return c }
