package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/auth"
	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/middleware"
	"comfygo/queue"
)

// refusal is something that somebody may not do, however well the request is made.
type refusal struct {
	status                int
	typ, message, details string
	more                  []any
}

// Error says what is refused.
func (e *refusal) Error() string { return e.message + ": " + e.details }

// inFolders is the context in which a request's prompt is checked: with the folders of its owner.
func (s *Server) inFolders(c echo.Context) context.Context {
	ctx := c.Request().Context()
	if !s.owned() {
		return ctx
	}
	return executor.InFolders(ctx, s.ownFolders(c))
}

// mayRun refuses a graph that whoever sends it may not run: one that is no registered workflow. It returns the name of the
// registered workflow that the graph is, "" when nobody had to look.
func (s *Server) mayRun(c echo.Context, n candidate) (workflow string, err error) {
	if !s.owned() || s.who(c).Admin || n.workflow != "" {
		return n.workflow, nil
	}
	return s.allowGraph(c, n.prompt)
}

// mayMake refuses a graph that makes more pixels than whoever sends it may. It looks at the graph that will run, when old
// classes have their successors.
func (s *Server) mayMake(c echo.Context, prompt *pyjson.Object, workflow string) error {
	if !s.owned() || s.who(c).Admin {
		return nil
	}
	most := s.gate.Limits(s.who(c)).Megapixels
	if most <= 0 {
		return nil
	}
	err := s.checkSize(c, prompt, most)
	if err != nil {
		s.note(c, auth.ActionRun, auth.ResultDenied, workflow, err.Error())
	}
	return err
}

// allowGraph asks the gate about a graph.
func (s *Server) allowGraph(c echo.Context, prompt *pyjson.Object) (workflow string, err error) {
	graph, err := pyjson.Marshal(prompt)
	if err != nil {
		return "", trouble("reading the prompt: %w", err)
	}
	workflow, err = s.gate.AllowPrompt(s.who(c), graph)
	var differs *auth.GraphError
	switch {
	case errors.As(err, &differs):
		s.note(c, auth.ActionRun, auth.ResultDenied, differs.Workflow, differs.Difference)
		return "", &refusal{
			http.StatusForbidden, "workflow_not_allowed", "This workflow may not be run", differs.Error(),
			[]any{"permission", "POST /prompt", "workflow", orNull(differs.Workflow), "difference", differs.Difference},
		}
	case err != nil:
		return "", fmt.Errorf("deciding on a prompt: %w", err)
	}
	return workflow, nil
}

// checkSize refuses a graph that makes more than so many megapixels, and one of which nobody can tell.
func (s *Server) checkSize(c echo.Context, prompt *pyjson.Object, most float64) error {
	const million = 1e6
	pixels, unknown := pixelsOf(prompt, s.cfg.Executor.Registry(), s.ownFolders(c))
	size := pixels / million
	details := ""
	switch {
	case unknown != "":
		details = fmt.Sprintf("it cannot be told how large the pictures of node %s will be, and your role may make %g megapixels a job", unknown, most)
	case size > most:
		details = fmt.Sprintf("the job makes %.2f megapixels, and your role may make %g", size, most)
	default:
		return nil
	}
	return &refusal{
		http.StatusForbidden, "too_many_megapixels", "The pictures are too large", details,
		[]any{"limit", "megapixels", "allowed", most, "asked", size},
	}
}

// put queues a job for who makes the request.
func (s *Server) put(c echo.Context, job *queue.Job, workflow string) error {
	if !s.guarded() {
		return s.queue.Put(job)
	}
	p := s.who(c)
	job.Owner, job.Grant = p.ID, p.KeyID
	if s.owned() {
		job.OwnerLimit = s.gate.Limits(p).Queued
		if !p.Admin { // who goes before others is an administrator's matter
			job.Options.Priority = min(job.Options.Priority, queue.Normal)
		}
	}
	if err := s.queue.Put(job); err != nil {
		return err
	}
	s.note(c, auth.ActionRun, auth.ResultOK, job.ID, workflow)
	// The right may have ended while the job was on its way: whoever has dropped its jobs did not see this one.
	if _, err := s.gate.Refresh(p); errors.Is(err, auth.ErrUnauthenticated) {
		_, _ = s.queue.Of(job.Owner).Cancel(job.ID) // what could not be dropped is found when it is about to run
		return &refusal{http.StatusUnauthorized, "unauthorized", "The credential has ended", err.Error(), nil}
	}
	return nil
}

// note writes into the audit log what a request has done or was refused.
func (s *Server) note(c echo.Context, action auth.Action, result auth.Result, target, detail string) {
	if !s.guarded() {
		return
	}
	s.gate.Audit(c.Request().Context(), auth.EventOf(s.who(c), middleware.Address(c), action, result, target, detail))
}

// audited is f, which deletes something, with a line in the audit log.
func (s *Server) audited(c echo.Context, target string, f func() error) func() error {
	return func() error {
		err := f()
		result := auth.ResultOK
		if err != nil {
			result = auth.ResultFailed
		}
		s.note(c, auth.ActionDelete, result, target, "")
		return err
	}
}

// mayStillRun reports whether the right under which a job was accepted is still good: it may have ended while nobody
// watched, as while the server was down.
func (s *Server) mayStillRun(ctx context.Context, j *queue.Job) bool {
	store, ok := s.gate.(keyStore)
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

// keyStore is what the server asks of a gate that keeps users and keys.
type keyStore interface {
	User(ctx context.Context, idOrName string) (auth.User, error)
	Key(ctx context.Context, id string) (auth.Key, error)
}

// notAllowedAnyMore is what becomes of a job whose right has ended before its turn: it counts as interrupted.
func notAllowedAnyMore(j *queue.Job, now time.Time) queue.Outcome {
	data := pyjson.NewObject("prompt_id", j.ID, "node_id", nil, "node_type", nil, "executed", []any{}, "timestamp", now.UnixMilli())
	return queue.Outcome{Messages: []queue.Message{{Event: "execution_interrupted", Data: data}}}
}

// assetContext is a context in which the catalogue looks for an owner's files.
func (s *Server) assetContext(ctx context.Context, owner string) context.Context {
	if !s.owned() {
		return ctx
	}
	return assets.In(ctx, s.foldersOf(owner))
}

// placeOf is a prompt's place in the queue. Where owners are told apart it is the next one: who goes before whom is an
// administrator's matter.
func (s *Server) placeOf(c echo.Context, body any) (queue.Number, error) {
	n, err := s.number(body)
	if err == nil && s.owned() && !s.who(c).Admin && (n.Float || n.Value < 0) {
		n = queue.Number{Value: float64(s.queue.NextNumber())}
	}
	return n, err
}

// cancel ends a job that a request may end, with a line in the audit log.
func (s *Server) cancel(c echo.Context, id string) (queue.State, error) {
	state, err := s.jobs(c).Cancel(id)
	if state != queue.StateNone {
		s.note(c, auth.ActionDelete, auth.ResultOK, id, "cancelled while "+string(state))
	}
	return state, err
}
