package tracing_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"comfygo/metrics/tracing"
)

// kept is an exporter that keeps the spans after its end too.
type kept struct{ *tracetest.InMemoryExporter }

func (kept) Shutdown(context.Context) error { return nil }

func TestSpansOfOneRequest(t *testing.T) {
	t.Parallel()
	memory := kept{tracetest.NewInMemoryExporter()}
	tr, err := tracing.New(t.Context(), tracing.Config{Exporter: memory, Version: "1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const theirs = "4bf92f3577b34da6a3ce929d0e0e4736"
	header := http.Header{"Traceparent": {"00-" + theirs + "-00f067aa0ba902b7-01"}}
	ctx, answered := tr.Request(t.Context(), header, "POST", "/prompt")
	carried := tr.Carry(ctx)
	answered(200)
	ctx, ended := tr.Job(t.Context(), carried, "an-id", time.Second)
	ctx, done := tr.Node(ctx, "3", "KSampler")
	tr.Network(ctx, true, "unet")(nil)
	tr.Network(ctx, false, "unet")(errors.New("the text of a prompt"))
	done(errors.New("the text of a prompt"))
	ended("error")
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	parents := map[string]string{"POST /prompt": "", "job": "POST /prompt", "node KSampler": "job", "load unet": "node KSampler", "run unet": "node KSampler"}
	spans := memory.GetSpans()
	byID := map[string]string{}
	for _, s := range spans {
		byID[s.SpanContext.SpanID().String()] = s.Name
	}
	if len(spans) != len(parents) {
		t.Errorf("%d spans, want %d", len(spans), len(parents))
	}
	for _, s := range spans {
		if got, want := byID[s.Parent.SpanID().String()], parents[s.Name]; got != want || s.SpanContext.TraceID().String() != theirs {
			t.Errorf("%s is a child of %q in the trace %s, want of %q in the client's", s.Name, got, s.SpanContext.TraceID(), want)
		}
		if bad := s.Status.Code == codes.Error; bad != (s.Name == "job" || s.Name == "run unet" || s.Name == "node KSampler") {
			t.Errorf("%s has the status %v", s.Name, s.Status)
		}
		if strings.Contains(s.Status.Description, "text") || len(s.Events) > 0 {
			t.Errorf("%s tells %q, %v", s.Name, s.Status.Description, s.Events)
		}
	}
}

var _ sdk.SpanExporter = kept{}

// TestCollector sends a span to a collector over HTTP.
func TestCollector(t *testing.T) {
	t.Parallel()
	var got atomic.Pointer[string]
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type")
		got.Store(&line)
		w.WriteHeader(http.StatusOK)
	}))
	defer collector.Close()
	tr, err := tracing.New(t.Context(), tracing.Config{Endpoint: collector.URL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	_, end := tr.Request(t.Context(), nil, "GET", "/queue")
	end(200)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if line := got.Load(); line == nil || *line != "POST /v1/traces application/x-protobuf" {
		t.Errorf("the collector has seen %v", line)
	}
	for _, wrong := range []string{"127.0.0.1:4318", "ftp://x", "http://", "%"} {
		if _, err := tracing.New(t.Context(), tracing.Config{Endpoint: wrong, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%q is taken as an address", wrong)
		}
	}
}
