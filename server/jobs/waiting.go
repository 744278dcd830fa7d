package jobs

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// maxWait is the longest time that a request may wait for its job.
const maxWait = time.Hour

// Bell wakes all that wait for a change of the queue.
type Bell struct {
	mu      sync.Mutex
	ring    chan struct{}
	stopped bool
}

// Next returns a channel that is closed at the next change; ok is false if there will be none.
func (b *Bell) Next() (ring <-chan struct{}, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ring == nil {
		b.ring = make(chan struct{})
	}
	return b.ring, !b.stopped
}

// Strike wakes all waiters; last ends waiting for good.
func (b *Bell) Strike(last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = b.stopped || last
	if b.ring != nil {
		close(b.ring)
		b.ring = nil
	}
}

// WaitQuery reads the time that a request wants to wait for its job; 0 means not at all.
func WaitQuery(c echo.Context) (time.Duration, error) {
	text, given := reply.Query(c, "wait")
	if !given {
		return 0, nil
	}
	seconds, err := reply.ToFloat(text)
	if err != nil || !(seconds > 0) || seconds > maxWait.Seconds() {
		return 0, fmt.Errorf("wait must be a number of seconds above 0 and up to %d, not %q", int(maxWait.Seconds()), text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// Accepted answers for a job that was put into the queue; with ?wait= it waits for its end and answers with its result,
// as in history, or without one at the time limit.
func (s *Service) Accepted(c echo.Context, job *queue.Job, reply *pyjson.Object, patience time.Duration) error {
	if patience == 0 {
		return s.Reply.JSON(c, http.StatusOK, reply)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), patience)
	defer cancel()
	finished := s.await(ctx, job)
	out := pyjson.NewObject().Merge(reply).Set("finished", finished)
	if row := s.Queue.Find(job.ID); finished && row != nil {
		out.Set("result", pyjson.Raw(row.Text()))
	}
	return s.Reply.JSON(c, http.StatusOK, out)
}

// await waits until the job is not in the queue any more, and reports whether that was before the end of ctx and of the
// server.
func (s *Service) await(ctx context.Context, job *queue.Job) bool {
	for {
		ring, ok := s.Bell.Next()
		if !s.queued(job) {
			return true
		}
		if !ok {
			return false
		}
		select {
		case <-ring:
		case <-ctx.Done():
			return !s.queued(job)
		}
	}
}

func (s *Service) queued(job *queue.Job) bool {
	running, pending := s.Queue.Snapshot()
	for _, list := range [][]*queue.Job{running, pending} {
		for _, j := range list {
			if j == job {
				return true
			}
		}
	}
	return false
}
