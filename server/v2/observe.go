package v2

import (
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// Client is the client_id of jobs that came through this API: with one, the executor reports every node.
const Client = "comfy-api-v2"

// ours reports whether a job came through this API.
func ours(extra *pyjson.Object) bool { return extra.String("client_id") == Client }

// Begin records that a job runs now.
func (a *API) Begin(j *queue.Job) { a.logs.begin(j.ID, time.Now()) }

// Observe records an executor's event of a job. It is quick: images are encoded and outputs entered by the readers.
func (a *API) Observe(job string, e executor.Event) {
	now := time.Now()
	switch e.Type {
	case "progress_state":
		if a.logs.due(job, now) {
			if p, ok := a.cfg.Progress(job); ok {
				a.logs.tellProgress(job, p, now)
			}
		}
	case executor.EventPreviewMetadata, executor.EventPreview:
		if e.Preview != nil {
			a.logs.tellPreview(job, e.Data.String("display_node_id"), e.Preview, now)
		}
	case "executed":
		a.logs.tellOutputs(job, shownAt(e.Data.String("node"), e.Data.Object("output")))
	}
}

// Finished records that a job has moved to history, and its outcome.
func (a *API) Finished(j *queue.Job, how queue.Status) {
	a.cancelling.Delete(j.ID)
	a.listed.drop(j.ID)
	status := Failed
	switch how {
	case queue.Succeeded:
		status = Succeeded
	case queue.Interrupted:
		status = Canceled
	}
	a.logs.status(j.ID, status)
}
