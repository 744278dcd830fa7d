package prompts

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// mayRun refuses a graph that the caller may not run: one that is not a registered workflow. It returns the name of the
// registered workflow that equals the graph, or "" if the graph was not compared.
func (s *Service) mayRun(c echo.Context, n Candidate) (workflow string, err error) {
	if !s.Access.Owned() || s.Access.Who(c).Admin || n.Workflow != "" {
		return n.Workflow, nil
	}
	return s.allowGraph(c, n.Prompt)
}

// mayMake refuses a graph that makes more pixels than the caller's limit. It checks the graph that will run, with old
// classes replaced by their successors.
func (s *Service) mayMake(c echo.Context, prompt *pyjson.Object, workflow string) error {
	if !s.Access.Owned() || s.Access.Who(c).Admin {
		return nil
	}
	most := s.Gate.Limits(s.Access.Who(c)).Megapixels
	if most <= 0 {
		return nil
	}
	err := s.checkSize(c, prompt, most)
	if err != nil {
		s.Access.Note(c, auth.ActionRun, auth.ResultDenied, workflow, err.Error())
	}
	return err
}

// allowGraph asks the gate about a graph.
func (s *Service) allowGraph(c echo.Context, prompt *pyjson.Object) (workflow string, err error) {
	graph, err := pyjson.Marshal(prompt)
	if err != nil {
		return "", reply.Trouble("reading the prompt: %w", err)
	}
	workflow, err = s.Gate.AllowPrompt(s.Access.Who(c), graph)
	var differs *auth.GraphError
	switch {
	case errors.As(err, &differs):
		s.Access.Note(c, auth.ActionRun, auth.ResultDenied, differs.Workflow, differs.Difference)
		return "", reply.Refuse(
			http.StatusForbidden, "workflow_not_allowed", "This workflow may not be run", differs.Error(),
			"permission", "POST /prompt", "workflow", reply.OrNull(differs.Workflow), "difference", differs.Difference,
		)
	case err != nil:
		return "", fmt.Errorf("deciding on a prompt: %w", err)
	}
	return workflow, nil
}

// checkSize refuses a graph that makes more than the given number of megapixels, or an unknown number.
func (s *Service) checkSize(c echo.Context, prompt *pyjson.Object, most float64) error {
	const million = 1e6
	pixels, unknown := pixelsOf(prompt, s.Registry, s.Access.OwnFolders(c))
	size := pixels / million
	details := ""
	switch {
	case unknown != "":
		details = fmt.Sprintf("it cannot be told how large the images of node %s will be, and your role may make %g megapixels a job", unknown, most)
	case size > most:
		details = fmt.Sprintf("the job makes %.2f megapixels, and your role may make %g", size, most)
	default:
		return nil
	}
	return reply.Refuse(
		http.StatusForbidden, "too_many_megapixels", "The images are too large", details,
		"limit", "megapixels", "allowed", most, "asked", size,
	)
}

// put queues a job for the caller.
func (s *Service) put(c echo.Context, job *queue.Job, workflow string) error {
	if !s.Access.Guarded() {
		return s.Queue.Put(job)
	}
	p := s.Access.Who(c)
	job.Owner, job.Grant = p.ID, p.KeyID
	if s.Access.Owned() {
		job.OwnerLimit = s.Gate.Limits(p).Queued
		if !p.Admin { // who goes before others is an administrator's matter
			job.Options.Priority = min(job.Options.Priority, queue.Normal)
		}
	}
	if err := s.Queue.Put(job); err != nil {
		return err
	}
	s.Access.Note(c, auth.ActionRun, auth.ResultOK, job.ID, workflow)
	// The right may have ended while the job was being accepted: the call that dropped its jobs did not see this one.
	if _, err := s.Gate.Refresh(p); errors.Is(err, auth.ErrUnauthenticated) {
		_, _ = s.Queue.Of(job.Owner).Cancel(job.ID) // what could not be dropped is found when it is about to run
		return reply.Refuse(http.StatusUnauthorized, "unauthorized", "The credential has ended", err.Error())
	}
	return nil
}

// placeOf is a prompt's position in the queue. With owners it is the next one: only administrators
// reorder the queue.
func (s *Service) placeOf(c echo.Context, body any) (queue.Number, error) {
	n, err := s.number(body)
	if err == nil && s.Access.Owned() && !s.Access.Who(c).Admin && (n.Float || n.Value < 0) {
		return queue.NextOf(s.Queue)
	}
	return n, err
}
