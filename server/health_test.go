package server_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/nodes"
	"comfygo/queue"
	"comfygo/server"
	"comfygo/server/health"
	"comfygo/sqlite"
)

// stubborn is a node that ignores an interrupt until the test releases it.
type stubborn struct {
	Value int64 `in:"value" default:"1"`
}

// release lets go of all stubborn nodes of a test.
type release struct{ gate chan struct{} }

func (*stubborn) Spec() nodes.Spec {
	return nodes.Spec{Name: "Stubborn", Category: "test", OutputNode: true}
}

var stubbornGate = struct {
	sync.Mutex
	byValue map[int64]*release
}{byValue: map[int64]*release{}}

func (n *stubborn) Run(*nodes.Context) (nodes.Result, error) {
	stubbornGate.Lock()
	r := stubbornGate.byValue[n.Value]
	stubbornGate.Unlock()
	<-r.gate
	return nodes.Result{}, nil
}

// holdStubborn makes the nodes with a value wait until the returned function is called.
func holdStubborn(value int64) (letGo func()) {
	r := &release{make(chan struct{})}
	stubbornGate.Lock()
	defer stubbornGate.Unlock()
	stubbornGate.byValue[value] = r
	return sync.OnceFunc(func() { close(r.gate) })
}

type healthReply struct {
	Status, Version, Error, Device string
	Timestamp                      float64
	Queue                          struct{ Pending, Running *int }
	VRAM                           struct{ Total, Free, Used *int64 }
}

// health requests /health.
func (r *rig) health(t *testing.T) (int, healthReply) {
	t.Helper()
	a := r.do("GET", "/health", "")
	var h healthReply
	if err := json.Unmarshal([]byte(a.body), &h); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return a.status, h
}

func (r *rig) unhealthy(t *testing.T, why string) {
	t.Helper()
	var status int
	var h healthReply
	r.until(why, func() bool {
		status, h = r.health(t)
		return status == 503
	})
	if h.Status != "unhealthy" || !strings.HasPrefix(h.Error, why) || h.Timestamp < 1e9 {
		t.Errorf("%+v, want %s", h, why)
	}
	if a := r.do("GET", "/ready", ""); a.status != 503 || !strings.Contains(a.body, `"ready": false`) {
		t.Errorf("/ready of an unhealthy server: %d %s", a.status, a.body)
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stats  health.Stats
		device string
		used   int64
	}{
		"gpu": {health.Stats{RAMTotal: 9, Devices: []health.Device{{Type: "cuda", Index: 1, VRAMTotal: 100, VRAMFree: 70}}}, "cuda:1", 30},
		"cpu": {health.Stats{RAMTotal: 50, RAMFree: 20, Devices: []health.Device{{Type: "cpu", Index: -1}}}, "cpu", 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(cfg *server.Config) { cfg.Stats = func() health.Stats { return c.stats } })
			status, h := r.health(t)
			if status != 200 || h.Status != "healthy" || h.Version == "" || h.Device != c.device || h.Timestamp < 1e9 ||
				h.Queue.Pending == nil || h.Queue.Running == nil || h.VRAM.Used == nil || *h.VRAM.Used != c.used || *h.VRAM.Total-*h.VRAM.Free != c.used {
				t.Errorf("%d %+v", status, h)
			}
			if a := r.do("GET", "/ready", ""); a.status != 200 || !strings.Contains(a.body, `"ready": true`) {
				t.Errorf("/ready: %d %s", a.status, a.body)
			}
		})
	}
}

// TestFirstFigures has a machine that answers later than /health waits: the first /system_stats has its figures all the same.
func TestFirstFigures(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	r := start(t, func(cfg *server.Config) {
		cfg.Stats = func() health.Stats {
			<-answer
			return health.Stats{RAMTotal: 50, RAMFree: 20, Devices: []health.Device{{Type: "cpu", Index: -1}}}
		}
	})
	if status, _ := r.health(t); status != 200 {
		t.Errorf("/health before the first figures: %d", status)
	}
	const later = 100 * time.Millisecond // several times as long as /health waits
	time.AfterFunc(later, func() { close(answer) })
	if a := r.do("GET", "/system_stats", ""); !strings.Contains(a.body, `"ram_total": 50`) {
		t.Errorf("/system_stats before the first figures: %d %s", a.status, a.body)
	}
}

func TestUnhealthyWorkerDead(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.stop()
	w := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
	if w.Code != 503 || !strings.Contains(w.Body.String(), `{"status": "unhealthy", "error": "the worker is dead"`) {
		t.Errorf("after the worker's end: %d %s", w.Code, w.Body)
	}
}

// TestUnhealthyWorkerStuck runs a node that says nothing, and one that does not end when it is interrupted.
func TestUnhealthyWorkerStuck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value     int64
		interrupt bool
	}{"silent": {101, false}, "deaf": {102, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			letGo := holdStubborn(c.value)
			r := start(t, func(cfg *server.Config) { cfg.StuckAfter = 300 * time.Millisecond })
			t.Cleanup(letGo)
			text, _ := json.Marshal(map[string]any{"prompt": map[string]any{"1": map[string]any{
				"class_type": "Stubborn", "inputs": map[string]any{"value": c.value},
			}}})
			id := r.queue(string(text))
			if c.interrupt {
				r.until("the job runs", func() bool { _, h := r.health(t); return h.Queue.Running == nil || *h.Queue.Running == 1 })
				r.do("POST", "/interrupt", "")
			}
			r.unhealthy(t, "the worker is stuck")
			letGo()
			r.until("the job ends", func() bool { return r.finished(id) })
			r.until("health comes back", func() bool { status, _ := r.health(t); return status == 200 })
		})
	}
}

