package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/executor"
	"comfygo/metrics"
	"comfygo/queue"
)

// Traces makes spans of requests and jobs; see package metrics/tracing.
type Traces interface {
	// Request begins the span of a request; end is called with the status of the answer.
	Request(ctx context.Context, header http.Header, method, route string) (_ context.Context, end func(status int))
	// Carry is what Job needs to make its span part of the request that has queued the job.
	Carry(ctx context.Context) string
	// Job begins the span of a job; end is called with how it ended.
	Job(ctx context.Context, parent, id string, waited time.Duration) (_ context.Context, end func(outcome string))
}

// newMetrics makes the figures that GET /metrics answers.
func (s *Server) newMetrics() *metrics.Metrics {
	return metrics.New(s.cfg.AppVersion, metrics.Sources{
		Queue: func() metrics.Queue {
			st := s.queue.Stats()
			return metrics.Queue{Running: st.Running, Pending: st.Pending, History: st.History, Paused: st.Paused, Writable: st.Err == nil}
		},
		Models: s.cfg.Models,
		Memory: func() []metrics.Memory {
			st := s.figures()
			out := []metrics.Memory{{Device: "ram", Total: st.RAMTotal, Free: st.RAMFree}}
			for _, d := range st.Devices {
				out = append(out, metrics.Memory{Device: d.Name, Total: d.VRAMTotal, Free: d.VRAMFree})
			}
			return out
		},
		Sockets: func() metrics.Sockets {
			k := s.hub.Counts()
			return metrics.Sockets{Open: k.Open, Messages: k.Messages, Bytes: k.Bytes, CutOff: k.CutOff}
		},
	})
}

// getMetrics answers with the figures of queue, jobs, models, memory, sockets and requests in Prometheus' text form.
func (s *Server) getMetrics(c echo.Context) error {
	s.metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}

// measured notes how long requests take, by the router's pattern, and makes their spans. Connections that are meant to stay (sockets,
// streams of events) have no length to tell.
func (s *Server) measured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r, route := c.Request(), s.patterns[c.Path()]
		end := func(int) {}
		if s.cfg.Traces != nil {
			var ctx context.Context
			ctx, end = s.cfg.Traces.Request(r.Context(), r.Header, r.Method, route)
			c.SetRequest(r.WithContext(ctx))
		}
		if err := next(c); err != nil {
			c.Error(err) // now, to know the status
		}
		w := c.Response()
		end(w.Status)
		if w.Status != http.StatusSwitchingProtocols && !strings.HasPrefix(w.Header().Get(echo.HeaderContentType), "text/event-stream") {
			s.metrics.Requested(r.Method, route, w.Status, time.Since(start))
		}
		return nil
	}
}

// namePatterns notes how figures name the routes: as upstream does where there is a twin below /api.
func (s *Server) namePatterns() {
	s.patterns = map[string]string{}
	for _, r := range s.echo.Routes() {
		s.patterns[r.Path] = r.Path
	}
	for path := range s.patterns {
		if short := strings.TrimPrefix(path, "/api"); s.patterns[short] != "" {
			s.patterns[path] = short
		}
	}
}

// pace counts the steps of the running job's samplers.
type pace struct {
	mu    sync.Mutex
	node  string
	steps int
	begin time.Time // when the first step was done
	first int       // how many were, then
}

// see takes a progress message of a sampler and returns how many steps were done since the last one, and how many it does a second.
func (p *pace) see(node string, value int, at time.Time) (steps int, perSecond float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if node != p.node || value < p.steps { // another sampler, or the next picture
		p.node, p.steps, p.first, p.begin = node, 0, value, at
	}
	steps, p.steps = value-p.steps, value
	if took := at.Sub(p.begin).Seconds(); took > 0 && value > p.first {
		perSecond = float64(value-p.first) / took
	}
	return steps, perSecond
}

// measureEvent takes what an event tells of a sampler's steps.
func (s *Server) measureEvent(e executor.Event) {
	if e.Type != "progress" {
		return
	}
	node := e.Data.String("node")
	class, known := s.cfg.Executor.Registry().Get(s.runs.class(node))
	if !known || !strings.HasPrefix(class.Category, samplers) {
		return
	}
	s.metrics.Stepped(s.pace.see(node, int(numberOf(e.Data, "value")), time.Now()))
}

// samplers is how the categories of nodes begin whose progress is counted in steps.
const samplers = "model/sampling"

// beginJob notes that a job begins. end must be called with its result.
func (s *Server) beginJob(ctx context.Context, j *queue.Job) (_ context.Context, end func(executor.Result)) {
	start, waited := time.Now(), time.Duration(0)
	if ms := numberOf(j.Extra, "create_time"); ms > 0 {
		waited = start.Sub(time.UnixMilli(int64(ms)))
	}
	s.metrics.Waited(waited)
	told := func(string) {}
	if s.cfg.Traces != nil {
		ctx, told = s.cfg.Traces.Job(ctx, j.Trace, j.ID, waited)
	}
	return ctx, func(r executor.Result) {
		outcome := outcomeOf(ctx, r)
		s.metrics.Ran(outcome, time.Since(start))
		s.metrics.Nodes(r.Ran, r.Cached)
		told(outcome)
	}
}

// outcomeOf says in one word how a job ended.
func outcomeOf(ctx context.Context, r executor.Result) string {
	cause := context.Cause(ctx)
	switch {
	case r.Success:
		return metrics.Succeeded
	case errors.Is(cause, queue.ErrShutdown):
		return metrics.PutBack
	case errors.Is(cause, queue.ErrTimeLimit):
		return metrics.TimedOut
	case r.Interrupted:
		return metrics.Interrupted
	}
	return metrics.Failed
}
