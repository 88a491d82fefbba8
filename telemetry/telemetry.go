// Package telemetry sends traces, with the requests of Azure's SDK, to an
// OpenTelemetry collector if the environment names one.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/tracing"
	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Enabled reports whether the environment asks for traces.
func Enabled() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")+os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Start starts to send traces over HTTP, as OpenTelemetry's environment variables say.
// If none of them names an endpoint it does nothing. stop sends the remaining spans.
func Start(ctx context.Context, version string) (stop func(context.Context) error, err error) {
	if !Enabled() {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("sending traces: %w", err)
	}
	// Later attributes override earlier ones.
	attributes, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "cvexport"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("sending traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("sending traces", "error", err) }))
	otel.SetLogger(logr.FromSlogHandler(current{}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(redacting{exporter}), sdktrace.WithResource(attributes))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

// Span starts a span, which end ends. Requests of Azure's SDK to the service and to
// Azure's storage become child spans; the SDK removes secrets from their URLs. A span
// within another one is left out.
func Span(ctx context.Context, name string, attributes ...tracing.Attribute) (_ context.Context, end func(error)) {
	if !Enabled() {
		return ctx, func(error) {}
	}
	return runtime.StartSpan(ctx, name, azure(), &runtime.StartSpanOptions{Attributes: attributes})
}

// azure adapts OpenTelemetry to Azure's SDK, whose own adapter module does not download
// everywhere.
func azure() tracing.Tracer {
	tracer := otel.Tracer("github.com/cvexport/cvexport")
	start := func(ctx context.Context, name string, o *tracing.SpanOptions) (context.Context, tracing.Span) {
		// Both packages number the kinds alike.
		ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKind(o.Kind)), trace.WithAttributes(converted(o.Attributes)...))
		return ctx, wrap(span)
	}
	return tracing.NewTracer(start, &tracing.TracerOptions{
		SpanFromContext: func(ctx context.Context) tracing.Span { return wrap(trace.SpanFromContext(ctx)) },
	})
}

func wrap(span trace.Span) tracing.Span {
	return tracing.NewSpan(tracing.SpanImpl{
		End:           func() { span.End() },
		SetAttributes: func(a ...tracing.Attribute) { span.SetAttributes(converted(a)...) },
		SetStatus: func(s tracing.SpanStatus, text string) {
			span.SetStatus(map[tracing.SpanStatus]codes.Code{tracing.SpanStatusError: codes.Error, tracing.SpanStatusOK: codes.Ok}[s], text)
		},
	})
}

func converted(attributes []tracing.Attribute) []attribute.KeyValue {
	var out []attribute.KeyValue
	for _, a := range attributes {
		if number, ok := a.Value.(int); ok { // a status; all others are texts
			out = append(out, attribute.Int(a.Key, number))
		} else {
			out = append(out, attribute.String(a.Key, fmt.Sprint(a.Value)))
		}
	}
	return out
}
