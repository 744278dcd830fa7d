package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// Remote runs jobs of a fleet in a process that need not be a server; what they tell goes to the servers.
type Remote struct {
	Executor Runner
	// Folders are those of all; a job's owner has some of its own in them where owners are told apart.
	Folders *folders.Folders
	Log     *slog.Logger

	out atomic.Pointer[packWriter] // of the running job; nil while none runs
}

// packWriter writes the messages of node packs.
type packWriter struct{ writer }

// Run runs a job.
func (r *Remote) Run(ctx context.Context, j *queue.Job, tell func(data []byte, droppable bool)) queue.Outcome {
	start := time.Now()
	result := r.run(ctx, j, tell, r.Executor, r.Folders, r.Log)
	r.Log.Info(fmt.Sprintf("Prompt executed in %.2f seconds", time.Since(start).Seconds()), "prompt_id", j.ID, "success", result.Success)
	return outcome(result)
}

func (r *Remote) run(ctx context.Context, j *queue.Job, tell func(data []byte, droppable bool), by Runner, dirs *folders.Folders, log *slog.Logger) executor.Result {
	r.out.Store(&packWriter{writer{tell: tell, log: log}})
	defer r.out.Store(nil)
	job := executor.Job{ID: j.ID, Prompt: j.Prompt, ExtraData: j.RunExtra(), Outputs: j.Outputs}
	if j.OwnFolders {
		job.Folders = dirs.For(j.Owner)
	}
	fetchInputs(ctx, job, dirs, log)
	out := writer{tell: tell, log: log}
	pace := statePacer{send: out.send}
	result := by.Run(ctx, job, executor.SinkFunc(func(e executor.Event) {
		if pace.pass(e, time.Now()); pace.late != nil { // its data wait; the servers count the node nevertheless
			bare := e
			bare.Data = nil
			out.send(bare)
		}
	}))
	pace.flush()
	return result
}

// Free drops results when clients asked for it.
func (r *Remote) Free(f queue.Flags, models func()) {
	if f.FreeMemory || f.ReloadPacks {
		r.Executor.ClearCache()
	}
	if (f.UnloadModels || f.FreeMemory) && models != nil {
		models()
	}
}

// SendOfPack sends a message of a node pack to a client of the running job's owner, with client "" to all of them.
func (r *Remote) SendOfPack(event string, data any, client string) {
	object, ok := data.(*pyjson.Object)
	if out := r.out.Load(); out != nil && ok {
		out.pack(executor.Event{Type: event, Data: object, Client: client}, head{Kind: kindPack}, nil)
	}
}

// SendBinaryOfPack is SendOfPack for a binary message of upstream's numbers.
func (r *Remote) SendBinaryOfPack(number int, data []byte, client string) {
	if out := r.out.Load(); out != nil && number >= 0 {
		out.pack(executor.Event{Client: client}, head{Kind: kindPackBinary, Number: number}, data)
	}
}

// SendPacksChanged does nothing: queue.RemoteWorker tells what classes a worker has.
func (r *Remote) SendPacksChanged() {}
