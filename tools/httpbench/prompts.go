package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"comfygo/internal/apiclient"
)

const clientID = "httpbench"

// trivial is a workflow that makes a small image in one colour and saves it as a preview.
func trivial(colour int) map[string]any {
	return map[string]any{
		"1": map[string]any{"class_type": "EmptyImage", "inputs": map[string]any{"width": 64, "height": 64, "batch_size": 1, "color": colour}},
		"2": map[string]any{"class_type": "PreviewImage", "inputs": map[string]any{"images": []any{"1", 0}}},
	}
}

func promptBody(workflow any) ([]byte, error) {
	return json.Marshal(map[string]any{"prompt": workflow, "client_id": clientID})
}

// measurePrompts measures POST /prompt of a workflow with cached results, its way through the queue, and a new workflow from the request to
// the entry in the history, with the client's WebSocket open as with the front end.
func measurePrompts(ctx context.Context, o options, r *report) (err error) {
	t, err := launch(ctx, o.server, o.models)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	socket, err := t.client.Dial(ctx, clientID)
	if err != nil {
		return err
	}
	defer socket.Close()
	c, err := dial(ctx, t)
	if err != nil {
		return err
	}
	defer c.close()
	p := &prompter{target: t, conn: c, socket: socket}
	took, err := t.each(o.prompts, func(n int) error { return p.accepted(ctx, n) })
	if err != nil {
		return err
	}
	r.add(row{name: "POST /prompt of a cached workflow", unit: "CPU ms", value: took.lowest, median: took.median, limit: 0.33, comfyui: 2.66})
	took, err = t.each(o.prompts, func(n int) error { return p.repeat(ctx, n, func() map[string]any { return trivial(0) }) })
	if err != nil {
		return err
	}
	r.add(row{name: "  the same until it has run and is in the history", unit: "CPU ms", value: took.lowest, median: took.median})
	colour := 0
	took, err = t.each(o.prompts, func(n int) error {
		return p.repeat(ctx, n, func() map[string]any { colour++; return trivial(colour) })
	})
	if err != nil {
		return err
	}
	r.add(row{name: "a trivial workflow end to end", unit: "CPU ms", value: took.lowest, median: took.median, limit: 1.5, comfyui: 7.7})
	return nil
}

// prompter sends prompts one after the other.
type prompter struct {
	*target
	conn   *conn
	socket *apiclient.Socket
}

// post sends a prompt and returns its id.
func (p *prompter) post(workflow map[string]any) (string, error) {
	body, err := promptBody(workflow)
	if err != nil {
		return "", err
	}
	status, answer, err := p.conn.exchange(request(p.target, http.MethodPost, "/prompt", body))
	if err != nil {
		return "", err
	}
	var out struct {
		ID string `json:"prompt_id"`
	}
	if err := json.Unmarshal(answer, &out); err != nil || status != http.StatusOK {
		return "", fmt.Errorf("status %d: %.300s", status, answer)
	}
	return out.ID, nil
}

// ended waits for the next message that a prompt has come to its end, and returns its id.
func (p *prompter) ended(ctx context.Context) (string, error) {
	for {
		m, err := p.socket.Next(ctx)
		if err != nil {
			return "", err
		}
		switch m.Type {
		case "execution_error":
			return "", fmt.Errorf("running the workflow: %s", m.Data)
		case "executing":
			var of struct {
				Node *string
				ID   string `json:"prompt_id"`
			}
			if err := json.Unmarshal(m.Data, &of); err != nil {
				return "", err
			}
			if of.Node == nil {
				return of.ID, nil
			}
		}
	}
}

// accepted sends a prompt with cached results n times, and waits until all have run.
func (p *prompter) accepted(ctx context.Context, n int) error {
	heard := make(chan error, 1)
	go func() { // reads beside the sending: the server cuts off who does not
		for range n {
			if _, err := p.ended(ctx); err != nil {
				heard <- err
				return
			}
		}
		heard <- nil
	}()
	for range n {
		if _, err := p.post(trivial(0)); err != nil {
			p.socket.Close()
			return errors.Join(err, <-heard)
		}
	}
	return <-heard
}

// repeat runs n prompts, each when the one before has ended and its result was fetched.
func (p *prompter) repeat(ctx context.Context, n int, workflow func() map[string]any) error {
	for range n {
		id, err := p.post(workflow())
		if err != nil {
			return err
		}
		switch last, err := p.ended(ctx); {
		case err != nil:
			return err
		case last != id:
			return fmt.Errorf("prompt %s has ended and not %s", last, id)
		}
		_, body, err := p.conn.exchange(request(p.target, http.MethodGet, "/history/"+id, nil))
		if err != nil {
			return err
		}
		if !bytes.Contains(body, []byte(`"success"`)) {
			return fmt.Errorf("prompt %s is not in the history: %.200s", id, body)
		}
	}
	return nil
}
