// Package v2 serves the Comfy API v2: assets, jobs and their events, as the contract openapi-v2.yaml of Comfy-Org/docs
// defines them, with its typed errors. Beyond the contract it lists assets and jobs page by page, and its event streams can
// be resumed by Last-Event-ID.
//
// Jobs are the queue's own: jobs of POST /prompt are visible here, and vice versa. Assets are references of the catalogue
// (package assets). The package must not know how a workflow is checked or run, nor how callers are authenticated: the
// server passes functions for that.
package v2

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// Prefix is the path below which everything of the API lies.
const Prefix = "/api/v2"

// Submission is a workflow to be queued.
type Submission struct {
	ID       string
	Workflow *pyjson.Object
	// Extra is extra_data, with secrets that must not be kept.
	Extra *pyjson.Object
	// Receipt is to be stored with the job; nil if the request has no key.
	Receipt *queue.Receipt
}

// Progress is the progress of a job.
type Progress struct {
	// Share is between 0 and 1.
	Share                 float64
	NodesDone, NodesTotal int
	// Node is the running node, "" if none runs; Step and Steps are its own progress; Steps is 0 if it reports none.
	Node, Class string
	Step, Steps int64
}

// Config configures the API. Queue, Folders and all functions are required, except View, Owner, JobOwner and Sees.
type Config struct {
	Queue queue.View
	// Folders are those of an owner's jobs.
	Folders func(owner string) *folders.Folders
	// View is the part of the queue that a request may see and change; nil means all of it.
	View func(c echo.Context) queue.View
	// Library returns the catalogue, which it may open the first time.
	Library func() (*assets.Library, error)
	// Owner returns the owner of the assets of a request; nil means that assets have no owners.
	Owner func(c echo.Context) (string, error)
	// JobOwner returns the owner of the jobs of a request; nil means that jobs have no owners.
	JobOwner func(c echo.Context) string
	// Sees reports whether a request may see a job of an owner; nil means that all are visible.
	Sees func(c echo.Context, owner string) bool
	// Submit checks a workflow and queues it. The verdict lists its faults if there is no job.
	Submit func(c echo.Context, s Submission) (*queue.Job, executor.Verdict, error)
	// Progress returns the progress of a job, or false if it is unknown.
	Progress func(id string) (Progress, bool)
	// Body is a request's body with the limits on its size and on the client's slowness.
	Body func(c echo.Context) (io.ReadCloser, error)
	// Hold returns the space that the caller may still use in a base folder.
	Hold func(c echo.Context, dir string) (assets.Quota, error)
	// SendFile answers with a file, or returns false if it is missing.
	SendFile func(c echo.Context, d assets.Download) (found bool, err error)
	// Change returns a channel that is closed at the next change of the queue; false when the server ends.
	Change func() (<-chan struct{}, bool)
	// Claims are the used keys; nil means none.
	Claims *Claims
	// Retention is the time that finished jobs are remembered; 0 means until there are too many.
	Retention time.Duration
	// Logger may be nil.
	Logger *slog.Logger
}

// API is the state of the API: what runs, and what clients have claimed. It is safe for concurrent use.
type API struct {
	cfg     Config
	log     *slog.Logger
	logs    jobLogs
	claims  *Claims
	removed removals
	listed  summaries
	streams streamCount
	// cancelling are running jobs that clients have cancelled.
	cancelling sync.Map
}

// Route is one method of a path, written as echo writes it.
type Route struct {
	Method, Path string
	Handle       echo.HandlerFunc
}

// New makes an API. It reads nothing yet.
func New(cfg Config) (*API, error) {
	if cfg.Queue == nil || cfg.Folders == nil || cfg.Library == nil || cfg.Submit == nil || cfg.Progress == nil ||
		cfg.Body == nil || cfg.Hold == nil || cfg.SendFile == nil || cfg.Change == nil {
		return nil, errors.New("making the API v2: its queue, its folders and its functions are required")
	}
	a := &API{cfg: cfg, log: cfg.Logger, logs: newJobLogs(), claims: cfg.Claims}
	if a.claims == nil {
		a.claims = &Claims{}
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a, nil
}

// Routes returns all routes of the API.
func (a *API) Routes() []Route {
	const get, post = http.MethodGet, http.MethodPost
	list := []Route{
		{get, Prefix + "/assets", a.listAssets},
		{post, Prefix + "/assets", a.postAsset},
		{post, Prefix + "/assets/from-hash", a.postFromHash},
		{http.MethodHead, Prefix + "/assets/by-hash/:hash", a.headByHash},
		{get, Prefix + "/assets/:id", a.getAsset},
		{http.MethodDelete, Prefix + "/assets/:id", a.deleteAsset},
		{get, Prefix + "/assets/:id/content", a.getContent},
		{get, Prefix + "/jobs", a.listJobs},
		{post, Prefix + "/jobs", a.postJob},
		{get, Prefix + "/jobs/:id", a.getJob},
		{get, Prefix + "/jobs/:id/workflow", a.getWorkflow},
		{get, Prefix + "/jobs/:id/events", a.getEvents},
		{post, Prefix + "/jobs/:id/cancel", a.postCancel},
	}
	for i, r := range list {
		list[i].Handle = a.answering(r.Handle)
	}
	return list
}

func (a *API) owner(c echo.Context) (string, error) {
	if a.cfg.Owner == nil {
		return "", nil
	}
	return a.cfg.Owner(c)
}

func (a *API) view(c echo.Context) queue.View {
	if a.cfg.View == nil {
		return a.cfg.Queue
	}
	return a.cfg.View(c)
}

func (a *API) sees(c echo.Context, owner string) bool {
	return a.cfg.Sees == nil || a.cfg.Sees(c, owner)
}
