package server

import (
	"net/http"
	"runtime"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

// getHealth says whether the server works: 200 and its figures, or 503 and why not. It answers within 100 ms whatever hangs.
// Whoever has shown a key, where one is needed, is told more.
func (s *Server) getHealth(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	now := time.Now()
	figures := s.queue.Stats()
	seen := s.wellness.look(s.measure, now)
	if p := s.unwell(figures, seen, now); p != nil {
		text := p.what
		if s.sees(c) && p.err != nil {
			text += ": " + p.err.Error()
		}
		return s.json(c, http.StatusServiceUnavailable, pyjson.NewObject("status", "unhealthy", "error", text, "timestamp", seconds(now)))
	}
	counts := pyjson.NewObject("pending", int64(figures.Pending), "running", int64(figures.Running))
	body := pyjson.NewObject("status", "healthy", "version", UpstreamVersion, "timestamp", seconds(now), "queue", counts,
		"device", deviceName(seen.stats), "vram", vram(seen.stats))
	if !s.sees(c) {
		return s.json(c, http.StatusOK, body)
	}
	counts.Merge(queueState(figures))
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	body.Set("comfygo_version", s.cfg.AppVersion).
		Set("uptime_seconds", now.Sub(s.started).Seconds()).
		Set("clients", int64(s.hub.Clients())).
		Set("process", pyjson.NewObject("goroutines", int64(runtime.NumGoroutine()), "heap_bytes", int64(mem.HeapAlloc))) //nolint:gosec // a heap fits
	body.Set("memory", pyjson.NewObject("total", seen.stats.RAMTotal, "free", seen.stats.RAMFree)).Set("devices", devices(seen.stats))
	if s.cfg.RuntimeState != nil {
		body.Set("runtime", s.cfg.RuntimeState())
	}
	return s.json(c, http.StatusOK, body)
}

// getReady answers 200 when the server can take a job now, and 503 with the reason when it cannot.
func (s *Server) getReady(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	now := time.Now()
	figures := s.queue.Stats()
	why := ""
	switch limit := s.cfg.Policy.Limit; {
	case figures.Draining:
		why = "the server is shutting down"
	case limit > 0 && figures.Pending >= limit:
		why = "the queue is full"
	case s.wellness.worker.Load() == workerAway:
		why = "the worker has not begun yet"
	default:
		if p := s.unwell(figures, s.wellness.look(s.measure, now), now); p != nil {
			why = p.what
		}
	}
	if why != "" {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		return s.json(c, http.StatusServiceUnavailable, pyjson.NewObject("ready", false, "reason", why, "timestamp", seconds(now)))
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("ready", true, "timestamp", seconds(now)))
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
	return d.Type + ":" + itoa(d.Index)
}

// vram are the bytes of the device that computes; of the machine's memory where that is the processor.
func vram(st Stats) *pyjson.Object {
	total, free := st.RAMTotal, st.RAMFree
	if len(st.Devices) > 0 && st.Devices[0].Type != "cpu" {
		total, free = st.Devices[0].VRAMTotal, st.Devices[0].VRAMFree
	}
	return pyjson.NewObject("total", total, "free", free, "used", max(0, total-free))
}
