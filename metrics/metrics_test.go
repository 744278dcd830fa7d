package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"comfygo/metrics"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d, %v: %s", w.Code, err, text)
	}
	return string(text)
}

func TestFigures(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2", metrics.Sources{
		Queue: func() metrics.Queue { return metrics.Queue{Running: 1, Pending: 2, History: 3, Writable: true} },
		Models: func() metrics.Models {
			return metrics.Models{Ready: 4, Bytes: 5, Loads: 6, Reuses: 7, Evictions: 8, Devices: []metrics.DeviceModels{{"cuda:0", 2, 30, 40, 50}}}
		},
		Memory:  func() []metrics.Memory { return []metrics.Memory{{"cpu", 10, 9}, {"cpu", 1, 1}, {"cuda:0", 20, 19}} },
		Sockets: func() metrics.Sockets { return metrics.Sockets{Open: 11, Messages: 12, Bytes: 13, CutOff: 14} },
		Workers: func() []metrics.Worker {
			return []metrics.Worker{{ID: "x1", Name: "host-1", Device: "cuda", Busy: true, VRAMTotal: 30, VRAMFree: 20, Models: 2, Finished: 5, Silent: 0.5}, {ID: "x2", Silent: -1}}
		},
	})
	m.Waited(2 * time.Second)
	m.Waited(-time.Second) // a clock that was set back
	m.Ran(metrics.Succeeded, 3*time.Second)
	m.Ran(metrics.TimedOut, time.Second)
	m.Nodes(5, 2)
	m.Stepped(20, 2.5)
	m.Stepped(1, 0)
	m.Requested("GET", "/history/:prompt_id", 200, time.Millisecond)
	m.Requested("GET", "", 404, time.Millisecond)
	m.Requested("BREW", "/prompt", 405, time.Millisecond)
	have := scrape(t, m)
	for _, line := range []string{
		`comfygo_build_info{go="go`,
		`comfygo_queue_jobs{state="running"} 1`,
		`comfygo_queue_jobs{state="pending"} 2`,
		`comfygo_queue_jobs{state="finished"} 3`,
		`comfygo_queue_paused 0`,
		`comfygo_queue_writable 1`,
		`comfygo_queue_wait_seconds_sum 2`,
		`comfygo_queue_wait_seconds_count 2`,
		`comfygo_job_run_seconds_sum{outcome="success"} 3`,
		`comfygo_job_run_seconds_count{outcome="time_limit"} 1`,
		`comfygo_job_run_seconds_count{outcome="error"} 0`,
		`comfygo_nodes_total{result="run"} 5`,
		`comfygo_nodes_total{result="cached"} 2`,
		`comfygo_sampler_steps_total 21`,
		`comfygo_sampler_steps_per_second 2.5`,
		`comfygo_models_ready 4`,
		`comfygo_model_sessions{device="cuda:0"} 2`,
		`comfygo_model_device_bytes{device="cuda:0",kind="weights"} 30`,
		`comfygo_model_device_bytes{device="cuda:0",kind="running"} 40`,
		`comfygo_model_device_bytes{device="cuda:0",kind="peak"} 50`,
		`comfygo_models_weight_bytes 5`,
		`comfygo_model_loads_total 6`,
		`comfygo_model_reuses_total 7`,
		`comfygo_model_evictions_total 8`,
		`comfygo_device_memory_bytes{device="cpu",kind="total"} 10`,
		`comfygo_device_memory_bytes{device="cuda:0",kind="free"} 19`,
		`comfygo_websocket_clients 11`,
		`comfygo_websocket_messages_total 12`,
		`comfygo_websocket_bytes_total 13`,
		`comfygo_websocket_cut_off_total 14`,
		`comfygo_http_request_seconds_count{method="GET",route="/history/:prompt_id",status="200"} 1`,
		`comfygo_http_request_seconds_count{method="GET",route="none",status="404"} 1`,
		`comfygo_http_request_seconds_count{method="other",route="/prompt",status="405"} 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(have, line) {
			t.Errorf("%q is missing in\n%s", line, have)
		}
	}
}

// TestWithoutSources reads the figures of a program without sources.
func TestWithoutSources(t *testing.T) {
	t.Parallel()
	if have := scrape(t, metrics.New("", metrics.Sources{})); strings.Contains(have, "comfygo_queue_jobs") || !strings.Contains(have, "comfygo_nodes_total") {
		t.Errorf("have\n%s", have)
	}
	var none *metrics.Metrics
	none.Waited(1)
	none.Ran(metrics.Failed, 1)
	none.Nodes(1, 1)
	none.Stepped(1, 1)
	none.Requested("GET", "/", 200, 1)
}
