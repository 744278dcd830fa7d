package queue

import (
	"fmt"
	"time"

	"comfygo/internal/pyjson"
)

// Message is one event of a run that history keeps.
type Message struct {
	Event string
	Data  *pyjson.Object
}

// Outcome is the result of running a job.
type Outcome struct {
	// Outputs are the values shown by the output nodes, by node id; Meta names each of those nodes.
	Outputs, Meta *pyjson.Object
	Success       bool
	Messages      []Message
}

// Status is the outcome of a job in one word.
type Status string

// The ways in which a job ends.
const (
	Succeeded   Status = "success"
	Failed      Status = "error"
	Interrupted Status = "interrupted"
	TimedOut    Status = "time_limit"
)

func (o Outcome) status() Status {
	if o.Success {
		return Succeeded
	}
	for _, m := range o.Messages {
		if m.Event == "execution_interrupted" {
			return Interrupted
		}
	}
	return Failed
}

// tail returns the part of an outcome that history shows behind the prompt: the rest of the JSON
// object.
func (o Outcome) tail(j *Job) ([]byte, error) {
	status := "error"
	if o.Success {
		status = "success"
	}
	messages := make([]any, len(o.Messages))
	for i, m := range o.Messages {
		messages[i] = []any{m.Event, m.Data}
	}
	text, err := pyjson.Marshal(pyjson.NewObject(
		"outputs", orEmpty(o.Outputs),
		"status", pyjson.NewObject("status_str", status, "completed", o.Success, "messages", messages),
		"meta", orEmpty(o.Meta),
	))
	if err != nil {
		return nil, fmt.Errorf("writing the history of %s: %w", j.ID, err)
	}
	return text[1:], nil
}

// rowText puts a job's listing and its tail together: the value that /history has for the id.
func rowText(listing, tail []byte) []byte {
	const head, joint = `{"prompt": `, `, `
	b := make([]byte, 0, len(head)+len(listing)+len(joint)+len(tail))
	b = append(b, head...)
	b = append(b, listing...)
	b = append(b, joint...)
	return append(b, tail...)
}

func orEmpty(o *pyjson.Object) *pyjson.Object {
	if o == nil {
		return &pyjson.Object{}
	}
	return o
}

// failed returns the outcome of a job whose runner broke down or whose result could not be encoded.
func failed(j *Job, typ, text string, now time.Time) Outcome {
	data := pyjson.NewObject("prompt_id", j.ID, "node_id", nil, "node_type", nil, "executed", []any{},
		"exception_message", text, "exception_type", typ, "traceback", []any{},
		"current_inputs", &pyjson.Object{}, "current_outputs", []any{}, "timestamp", now.UnixMilli())
	return Outcome{Messages: []Message{{"execution_error", data}}}
}

// cutOff is the outcome of a job that ran when the server died and is not to run again.
func cutOff(j *Job, now time.Time) Outcome {
	data := pyjson.NewObject("prompt_id", j.ID, "node_id", nil, "node_type", nil, "executed", []any{}, "timestamp", now.UnixMilli())
	return Outcome{Messages: []Message{{"execution_interrupted", data}}}
}

// overtime is the outcome of a job that its time limit has ended: an error in place of the interrupt.
func (o Outcome) overtime(j *Job, limit time.Duration, now time.Time) Outcome {
	late := failed(j, "TimeoutError", fmt.Sprintf("the prompt ran longer than its limit of %v\n", limit), now)
	kept := o.Messages[:0:0]
	for _, m := range o.Messages {
		if m.Event != "execution_interrupted" && m.Event != "execution_error" {
			kept = append(kept, m)
		}
	}
	o.Messages = append(kept, late.Messages...)
	return o
}
