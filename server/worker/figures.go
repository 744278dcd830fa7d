package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"comfygo/executor"
	"comfygo/metrics"
	"comfygo/queue"
	"comfygo/server/reply"
)

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
	if node != p.node || value < p.steps { // another sampler, or the next image
		p.node, p.steps, p.first, p.begin = node, 0, value, at
	}
	steps, p.steps = value-p.steps, value
	if took := at.Sub(p.begin).Seconds(); took > 0 && value > p.first {
		perSecond = float64(value-p.first) / took
	}
	return steps, perSecond
}

// measureEvent records an event's data of a sampler's steps.
func (s *Service) measureEvent(job string, e executor.Event) {
	if e.Type != "progress" {
		return
	}
	node := e.Data.String("node")
	class, known := s.Registry.Get(s.Runs.Class(job, node))
	if !known || !strings.HasPrefix(class.Category, samplers) {
		return
	}
	s.Metrics.Stepped(s.pace.see(node, int(reply.NumberOf(e.Data, "value")), time.Now()))
}

// samplers is the prefix of the categories of nodes with progress in steps.
const samplers = "model/sampling"

// beginJob records that a job begins. end must be called with its result.
func (s *Service) beginJob(ctx context.Context, j *queue.Job) (_ context.Context, end func(executor.Result)) {
	start, waited := time.Now(), time.Duration(0)
	if ms := reply.NumberOf(j.Extra, "create_time"); ms > 0 {
		waited = start.Sub(time.UnixMilli(int64(ms)))
	}
	s.Metrics.Waited(waited)
	told := func(string) {}
	if s.Traces != nil {
		ctx, told = s.Traces.Job(ctx, j.Trace, j.ID, waited)
	}
	return ctx, func(r executor.Result) {
		outcome := outcomeOf(ctx, r)
		s.Metrics.Ran(outcome, time.Since(start))
		s.Metrics.Nodes(r.Ran, r.Cached)
		told(outcome)
	}
}

// outcomeOf returns the outcome of a job in one word.
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
