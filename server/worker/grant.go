package worker

import (
	"context"
	"errors"
	"time"

	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// mayStillRun reports whether the right under which a job was accepted is still valid: it may have ended while no one
// watched, as while the server was down.
func (s *Service) mayStillRun(ctx context.Context, j *queue.Job) bool {
	store, ok := s.Gate.(keyStore)
	if !ok || j.Owner == "" {
		return true
	}
	if u, err := store.User(ctx, j.Owner); errors.Is(err, auth.ErrNotFound) || err == nil && u.Disabled {
		return false
	}
	if j.Grant == "" {
		return true
	}
	k, err := store.Key(ctx, j.Grant)
	if err != nil {
		return !errors.Is(err, auth.ErrNotFound)
	}
	return k.State == "active"
}

// keyStore is the part of a gate with users and keys that the server needs.
type keyStore interface {
	User(ctx context.Context, idOrName string) (auth.User, error)
	Key(ctx context.Context, id string) (auth.Key, error)
}

// notAllowedAnyMore returns the outcome of a job whose right has ended before its turn: it counts as interrupted.
func notAllowedAnyMore(j *queue.Job, now time.Time) queue.Outcome {
	data := pyjson.NewObject("prompt_id", j.ID, "node_id", nil, "node_type", nil, "executed", []any{}, "timestamp", now.UnixMilli())
	return queue.Outcome{Messages: []queue.Message{{Event: "execution_interrupted", Data: data}}}
}
