package v2

import (
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// Status is the state of a job.
type Status string

// The states of a job. There is no state "expired" here: a job that is no longer remembered is not
// found.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Succeeded Status = "succeeded"
	Canceling Status = "canceling"
	Canceled  Status = "canceled"
	Failed    Status = "failed"
)

func (s Status) terminal() bool { return s == Succeeded || s == Canceled || s == Failed }

// never is the end of the retention of jobs that are only dropped if there are too many.
const never = "9999-12-31T23:59:59Z"

type progressView struct {
	Value            float64 `json:"value"`
	NodesDone        int     `json:"nodes_done"`
	NodesTotal       int     `json:"nodes_total"`
	CurrentNode      *string `json:"current_node"`
	CurrentNodeClass *string `json:"current_node_class"`
	Step             *int64  `json:"step"`
	Steps            *int64  `json:"steps"`
	Message          *string `json:"message"`
}

type errorView struct {
	Code      string  `json:"code"`
	Message   string  `json:"message"`
	NodeID    *string `json:"node_id"`
	ClassType *string `json:"class_type"`
	Traceback *string `json:"traceback"`
}

type urlsView struct {
	Self   string `json:"self"`
	Events string `json:"events"`
	Cancel string `json:"cancel"`
}

// jobView is a job as clients get it.
type jobView struct {
	ID            string            `json:"id"`
	Status        Status            `json:"status"`
	CreatedAt     string            `json:"created_at"`
	StartedAt     *string           `json:"started_at"`
	CompletedAt   *string           `json:"completed_at"`
	ExpiresAt     string            `json:"expires_at"`
	QueuePosition *int              `json:"queue_position"`
	Progress      *progressView     `json:"progress"`
	Outputs       []outputView      `json:"outputs"`
	Error         *errorView        `json:"error"`
	Metrics       map[string]*int64 `json:"metrics"`
	URLs          urlsView          `json:"urls"`
	Metadata      map[string]string `json:"metadata"`
}

// found is a job, wherever it is: waiting or running (job), finished (end), or removed while it waited.
type found struct {
	id       string
	status   Status
	position int // among the waiting ones, from 0 on
	owner    string
	prompt   *pyjson.Object // nil when it is not known any more
	extra    *pyjson.Object
	created  time.Time
	started  time.Time
	ended    time.Time
	end      *ending
}

// ending is the history's record of a job.
type ending struct {
	outputs *pyjson.Object
	failure *pyjson.Object
	status  Status
}

// find looks for a job that the request may see; false if it is missing.
func (a *API) find(c echo.Context, id string) (found, bool, error) {
	q := a.view(c)
	// A job's state only advances: if it was seen neither waiting nor running, it is in history afterwards.
	if f, ok := a.active(q, id); ok {
		return f, true, nil
	}
	if r := q.Find(id); r != nil {
		if f, ok := readFinished(r); ok {
			return f, true, nil
		}
	}
	f, ok, err := a.removed.find(a.cfg.Queue, id)
	if err != nil || !ok || !a.sees(c, f.owner) {
		return found{}, false, err
	}
	return f, true, nil
}

// active is a job that waits or runs.
func (a *API) active(q queue.View, id string) (found, bool) {
	running, pending := q.Snapshot()
	for _, j := range running {
		if j.ID == id {
			f := fromJob(j, Running)
			if _, is := a.cancelling.Load(id); is {
				f.status = Canceling
			}
			f.started = a.logs.startedAt(id)
			return f, true
		}
	}
	for i, j := range pending {
		if j.ID == id {
			f := fromJob(j, Queued)
			f.position = i
			return f, true
		}
	}
	return found{}, false
}

func fromJob(j *queue.Job, s Status) found {
	return found{id: j.ID, status: s, owner: j.Owner, prompt: j.Prompt, extra: j.Extra, created: createdAt(j.Extra)}
}

func createdAt(extra *pyjson.Object) time.Time {
	v, _ := extra.Get("create_time")
	return millis(v)
}

// millis reads a time in milliseconds since 1970, or returns zero.
func millis(v any) time.Time {
	switch n := v.(type) {
	case int64:
		return time.UnixMilli(n)
	case float64:
		return time.UnixMilli(int64(n))
	}
	return time.Time{}
}

// readFinished reads a row of history; false when it cannot be read.
func readFinished(r *queue.Row) (found, bool) {
	row, err := pyjson.UnmarshalObject(r.Text())
	if err != nil {
		return found{}, false
	}
	v, _ := row.Get("prompt")
	list, ok := v.([]any)
	if !ok || len(list) != 5 {
		return found{}, false
	}
	f := found{id: r.ID, owner: r.Owner, end: &ending{outputs: row.Object("outputs")}}
	f.prompt, _ = list[2].(*pyjson.Object)
	f.extra, _ = list[3].(*pyjson.Object)
	f.created = createdAt(f.extra)
	status := row.Object("status")
	f.end.status = Failed
	if status.String("status_str") == "success" {
		f.end.status = Succeeded
	}
	messages, _ := status.Get("messages")
	entries, _ := messages.([]any)
	for _, e := range entries {
		f.readMessage(e)
	}
	f.status = f.end.status
	return f, true
}

