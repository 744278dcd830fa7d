// Package queue holds accepted prompts, runs them one after the other and remembers what became of them.
//
// It keeps upstream's numbers, order and limits. It must not know HTTP or sockets, nor how a prompt is run: whoever
// makes a queue hands it the function that runs a job and the functions that are told about changes.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"comfygo/nodes/pyjson"
)

// HistoryLimit is how many finished jobs are remembered; the oldest go first.
const HistoryLimit = 10000

// ErrInterrupted is the cause with which a running job's context ends when a client interrupts it.
var ErrInterrupted = errors.New("interrupted by a client")

// ErrShutdown is the cause with which a running job's context ends when the queue stops.
var ErrShutdown = errors.New("the server is shutting down")

// Number is a job's place in the queue, the smallest first. Clients see a number that they gave as a float, and one
// that the queue gave as an integer.
type Number struct {
	Value float64
	Float bool
}

// JSON returns the number as it is written to clients.
func (n Number) JSON() any {
	if n.Float {
		return n.Value
	}
	return int64(n.Value)
}

// Job is one accepted prompt. It must not be changed once it is in a queue.
type Job struct {
	Number Number
	// ID is the prompt id, a UUID. It need not be unique.
	ID string
	// Prompt is the graph as validation left it.
	Prompt *pyjson.Object
	// Extra is the client's extra_data without its secrets, with create_time.
	Extra *pyjson.Object
	// Outputs are the ids of the output nodes to run.
	Outputs []string
	// Secrets are the values of extra_data that nobody may see again; they are with the job only until it has run.
	Secrets *pyjson.Object

	seq  int64  // order of arrival, for equal numbers
	text []byte // Listing as JSON, made when the job is accepted
}

// RunExtra is extra_data as the nodes get it: with the secrets.
func (j *Job) RunExtra() *pyjson.Object {
	return j.Extra.Clone().Merge(j.Secrets)
}

// Listing is the five-element list that /queue and /history show.
func (j *Job) Listing() []any {
	outputs := make([]any, len(j.Outputs))
	for i, o := range j.Outputs {
		outputs[i] = o
	}
	return []any{j.Number.JSON(), j.ID, j.Prompt, j.Extra, outputs}
}

// Text is Listing as JSON. The bytes must not be changed.
func (j *Job) Text() []byte { return j.text }

func (j *Job) write() error {
	text, err := pyjson.Marshal(j.Listing())
	if err != nil {
		return fmt.Errorf("writing job %s: %w", j.ID, err)
	}
	j.text = text
	return nil
}

// before is the order of the queue: by number, then by id as upstream's comparison of tuples has it, then by arrival.
func (j *Job) before(o *Job) bool {
	if j.Number.Value != o.Number.Value {
		return j.Number.Value < o.Number.Value
	}
	if j.ID != o.ID {
		return j.ID < o.ID
	}
	return j.seq < o.seq
}

// Message is one event of a run that history keeps.
type Message struct {
	Event string
	Data  *pyjson.Object
}

// Outcome is what running a job came to.
type Outcome struct {
	// Outputs is what the output nodes showed, by node id; Meta says which node that was.
	Outputs, Meta *pyjson.Object
	Success       bool
	Messages      []Message
}

// Row is a finished job as history shows it.
type Row struct {
	ID string
	// Text is the JSON value that /history has for the id.
	Text []byte

	once sync.Once
	memo any
}

// Memo returns what f made of the row the first time, so that lists need not read Text again and again.
func (r *Row) Memo(f func(*Row) any) any {
	r.once.Do(func() { r.memo = f(r) })
	return r.memo
}

func newRow(j *Job, o Outcome) (*Row, error) {
	status := "error"
	if o.Success {
		status = "success"
	}
	messages := make([]any, len(o.Messages))
	for i, m := range o.Messages {
		messages[i] = []any{m.Event, m.Data}
	}
	row := pyjson.NewObject(
		"prompt", pyjson.Raw(j.text),
		"outputs", orEmpty(o.Outputs),
		"status", pyjson.NewObject("status_str", status, "completed", o.Success, "messages", messages),
		"meta", orEmpty(o.Meta),
	)
	text, err := pyjson.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("writing the history of %s: %w", j.ID, err)
	}
	return &Row{ID: j.ID, Text: text}, nil
}

func orEmpty(o *pyjson.Object) *pyjson.Object {
	if o == nil {
		return &pyjson.Object{}
	}
	return o
}

// failed is the outcome of a job whose runner broke down or could not be written.
func failed(j *Job, typ, text string, now time.Time) Outcome {
	data := pyjson.NewObject("prompt_id", j.ID, "node_id", nil, "node_type", nil, "executed", []any{},
		"exception_message", text, "exception_type", typ, "traceback", []any{},
		"current_inputs", &pyjson.Object{}, "current_outputs", []any{}, "timestamp", now.UnixMilli())
	return Outcome{Messages: []Message{{"execution_error", data}}}
}

// Flags are requests of clients that the worker fulfils between two jobs.
type Flags struct {
	UnloadModels, FreeMemory bool
}

// Queue is what the server needs of a queue. All methods may be called from any goroutine.
type Queue interface {
	// NextNumber counts up from 0 and never gives a number twice.
	NextNumber() int64
	// Put accepts a job. When it returns without error the job will not be lost.
	Put(j *Job) error
	// Snapshot returns the running jobs and the waiting ones in the order in which they will run.
	Snapshot() (running, pending []*Job)
	// Remaining is the number of running and waiting jobs.
	Remaining() int
	// Clear drops all waiting jobs.
	Clear() error
	// Delete drops the first waiting job with the id and reports whether there was one.
	Delete(id string) (bool, error)
	// Interrupt ends the running job, if any, and reports whether there was one.
	Interrupt() bool
	// InterruptIfRunning ends the running job if it has the id, and reports whether it had.
	InterruptIfRunning(id string) bool
	// SetFlags asks the worker for something that it does as soon as no job runs.
	SetFlags(f Flags)
	// History returns up to limit finished jobs from offset on, oldest first; limit below 0 means all.
	History(offset, limit int) []*Row
	// HistoryLen is the number of finished jobs that are remembered.
	HistoryLen() int
	// Find returns the finished job with the id, nil if there is none.
	Find(id string) *Row
	// ClearHistory forgets all finished jobs.
	ClearHistory() error
	// DeleteHistory forgets one finished job, if it is there.
	DeleteHistory(id string) error
	// Work runs the jobs until ctx ends and the running one has come to its end.
	Work(ctx context.Context) error
	// Close frees what the queue holds on to. Work must have returned.
	Close() error
}
