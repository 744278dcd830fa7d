package queue

import (
	"fmt"
	"slices"
	"time"

	"comfygo/internal/pyjson"
)

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

// Class is a job's priority class: every waiting job of a higher one runs before all of a lower one.
type Class int

// The priority classes.
const (
	Low    Class = -1
	Normal Class = 0
	High   Class = 1
)

var classNames = map[Class]string{Low: "low", Normal: "normal", High: "high"}

// String is the name that clients use.
func (c Class) String() string { return classNames[c] }

// ParseClass reads the name of a class.
func ParseClass(name string) (Class, bool) {
	for c, n := range classNames {
		if n == name {
			return c, true
		}
	}
	return Normal, false
}

// Webhook is the destination of the job's events.
type Webhook struct {
	URL string `json:"url"`
	// Secret signs the messages; "" sends them unsigned.
	Secret string `json:"secret,omitempty"`
	// Events are the types of events to send (EventStarted, EventFinished, EventRemoved); empty means the last two.
	Events []string `json:"events,omitempty"`
}

func (w *Webhook) wants(event string) bool {
	if w == nil {
		return false
	}
	if len(w.Events) == 0 {
		return event != EventStarted
	}
	return slices.Contains(w.Events, event)
}

// Options are a client's options beyond upstream's fields.
type Options struct {
	Priority Class
	// TimeLimit ends the job with an error when it runs longer; 0 means the queue's own limit.
	TimeLimit time.Duration
	Webhook   *Webhook
	// Labels are the labels that the worker must have, sorted; only a queue with several workers knows them.
	Labels []string `json:",omitempty"`
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
	// Secrets are the values of extra_data that are never shown again; they are with the job only until it has run, and
	// no store keeps them.
	Secrets *pyjson.Object
	Options Options
	// Trace identifies the request that has queued the job, for tracing; it is not stored.
	Trace string
	// Receipt is stored with the job if the request had a key, or nil.
	Receipt *Receipt
	// Owner owns the job, "" without authentication. Grant is the right under which it was accepted: DropGrant finds the
	// jobs whose right has ended.
	Owner, Grant string
	// OwnFolders: the job reads and writes in folders of its owner. Only a queue with several workers sets it.
	OwnFolders bool
	// OwnerLimit is the number of jobs of its owner that may be in the queue with it; 0 means no limit.
	OwnerLimit int

	seq       int64  // order of arrival; the job's key in the store
	text      []byte // Listing as JSON, made when the job is accepted
	client    string
	attempts  int // how often it was started
	place     Place
	needs     Needs     // what a worker must have; empty in a queue of one process
	needsKey  string    // Needs.key
	modelsKey string    // Needs.Models as one text
	held      time.Time // since when it has been waiting for a worker that has its models
	heapIndex int       // where it stands in its lane
	queued    time.Time // when it was accepted
	origin    string    // the server that has accepted it; "" in a queue of one process
}

// Place is the position of a job among the waiting ones.
type Place struct {
	// Seq is the job's key.
	Seq   int64
	Class Class
	// Rank is the job's number unless it was moved; Sub orders jobs that were moved to one rank.
	Rank float64
	Sub  int64
}

// Seq is the job's key in the store: its order of arrival.
func (j *Job) Seq() int64 { return j.seq }

// Client returns the client_id that the job was sent with, or "".
func (j *Job) Client() string { return j.client }

// turn returns the key by which clients take turns: the owner if owners are distinguished.
func (j *Job) turn() string {
	if j.Owner != "" {
		return j.Owner
	}
	return j.client
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

// prepare fills in the fields that the queue needs before a job is accepted.
func (j *Job) prepare() error {
	text, err := pyjson.Marshal(j.Listing())
	if err != nil {
		return fmt.Errorf("writing job %s: %w", j.ID, err)
	}
	j.text = text
	if id, ok := j.Extra.Get("client_id"); ok && id != nil {
		j.client = pyjson.Str(id)
	}
	j.place = Place{Class: j.Options.Priority, Rank: j.Number.Value}
	return nil
}

// readListing is the opposite of Listing for a job that a store kept.
func (j *Job) readListing(text []byte) error {
	v, err := pyjson.Unmarshal(text)
	if err != nil {
		return fmt.Errorf("reading job %s: %w", j.ID, err)
	}
	list, ok := v.([]any)
	if !ok || len(list) != 5 {
		return fmt.Errorf("reading job %s: it is no list of five", j.ID)
	}
	prompt, ok := list[2].(*pyjson.Object)
	extra, ok2 := list[3].(*pyjson.Object)
	outputs, ok3 := list[4].([]any)
	if !ok || !ok2 || !ok3 {
		return fmt.Errorf("reading job %s: prompt, extra_data or outputs are missing", j.ID)
	}
	j.Prompt, j.Extra, j.Outputs = prompt, extra, make([]string, len(outputs))
	for i, o := range outputs {
		j.Outputs[i] = pyjson.Str(o)
	}
	return nil
}

// before is the order of the queue: by class, by number, by position after a move, then by id as upstream's comparison
// of tuples has it, then by arrival.
func (j *Job) before(o *Job) bool {
	a, b := &j.place, &o.place
	switch {
	case a.Class != b.Class:
		return a.Class > b.Class
	case a.Rank != b.Rank:
		return a.Rank < b.Rank
	case a.Sub != b.Sub:
		return a.Sub < b.Sub
	case j.ID != o.ID:
		return j.ID < o.ID
	}
	return j.seq < o.seq
}

func order(a, b *Job) int {
	switch {
	case a == b:
		return 0
	case a.before(b):
		return -1
	}
	return 1
}
