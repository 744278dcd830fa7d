package worker

import (
	"context"
	"fmt"
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/hub"
)

// Fleet returns the functions of this server that a queue of several processes calls.
func (s *Service) Fleet() queue.Fleet {
	return queue.Fleet{
		Begun: func(j *queue.Job) {
			s.Runs.Begin(j)
			s.V2.Begin(j)
		},
		Told:     func(j *queue.Job, number int64, data []byte) { s.told(j, number, data) },
		Replayed: s.replayed,
		Ended:    s.ended,
		Allowed:  s.mayStillRun,
	}
}

// told passes on an event of a job that runs in another process.
func (s *Service) told(j *queue.Job, number int64, data []byte) {
	m, err := decodeMessage(data, s.shown(j.ID))
	if err != nil {
		s.Log.Error("reading an event of a job", "prompt_id", j.ID, "error", err)
		return
	}
	if m.pack() {
		s.sendPackMessage(j.Owner, m, number)
		return
	}
	e := m.event
	if e.Preview != nil {
		s.previews.Store(j.ID, e.Preview)
	}
	s.Runs.Observe(j.ID, e, time.Now())
	s.V2.Observe(j.ID, e)
	if e.Type == "progress_state" && e.Data == nil {
		return // it was left out for clients: a later one has all that it had
	}
	s.sendEvent(j.Owner, e, number)
}

// shown is the last preview of a job.
func (s *Service) shown(job string) *executor.Preview {
	p, _ := s.previews.Load(job)
	last, _ := p.(*executor.Preview)
	return last
}

// replayed takes an event of before this server began, for clients that come back.
func (s *Service) replayed(owner string, number int64, data []byte) {
	m, err := decodeMessage(data, nil)
	switch {
	case err != nil:
		s.Log.Error("reading an event of a job", "error", err)
	case m.pack():
		s.sendPackMessage(owner, m, number)
	case m.event.Data != nil && m.event.Preview == nil && m.event.Type != executor.EventPreview && m.event.Type != executor.EventPreviewMetadata:
		s.sendEvent(owner, m.event, number)
	}
}

func (s *Service) sendPackMessage(owner string, m message, number int64) {
	to := hub.To(m.event.Client).Of(owner).At(number)
	if m.event.Client == "" {
		to = hub.Everyone.Of(owner).At(number)
	}
	if m.head.Kind == kindPackBinary {
		s.Hub.SendBinary(uint32(m.head.Number), m.blob, to) //nolint:gosec // as written
		return
	}
	s.Hub.Send(m.event.Type, m.event.Data, to)
}

// ended records that a job of the fleet has moved to history.
func (s *Service) ended(j *queue.Job, number int64, how queue.Status, outputs func() *pyjson.Object) {
	s.Runs.End(j.ID, time.Now())
	s.previews.Delete(j.ID)
	if client, ok := (executor.Job{ExtraData: j.Extra}).Client(); ok {
		s.Hub.Done(hub.To(client).Of(j.Owner))
	}
	s.finished(j, how, number)
	if s.Assets.Library == nil {
		return
	}
	s.afterwards.Go(func() {
		s.Assets.Pause()(s.Access.AssetContext(context.Background(), j.Owner), j.ID, outputs())
	})
}

// Close waits until the outputs of all jobs of the fleet are entered.
func (s *Service) Close() { s.afterwards.Wait() }

// RunRemote runs a job of the fleet in this process.
func (s *Service) RunRemote(ctx context.Context, j *queue.Job, tell func(data []byte, droppable bool)) queue.Outcome {
	ctx, end := s.beginJob(ctx, j)
	result := s.remote.run(ctx, j, tell, s.Executor, s.Access.Common, s.Log)
	end(result)
	s.Log.Info(fmt.Sprintf("Prompt executed by this server's worker, success %v", result.Success), "prompt_id", j.ID)
	return outcome(result)
}
