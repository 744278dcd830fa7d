package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
)

// Progress is the progress of a node.
type Progress struct {
	Node  string `json:"node"`
	Value int    `json:"value"`
	Max   int    `json:"max"`
}

// Follow queues a workflow over an open socket, passes every message of its prompt to see (which
// may be nil) and returns the result when the prompt has ended, whether successfully or not.
func (c *Client) Follow(ctx context.Context, s *Socket, clientID string, workflow any, see func(Message)) (Result, error) {
	id, err := c.Queue(ctx, workflow, clientID)
	if err != nil {
		return Result{}, err
	}
	for {
		m, err := s.Next(ctx)
		if err != nil {
			return Result{}, err
		}
		var of struct {
			Prompt string  `json:"prompt_id"`
			Node   *string `json:"node"`
		}
		if err := json.Unmarshal(m.Data, &of); err != nil || of.Prompt != id {
			continue
		}
		if see != nil {
			see(m)
		}
		if m.Type == "executing" && of.Node == nil {
			break
		}
	}
	result, ok, err := c.History(ctx, id)
	if err == nil && !ok {
		err = fmt.Errorf("prompt %s has ended but is not in the history", id)
	}
	return result, err
}