func (f *found) readMessage(entry any) {
	pair, _ := entry.([]any)
	if len(pair) != 2 {
		return
	}
	data, _ := pair[1].(*pyjson.Object)
	v, _ := data.Get("timestamp")
	at := millis(v)
	switch pair[0] {
	case "execution_start":
		f.started = at
	case "execution_success":
		f.ended = at
	case "execution_error":
		f.ended, f.end.failure = at, data
	case "execution_interrupted":
		f.ended, f.end.failure, f.end.status = at, data, Canceled
	}
}

// jobView is a job as the client of a request gets it.
func (a *API) jobView(c echo.Context, f found) (jobView, error) {
	self := Prefix + "/jobs/" + f.id
	v := jobView{
		ID: f.id, Status: f.status, CreatedAt: stamp(f.created), StartedAt: moment(f.started), CompletedAt: moment(f.ended),
		ExpiresAt: never, Metrics: f.metrics(time.Now()), Metadata: labelsOf(f.extra),
		URLs: urlsView{Self: self, Events: self + "/events", Cancel: self + "/cancel"}, Outputs: []outputView{},
	}
	if a.cfg.Retention > 0 {
		from := f.ended
		if from.IsZero() {
			from = time.Now()
		}
		v.ExpiresAt = stamp(from.Add(a.cfg.Retention))
	}
	if f.status == Queued {
		v.QueuePosition = &f.position
	}
	v.Progress = a.progress(f)
	if f.end != nil {
		v.Error = f.end.problem()
	}
	outputs, err := a.outputs(c, f)
	if err != nil {
		return v, err
	}
	v.Outputs = append(v.Outputs, outputs...)
	return v, nil
}

func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := stamp(t)
	return &text
}

// metrics returns a job's times in milliseconds; null before they are known.
func (f found) metrics(now time.Time) map[string]*int64 {
	span := func(from, to time.Time) *int64 {
		if from.IsZero() {
			return nil
		}
		if to.IsZero() {
			to = now
		}
		ms := max(0, to.Sub(from).Milliseconds())
		return &ms
	}
	m := map[string]*int64{"queue_ms": nil, "execution_ms": nil}
	switch {
	case !f.started.IsZero():
		m["queue_ms"] = span(f.created, f.started)
		m["execution_ms"] = span(f.started, f.ended)
	case f.status == Queued || f.status == Canceled:
		m["queue_ms"] = span(f.created, f.ended)
	}
	return m
}

// problem returns the reason why a job failed, or nil if it did not.
func (e *ending) problem() *errorView {
	if e.status != Failed {
		return nil
	}
	v := &errorView{Code: "execution_error", Message: "the job did not come to its end"}
	if e.failure == nil {
		return v
	}
	if text := e.failure.String("exception_message"); text != "" {
		v.Message = text
	}
	if id := e.failure.String("node_id"); id != "" {
		v.Code, v.NodeID, v.ClassType = "node_execution_error", &id, optional(e.failure.String("node_type"))
	}
	if e.failure.String("exception_type") == "TimeoutError" && v.NodeID == nil {
		v.Code = "time_limit"
	}
	lines, _ := e.failure.Get("traceback")
	if list, _ := lines.([]any); len(list) > 0 {
		text := ""
		for _, l := range list {
			text += pyjson.Str(l)
		}
		v.Traceback = &text
	}
	return v
}

// progress returns the progress of a job, or nil while it is unknown. It never decreases.
func (a *API) progress(f found) *progressView {
	if f.status == Queued || f.status == Canceled && f.started.IsZero() {
		return nil
	}
	p, ok := a.cfg.Progress(f.id)
	if f.status == Succeeded {
		if !ok {
			p.NodesTotal = f.prompt.Len()
		}
		return &progressView{Value: 1, NodesDone: p.NodesTotal, NodesTotal: p.NodesTotal}
	}
	if f.status.terminal() {
		p.Share = 0 // as far as it had come
		executed, _ := f.end.failure.Get("executed")
		done, _ := executed.([]any)
		p.NodesDone = len(done)
	}
	if !ok {
		return nil
	}
	return p.view(a.logs.share(f.id, p.Share), f.status.terminal())
}

func (p Progress) view(share float64, over bool) *progressView {
	v := &progressView{Value: share, NodesDone: p.NodesDone, NodesTotal: p.NodesTotal}
	if over || p.Node == "" {
		return v
	}
	v.CurrentNode, v.CurrentNodeClass = &p.Node, optional(p.Class)
	text := p.Class
	if p.Steps > 1 {
		v.Step, v.Steps = &p.Step, &p.Steps
		text += " " + itoa(p.Step) + "/" + itoa(p.Steps)
	}
	v.Message = &text
	return v
}