func TestUnhealthyDevice(t *testing.T) {
	t.Parallel()
	lost := start(t, func(cfg *server.Config) {
		cfg.CheckDevice = func() error { return errors.New("the GPU fell off the bus") }
	})
	lost.unhealthy(t, "the device is lost: the GPU fell off the bus")
	answer := make(chan struct{})
	hanging := start(t, func(cfg *server.Config) {
		cfg.StuckAfter = 200 * time.Millisecond
		cfg.CheckDevice = func() error { <-answer; return nil }
	})
	letGo := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(letGo)
	if status, _ := hanging.health(t); status != 200 {
		t.Errorf("a device that is slow to answer is not lost yet: %d", status)
	}
	hanging.unhealthy(t, "the device or a disk does not answer")
	quickest := time.Hour // the machine may be busy with other tests
	for range 5 {
		begun := time.Now()
		hanging.health(t)
		quickest = min(quickest, time.Since(begun))
	}
	if quickest > 100*time.Millisecond {
		t.Errorf("with a device that hangs /health takes %s", quickest)
	}
	letGo()
	hanging.until("health comes back", func() bool { status, _ := hanging.health(t); return status == 200 })
}

// TestUnhealthyDisk requires more free space than any disk has.
func TestUnhealthyDisk(t *testing.T) {
	t.Parallel()
	start(t, func(cfg *server.Config) { cfg.DiskReserve = 1 << 60 }).unhealthy(t, "the disk is full: ")
}

// TestUnhealthyStore has another connection lock the queue's file.
func TestUnhealthyStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	r := start(t, func(cfg *server.Config) { cfg.Store = queue.NewFile(path, queue.FileOptions{}) })
	if status, h := r.health(t); status != 200 {
		t.Errorf("before: %d %+v", status, h)
	}
	db := sqlite.Open(path, sqlite.Options{Wait: 10 * time.Second})
	if _, err := db.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	if a := r.do("POST", "/prompt", waitPrompt); a.status != 503 {
		t.Errorf("a prompt that cannot be kept: %d %s", a.status, a.body)
	}
	r.unhealthy(t, "the job store cannot be written")
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.until("health comes back", func() bool { status, _ := r.health(t); return status == 200 })
}

const waitPrompt = `{"prompt": {"1": {"class_type": "Wait", "inputs": {"seed": 1}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`

func TestNotReady(t *testing.T) {
	t.Parallel()
	r := start(t, func(cfg *server.Config) { cfg.Policy.Limit = 1 })
	r.queue(waitPrompt)
	r.until("the job runs", func() bool { _, h := r.health(t); return *h.Queue.Running == 1 })
	if a := r.do("GET", "/ready", ""); a.status != 200 {
		t.Errorf("with room in the queue: %d %s", a.status, a.body)
	}
	r.queue(waitPrompt)
	if a := r.do("GET", "/ready", ""); a.status != 503 || !strings.Contains(a.body, "the queue is full") {
		t.Errorf("with a full queue: %d %s", a.status, a.body)
	}
	drained := make(chan error, 1)
	go func() { drained <- r.server.Drain(t.Context()) }()
	r.until("it drains", func() bool { return strings.Contains(r.do("GET", "/ready", "").body, "shutting down") })
	if status, _ := r.health(t); status != 200 {
		t.Errorf("a draining server is healthy, but says %d", status)
	}
	for range 2 {
		r.do("POST", "/interrupt", "")
		r.do("POST", "/queue", `{"clear": true}`)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestDegradedEngine has no usable model runtime: the server keeps running, is not restarted, and takes no jobs.
func TestDegradedEngine(t *testing.T) {
	t.Parallel()
	var fixed atomic.Bool
	r := start(t, func(cfg *server.Config) {
		cfg.CheckEngine = func() error {
			if fixed.Load() {
				return nil
			}
			return errors.New("no library in /opt/lib")
		}
	})
	status, h := r.health(t)
	if status != 200 || h.Status != "degraded" || !strings.Contains(h.Error, "ONNX Runtime library") || !strings.HasSuffix(h.Error, ": no library in /opt/lib") {
		t.Errorf("/health: %d %+v", status, h)
	}
	if a := r.do("GET", "/ready", ""); a.status != 503 || !strings.Contains(a.body, "models cannot run") || strings.Contains(a.body, "/opt/lib") {
		t.Errorf("/ready: %d %s", a.status, a.body)
	}
	fixed.Store(true)
	r.until("it is ready", func() bool { return r.do("GET", "/ready", "").status == 200 })
	if _, h := r.health(t); h.Status != "healthy" || h.Error != "" {
		t.Errorf("/health after the repair: %+v", h)
	}
}
