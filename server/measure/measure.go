package measure

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/metrics"
	"comfygo/queue"
)

// Traces makes spans of requests and jobs; see package metrics/tracing.
type Traces interface {
	// Request begins the span of a request; end is called with the status of the answer.
	Request(ctx context.Context, header http.Header, method, route string) (_ context.Context, end func(status int))
	// Carry returns the data by which Job makes its span part of the request that has queued the job.
	Carry(ctx context.Context) string
	// Job begins the span of a job; end is called with how it ended.
	Job(ctx context.Context, parent, id string, waited time.Duration) (_ context.Context, end func(outcome string))
}

// NewMetrics makes the figures that GET /metrics answers.
func (s *Service) NewMetrics() *metrics.Metrics {
	return metrics.New(s.AppVersion, metrics.Sources{
		Queue: func() metrics.Queue {
			st := s.Queue.Stats()
			return metrics.Queue{Running: st.Running, Pending: st.Pending, History: st.History, Paused: st.Paused, Writable: st.Err == nil}
		},
		Models: s.Models,
		Python: s.pythonFigures(),
		Memory: func() []metrics.Memory {
			st := s.Health.Figures()
			out := []metrics.Memory{{Device: "ram", Total: st.RAMTotal, Free: st.RAMFree}}
			for _, d := range st.Devices {
				out = append(out, metrics.Memory{Device: d.Name, Total: d.VRAMTotal, Free: d.VRAMFree})
			}
			return out
		},
		Sockets: func() metrics.Sockets {
			k := s.Hub.Counts()
			return metrics.Sockets{Open: k.Open, Messages: k.Messages, Bytes: k.Bytes, CutOff: k.CutOff}
		},
		Workers: s.workerFigures(),
	})
}

// workerFigures makes the source of the figures of the fleet's workers; nil when the queue is of this process alone.
func (s *Service) workerFigures() func() []metrics.Worker {
	f, ok := s.Queue.(interface{ Workers() []queue.WorkerView })
	if !ok {
		return nil
	}
	return func() []metrics.Worker {
		var out []metrics.Worker
		for _, w := range f.Workers() {
			silent := -1.0
			if !w.Heard.IsZero() {
				silent = time.Since(w.Heard).Seconds()
			}
			out = append(out, metrics.Worker{
				ID: w.ID, Name: w.Ad.Name, Device: w.Ad.Device, Busy: w.JobID != "", Draining: w.Draining, VRAMTotal: w.Ad.VRAMTotal, VRAMFree: w.Ad.VRAMFree,
				Models: len(w.Resident), Finished: int(w.Done), Silent: silent,
			})
		}
		return out
	}
}

// pythonFigures makes the source of the figures of node packs' processes; nil without any.
func (s *Service) pythonFigures() func() []metrics.Python {
	if s.Python == nil {
		return nil
	}
	return func() []metrics.Python {
		var out []metrics.Python
		for _, st := range s.Python() {
			out = append(out, metrics.Python{
				Pack: st.Name, Ready: st.State == "ready", Memory: st.Memory, Peak: st.Peak, GPU: st.GPU, CPU: st.CPU.Seconds(), Restarts: st.Restarts,
			})
		}
		return out
	}
}

// GetMetrics answers with the figures of queue, jobs, models, memory, sockets and requests in Prometheus' text form.
func (s *Service) GetMetrics(c echo.Context) error {
	s.Metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}

// Measured records the duration of requests, by the router's pattern, and makes their spans. Long-lived connections (sockets, streams
// of events) have no meaningful duration.
func (s *Service) Measured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r, route := c.Request(), s.patterns[c.Path()]
		end := func(int) {}
		if s.Traces != nil {
			var ctx context.Context
			ctx, end = s.Traces.Request(r.Context(), r.Header, r.Method, route)
			c.SetRequest(r.WithContext(ctx))
		}
		if err := next(c); err != nil {
			c.Error(err) // now, to know the status
		}
		w := c.Response()
		end(w.Status)
		if w.Status != http.StatusSwitchingProtocols && !strings.HasPrefix(w.Header().Get(echo.HeaderContentType), "text/event-stream") {
			s.Metrics.Requested(r.Method, route, w.Status, time.Since(start))
		}
		return nil
	}
}

// NamePatterns sets the names of the routes in metrics: those of upstream if a route has a twin below /api.
func (s *Service) NamePatterns(routes []*echo.Route) {
	s.patterns = map[string]string{}
	for _, r := range routes {
		s.patterns[r.Path] = r.Path
	}
	for path := range s.patterns {
		if short := strings.TrimPrefix(path, "/api"); s.patterns[short] != "" {
			s.patterns[path] = short
		}
	}
}
