package health

import (
	"net/http"
	"runtime"
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/jobs"
	"comfygo/server/reply"
)

// GetHealth reports whether the server works: 200 and its figures ("healthy", or "degraded" where models cannot run), or 503 and
// the reason. It answers within 50 ms whatever hangs. Authenticated callers get more details.
func (s *Service) GetHealth(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	now := time.Now()
	figures := s.Queue.Stats()
	seen := s.State.look(s.measure, now)
	if p := s.problem(figures, seen, now); p != nil {
		return s.Reply.JSON(c, http.StatusServiceUnavailable, pyjson.NewObject("status", "unhealthy", "error", s.tell(c, p), "timestamp", reply.Seconds(now)))
	}
	counts := pyjson.NewObject("pending", int64(figures.Pending), "running", int64(figures.Running))
	body := pyjson.NewObject("status", "healthy", "version", UpstreamVersion, "timestamp", reply.Seconds(now), "queue", counts,
		"device", deviceName(seen.stats), "vram", vram(seen.stats))
	if p := engineIssue(seen); p != nil {
		body.Set("status", "degraded").Set("error", s.tell(c, p))
	}
	if !s.Access.Sees(c) {
		return s.Reply.JSON(c, http.StatusOK, body)
	}
	counts.Merge(jobs.QueueState(figures))
	body.Set("comfygo_version", s.AppVersion).
		Set("uptime_seconds", now.Sub(s.Started).Seconds()).
		Set("clients", int64(s.Hub.Clients())).
		Set("process", pyjson.NewObject("goroutines", int64(runtime.NumGoroutine()), "heap_bytes", heapBytes()))
	body.Set("memory", pyjson.NewObject("total", seen.stats.RAMTotal, "free", seen.stats.RAMFree)).Set("devices", devices(seen.stats))
	if s.RuntimeState != nil {
		body.Set("runtime", s.RuntimeState())
	}
	if s.PackProcesses != nil {
		if list := s.PackProcesses(); len(list) > 0 {
			body.Set("python", list)
		}
	}
	return s.Reply.JSON(c, http.StatusOK, body)
}

// heapBytes returns the size of the heap's objects. Reading it stops nothing, unlike runtime.ReadMemStats, which stops all
// goroutines.
func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64()) //nolint:gosec // a heap fits
}

// tell returns the text of an issue, with its cause for callers that may see it.
func (s *Service) tell(c echo.Context, p *issue) string {
	if p.err == nil || !s.Access.Sees(c) {
		return p.what
	}
	return p.what + ": " + p.err.Error()
}

// GetReady answers 200 when the server can take a job now, and 503 with the reason when it cannot.
func (s *Service) GetReady(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	now := time.Now()
	figures := s.Queue.Stats()
	why := ""
	switch limit := s.Policy.Limit; {
	case figures.Draining:
		why = "the server is shutting down"
	case limit > 0 && figures.Pending >= limit:
		why = "the queue is full"
	case s.State.Worker.Load() == workerAway:
		why = "the worker has not begun yet"
	default:
		seen := s.State.look(s.measure, now)
		if p := s.problem(figures, seen, now); p != nil {
			why = p.what
		} else if p := engineIssue(seen); p != nil {
			why = p.what
		}
	}
	if why != "" {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		return s.Reply.JSON(c, http.StatusServiceUnavailable, pyjson.NewObject("ready", false, "reason", why, "timestamp", reply.Seconds(now)))
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("ready", true, "timestamp", reply.Seconds(now)))
}

// deviceName is the device that computes, as clients write it: cpu, or cuda:0.
func deviceName(st Stats) string {
	if len(st.Devices) == 0 || st.Devices[0].Type == "" {
		return "cpu"
	}
	d := st.Devices[0]
	if d.Index < 0 {
		return d.Type
	}
	return d.Type + ":" + strconv.Itoa(d.Index)
}

// vram are the bytes of the device that computes; of the machine's memory where that is the CPU.
func vram(st Stats) *pyjson.Object {
	total, free := st.RAMTotal, st.RAMFree
	if len(st.Devices) > 0 && st.Devices[0].Type != "cpu" {
		total, free = st.Devices[0].VRAMTotal, st.Devices[0].VRAMFree
	}
	return pyjson.NewObject("total", total, "free", free, "used", max(0, total-free))
}
