package tests_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"comfygo/internal/apiclient"
)

// spanCollector is an OpenTelemetry collector that keeps the spans' names with those of their parents, and all that they tell.
type spanCollector struct {
	mu      sync.Mutex
	names   map[string]string // by span id
	parents map[string]string // parent's id by span id
	text    strings.Builder
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &sent)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range sent.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := string(span.GetSpanId())
				c.names[id], c.parents[id] = span.GetName(), string(span.GetParentSpanId())
				fmt.Fprintln(&c.text, span)
			}
		}
	}
}

// lines lists the ways from the outermost spans to each span, by their names.
func (c *spanCollector) lines() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for id, name := range c.names {
		line := name
		for up := c.parents[id]; c.names[up] != ""; up = c.parents[up] {
			line = c.names[up] + " > " + line
		}
		out[line]++
	}
	return out
}

// TestTraces runs the built-in model's workflow and follows its spans from the request to the model runtime.
func TestTraces(t *testing.T) {
	t.Parallel()
	spans := &spanCollector{names: map[string]string{}, parents: map[string]string{}}
	at := httptest.NewServer(spans)
	defer at.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := apiclient.Start(ctx, nil, program, "--port", "0", "--base-directory", t.TempDir(), "--demo-model", "--otlp-endpoint", at.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := &instance{Client: &apiclient.Client{Base: p.URL}, process: p}
	const text = "a red circle that no trace may tell of"
	result := server.run(t, demoWorkflow(t, map[string]any{"6.text": text, "3.steps": 2}))
	if f := result.Failure(); f != nil {
		t.Errorf("node %s: %s", f.NodeType, f.Message)
	}
	if err := p.Stop(30 * time.Second); err != nil {
		t.Fatalf("%v\n%s", err, p.Log())
	}
	have := spans.lines()
	for line, least := range map[string]int{
		"POST /prompt":       1,
		"POST /prompt > job": 1,
		"POST /prompt > job > node CheckpointLoaderSimple": 1,
		"POST /prompt > job > node KSampler":               1,
		"POST /prompt > job > node KSampler > load unet":   1,
		"POST /prompt > job > node KSampler > run unet":    2,
		"POST /prompt > job > node CLIPTextEncode":         2,
		"POST /prompt > job > node VAEDecode > load vae":   1,
		"POST /prompt > job > node SaveImage":              1,
		"GET /history/:prompt_id":                          1,
	} {
		if have[line] < least {
			t.Errorf("%d spans %s, want %d or more", have[line], line, least)
		}
	}
	if strings.Contains(spans.text.String(), "circle") {
		t.Error("a span tells of the prompt's text")
	}
	if t.Failed() {
		t.Logf("spans: %v", have)
	}
}
