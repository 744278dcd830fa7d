// Package tracing sends spans to an OpenTelemetry collector: requests, the jobs that they queue, the nodes of the jobs, and what the model
// runtime does for the nodes.
//
// It is made only when tracing is on; a nil *Tracer records nothing. Spans hold ids, class names and the router's patterns,
// never what a client has written into a prompt. The package must not know queues, nodes, models or the server.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config configures the export of spans.
type Config struct {
	// Endpoint is the collector's address for OTLP over HTTP, such as http://127.0.0.1:4318; without a path, /v1/traces is added. If it is "",
	// OpenTelemetry's environment variables decide.
	Endpoint string
	// Exporter replaces the one that sends to the endpoint.
	Exporter sdk.SpanExporter
	// Version is the program's.
	Version string
	// Log records failures to send spans; it must not be nil.
	Log *slog.Logger
}

// Tracer makes spans. Its methods may be called from any goroutine.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	carrier  propagation.TraceContext
}

// New makes a tracer. The collector need not be there yet. OTEL_TRACES_SAMPLER decides how many traces are kept: by default all of them.
func New(ctx context.Context, c Config) (*Tracer, error) {
	exporter := c.Exporter
	if exporter == nil {
		options, err := endpoint(c.Endpoint)
		if err != nil {
			return nil, err
		}
		if exporter, err = otlptracehttp.New(ctx, options...); err != nil {
			return nil, fmt.Errorf("preparing to send traces: %w", err)
		}
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "comfygo"), attribute.String("service.version", c.Version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describing the program for traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Log.Warn("sending traces", "error", err) }))
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracer{provider: p, tracer: p.Tracer("comfygo")}, nil
}

func endpoint(text string) ([]otlptracehttp.Option, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("sending traces to %q: it is no address such as http://127.0.0.1:4318", text)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(u.String())}, nil
}

// flushTime is the time that the export of the last spans may take.
const flushTime = 3 * time.Second

// Close sends the remaining spans, for a few seconds at most.
func (t *Tracer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last traces: %w", err)
	}
	return nil
}

// Request begins the span of a request, which may be part of the client's own trace. route is the router's pattern. end must be called with
// the status of the answer.
func (t *Tracer) Request(ctx context.Context, header http.Header, method, route string) (_ context.Context, end func(status int)) {
	ctx = t.carrier.Extract(ctx, propagation.HeaderCarrier(header))
	ctx, span := t.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route)))
	return ctx, func(status int) {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Carry returns the text that makes a later span a child of the one in ctx, or "".
func (t *Tracer) Carry(ctx context.Context) string {
	c := propagation.MapCarrier{}
	t.carrier.Inject(ctx, c)
	return c["traceparent"]
}

// Job begins the span of a job. parent is the result of Carry when it was queued. end must be called with the outcome of the job.
func (t *Tracer) Job(ctx context.Context, parent, id string, waited time.Duration) (_ context.Context, end func(outcome string)) {
	ctx = t.carrier.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	ctx, span := t.tracer.Start(ctx, "job", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("comfygo.prompt_id", id), attribute.Float64("comfygo.wait_seconds", waited.Seconds())))
	return ctx, func(outcome string) {
		span.SetAttributes(attribute.String("comfygo.outcome", outcome))
		if outcome != "success" {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}

// Node begins the span of a node's work.
func (t *Tracer) Node(ctx context.Context, id, class string) (_ context.Context, end func(error)) {
	ctx, span := t.tracer.Start(ctx, "node "+class,
		trace.WithAttributes(attribute.String("comfygo.node_id", id), attribute.String("comfygo.class", class)))
	return ctx, func(err error) { finish(span, err) }
}

// Network begins the span of a network that is loaded or run.
func (t *Tracer) Network(ctx context.Context, loading bool, network string) (end func(error)) {
	name := "run "
	if loading {
		name = "load "
	}
	_, span := t.tracer.Start(ctx, name+network, trace.WithAttributes(attribute.String("comfygo.network", network)))
	return func(err error) { finish(span, err) }
}

// finish ends a span. An error's message may contain text from a client, so only the fact of an error is recorded.
func finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
