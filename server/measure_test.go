package server_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/executor"
	"comfygo/metrics"
	"comfygo/nodes"
	"comfygo/server"
)

// stepper is a node that samples in nothing but name: three steps.
type stepper struct {
	Seed int64 `in:"seed" default:"0"`
}

func (*stepper) Spec() nodes.Spec {
	return nodes.Spec{Name: "Stepper", Category: "model/sampling", Outputs: nodes.Outputs("INT")}
}

func (n *stepper) Run(ctx *nodes.Context) (nodes.Result, error) {
	for i := range 3 {
		time.Sleep(2 * time.Millisecond)
		ctx.Progress(float64(i+1), 3)
	}
	return nodes.Out(n.Seed), nil
}

// withStepper gives the server that node beside the usual ones, and figures of an engine.
func withStepper(t *testing.T) func(*server.Config) {
	return func(cfg *server.Config) {
		registry, err := cfg.Executor.Registry().With(&stepper{})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: cfg.Folders}})
		cfg.Models = func() metrics.Models { return metrics.Models{Ready: 2, Bytes: 3, Loads: 5, Reuses: 4, Evictions: 1} }
	}
}

// TestMetrics runs prompts of each outcome and reads every family of figures afterwards.
func TestMetrics(t *testing.T) {
	t.Parallel()
	r := start(t, withStepper(t))
	const sampling = `{"prompt": {"1": {"class_type": "Stepper", "inputs": {"seed": 7}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`
	for range 2 { // the second time from the cache
		r.expect("POST", "/prompt?wait=20", sampling, 200, `"finished": true`)
	}
	r.expect("POST", "/prompt", endless(idA), 200, "")
	r.until("the job to run", func() bool {
		return strings.Contains(r.do("GET", "/metrics", "").body, `comfygo_queue_jobs{state="running"} 1`)
	})
	r.expect("POST", "/api/interrupt", `{}`, 200, "")
	r.until("its end", func() bool {
		return strings.Contains(r.do("GET", "/metrics", "").body, `comfygo_queue_jobs{state="finished"} 3`)
	})
	r.do("GET", "/history/"+idA, "")
	r.do("GET", "/a secret that nobody may see", "")
	have := r.do("GET", "/metrics", "")
	if have.status != 200 || !strings.HasPrefix(have.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v", have.status, have.header)
	}
	for _, family := range []string{
		`comfygo_build_info\{.*version="test".*\} 1`,
		`comfygo_queue_jobs\{state="pending"\} 0`,
		`comfygo_queue_paused 0`,
		`comfygo_queue_writable 1`,
		`comfygo_queue_wait_seconds_count 3`,
		`comfygo_job_run_seconds_count\{outcome="success"\} 2`,
		`comfygo_job_run_seconds_count\{outcome="interrupted"\} 1`,
		`comfygo_job_run_seconds_count\{outcome="error"\} 0`,
		`comfygo_nodes_total\{result="run"\} 2`,
		`comfygo_nodes_total\{result="cached"\} 2`,
		`comfygo_sampler_steps_total 3`,
		`comfygo_sampler_steps_per_second [1-9]`,
		`comfygo_models_ready 2`,
		`comfygo_models_weight_bytes 3`,
		`comfygo_model_loads_total 5`,
		`comfygo_model_reuses_total 4`,
		`comfygo_model_evictions_total 1`,
		`comfygo_device_memory_bytes\{device="cpu",kind="free"\} \d`,
		`comfygo_device_memory_bytes\{device="ram",kind="total"\} \d`,
		`comfygo_websocket_clients 0`,
		`comfygo_websocket_messages_total 0`,
		`comfygo_websocket_bytes_total 0`,
		`comfygo_websocket_cut_off_total 0`,
		`comfygo_http_request_seconds_count\{method="POST",route="/prompt",status="200"\} 3`,
		`comfygo_http_request_seconds_count\{method="POST",route="/interrupt",status="200"\} 1`,
		`comfygo_http_request_seconds_count\{method="GET",route="/history/:prompt_id",status="200"\} 1`,
		`comfygo_http_request_seconds_bucket\{method="GET",route="/metrics",status="200",le="\+Inf"\} \d`,
		`go_goroutines \d`,
	} {
		if !regexp.MustCompile(`(?m)^` + family).MatchString(have.body) {
			t.Errorf("there is no line %s", family)
		}
	}
	if strings.Contains(have.body, "secret") || strings.Contains(have.body, idA) {
		t.Error("the figures hold what a client has written")
	}
	if t.Failed() {
		t.Log(have.body)
	}
}

// spans are the server's spans of requests and jobs.
type spans struct {
	mu   sync.Mutex
	seen []string
}

type spanKey struct{}

func (s *spans) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, text)
}

func (s *spans) Request(ctx context.Context, _ http.Header, method, route string) (context.Context, func(int)) {
	return context.WithValue(ctx, spanKey{}, method+" "+route), func(status int) {
		if route == "/prompt" {
			s.note(http.StatusText(status))
		}
	}
}

func (s *spans) Carry(ctx context.Context) string {
	text, _ := ctx.Value(spanKey{}).(string)
	return text
}

func (s *spans) Job(ctx context.Context, parent, id string, waited time.Duration) (context.Context, func(string)) {
	return ctx, func(outcome string) {
		if waited < 0 || waited > time.Minute || id == "" {
			s.note("a job with wrong figures")
		}
		s.note("job of " + parent + ": " + outcome)
	}
}

func TestTracesFollowTheJob(t *testing.T) {
	t.Parallel()
	var told spans
	r := start(t, func(cfg *server.Config) { cfg.Traces = &told })
	r.expect("POST", "/api/prompt?wait=20", simple(`{}`), 200, `"finished": true`)
	r.stop()
	if got := strings.Join(told.seen, ", "); got != "job of POST /prompt: success, OK" {
		t.Errorf("told: %s", got)
	}
}
