package worker

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/hub"
)

// RunJob runs one queued prompt and passes its events on.
func (s *Service) RunJob(ctx context.Context, j *queue.Job) queue.Outcome {
	start := time.Now()
	if !s.mayStillRun(ctx, j) {
		return notAllowedAnyMore(j, start)
	}
	defer s.Hub.Idle()
	s.State.SignOfLife(start)
	defer s.State.Idle()
	after := s.Assets.Pause()
	s.Runs.Begin(j)
	s.V2.Begin(j)
	defer func() { s.Runs.End(j.ID, time.Now()) }()
	ctx, end := s.beginJob(ctx, j)
	job := s.executorJob(j)
	job.Next = s.nextJob
	s.owner.Store(&j.Owner)
	defer s.owner.Store(nil)
	pace := statePacer{send: func(e executor.Event) { s.sendEvent(j.Owner, e, 0) }}
	result := s.Executor.Run(ctx, job, executor.SinkFunc(func(e executor.Event) {
		now := time.Now()
		s.State.SignOfLife(now)
		s.Runs.Observe(j.ID, e, now)
		pace.pass(e, now)
		s.V2.Observe(j.ID, e)
		s.measureEvent(j.ID, e)
	}))
	pace.flush()
	end(result)
	after(s.Access.AssetContext(ctx, j.Owner), j.ID, result.Outputs)
	s.Log.Info(fmt.Sprintf("Prompt executed in %.2f seconds", time.Since(start).Seconds()), "prompt_id", j.ID, "success", result.Success)
	return outcome(result)
}

// outcome is a result as the queue keeps it.
func outcome(r executor.Result) queue.Outcome {
	out := queue.Outcome{Outputs: r.Outputs, Meta: r.Meta, Success: r.Success}
	for _, m := range r.Messages {
		out.Messages = append(out.Messages, queue.Message{Event: m.Event, Data: m.Data})
	}
	return out
}

func (s *Service) executorJob(j *queue.Job) executor.Job {
	job := executor.Job{ID: j.ID, Prompt: j.Prompt, ExtraData: j.RunExtra(), Outputs: j.Outputs}
	if s.Access.Owned() {
		job.Folders = s.Access.FoldersOf(j.Owner)
	}
	return job
}

// nextJob is the job that comes after the running one, which work may begin for.
func (s *Service) nextJob() (executor.Job, bool) {
	j := s.Queue.Next()
	if j == nil {
		return executor.Job{}, false
	}
	return s.executorJob(j), true
}

// JobFinished notifies the job's client that nothing runs for it any more.
func (s *Service) JobFinished(j *queue.Job, how queue.Status) {
	s.finished(j, how, 0)
}

// finished reports that nothing runs for a job any more; number is that of the event, 0 for the hub's own.
func (s *Service) finished(j *queue.Job, how queue.Status, number int64) {
	s.V2.Finished(j, how)
	if client, ok := (executor.Job{ExtraData: j.Extra}).Client(); ok {
		s.Hub.Send("executing", pyjson.NewObject("node", nil, "prompt_id", j.ID), hub.To(client).Of(j.Owner).At(number))
	}
}

// Free drops models and results when clients asked for it.
func (s *Service) Free(f queue.Flags) {
	if f.ReloadPacks && s.ReloadPacks != nil {
		s.Executor.ClearCache() // results are those of the packs as they were
		s.ReloadPacks()
	}
	if f.FreeMemory {
		s.Executor.ClearCache() // first: results hold on to models
	}
	if (f.UnloadModels || f.FreeMemory) && s.FreeModels != nil {
		s.FreeModels()
	}
}

const (
	// manyNodes is up to how many nodes the state of all of them is sent at every change, as upstream does at any number: at 10,000 that
	// would be 2 MB each time, 40 GB for the whole job.
	manyNodes = 500
	// statePause is the time that the next state message waits when there are more nodes. Each message includes the ones before it.
	statePause = 100 * time.Millisecond
)

// statePacer limits the rate of state messages of a run with many nodes. The newest is sent before the run's end is reported.
type statePacer struct {
	send func(executor.Event)
	at   time.Time
	late *executor.Event
}

func (p *statePacer) pass(e executor.Event, now time.Time) {
	switch e.Type {
	case "progress_state":
		if p.late = nil; e.Node.Nodes > manyNodes && now.Sub(p.at) < statePause {
			late := e // a copy: not every event shall be on the heap
			p.late = &late
			return
		}
		p.at = now
	case "execution_success", "execution_error", "execution_interrupted":
		p.flush()
	}
	p.send(e)
}

func (p *statePacer) flush() {
	if p.late != nil {
		p.send(*p.late)
		p.late = nil
	}
}

// previewFeature is the feature flag of clients that support previews with metadata.
const previewFeature = "supports_preview_metadata"

// sendEvent passes an event of an owner's job on to its clients. number is the event's, 0 means the hub's own.
func (s *Service) sendEvent(owner string, e executor.Event, number int64) {
	to := hub.To(e.Client).Of(owner).At(number)
	if e.Broadcast {
		to = hub.Everyone.Of(owner).At(number)
	}
	switch e.Type {
	case executor.EventPreview:
		if !e.Broadcast && s.Hub.Supports(to, previewFeature) {
			return
		}
		s.sendPreview(e, false, to)
	case executor.EventPreviewMetadata:
		if e.Broadcast || !s.Hub.Supports(to, previewFeature) {
			return
		}
		s.sendPreview(e, true, to)
	case executor.EventText:
		node, text := e.Data.String("node"), e.Data.String("text")
		s.Hub.SendBinary(hub.BinaryText, append(lengthPrefixed([]byte(node)), text...), to)
	default:
		if e.Type == "executing" {
			s.Hub.Current(to, e.Data.String("display_node"))
		}
		s.Hub.Send(e.Type, e.Data, to)
	}
}

// sendPreview sends an image, or with metadata its animation where it has one. No one there, nothing encoded.
func (s *Service) sendPreview(e executor.Event, described bool, to hub.Target) {
	if e.Preview == nil || !e.Broadcast && !s.Hub.Connected(to) || s.Hub.Clients() == 0 {
		return
	}
	mime, img, err := e.Preview.Described()
	if !described {
		img, err = e.Preview.Bytes()
	}
	if err != nil {
		s.Log.Warn("sending a preview", "error", err)
		return
	}
	if !described {
		head := binary.BigEndian.AppendUint32(nil, e.Preview.TypeNumber())
		s.Hub.SendBinary(hub.BinaryPreview, append(head, img...), to)
		return
	}
	text, err := pyjson.Marshal(e.Data.Clone().Set("image_type", mime))
	if err != nil {
		s.Log.Warn("sending a preview", "error", err)
		return
	}
	s.Hub.SendBinary(hub.BinaryPreviewMetadata, append(lengthPrefixed(text), img...), to)
}

// lengthPrefixed puts the length, four bytes, before data.
func lengthPrefixed(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...) //nolint:gosec // an id or a line of text
}
