package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/jobs"
	"comfygo/server/prompts"
	"comfygo/server/reply"
)

// GetWorkflows lists the registered workflows that one may run. The graphs are shown to administrators only.
func (s *Service) GetWorkflows(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return echo.ErrNotFound // as upstream, which has no such route: clients of its cloud ask for it
	}
	p := s.Access.Who(c)
	list, err := store.Workflows(c.Request().Context(), p)
	for i := range list {
		list[i] = shown(p, list[i])
	}
	return s.answer(c, http.StatusOK, map[string]any{"workflows": list}, err)
}

// shown is a workflow without its graph, which only administrators see.
func shown(p auth.Principal, w auth.Workflow) auth.Workflow {
	if !p.Admin {
		w.Graph = nil
	}
	return w
}

// GetWorkflow returns a registered workflow.
func (s *Service) GetWorkflow(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	w, err := store.Workflow(c.Request().Context(), reply.Param(c, "name"))
	return s.answer(c, http.StatusOK, shown(s.Access.Who(c), w), err)
}

// workflowIn is the body that registers a workflow.
type workflowIn struct {
	Name   string           `json:"name"`
	Title  string           `json:"title"`
	Public bool             `json:"public"`
	Free   []auth.FreeInput `json:"free"`
	Graph  json.RawMessage  `json:"graph"`
}

// PostWorkflow registers a workflow under a new name. Body: name, title, public, free (list of name, node, input), graph.
func (s *Service) PostWorkflow(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var in workflowIn
	if err := s.ask(c, &in); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if _, err := store.Workflow(ctx, in.Name); err == nil {
		return authTrouble(fmt.Errorf("workflow %s: %w", in.Name, auth.ErrExists))
	}
	w, err := store.PutWorkflow(ctx, by, auth.Workflow{Name: in.Name, Title: in.Title, Public: in.Public, Free: in.Free, Graph: in.Graph})
	return s.answer(c, http.StatusCreated, w, err)
}

// PutWorkflow registers a workflow, or replaces the one of that name. Body as in postWorkflow, without the name.
func (s *Service) PutWorkflow(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var in workflowIn
	if err := s.ask(c, &in); err != nil {
		return err
	}
	w, err := store.PutWorkflow(c.Request().Context(), by, auth.Workflow{
		Name: reply.Param(c, "name"), Title: in.Title, Public: in.Public, Free: in.Free, Graph: in.Graph,
	})
	return s.answer(c, http.StatusOK, w, err)
}

// DeleteWorkflow takes a workflow out of the register.
func (s *Service) DeleteWorkflow(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusNoContent, nil, store.DeleteWorkflow(c.Request().Context(), by, reply.Param(c, "name")))
}

// PostWorkflowRun queues a registered workflow. Body: inputs (the free ones by name; others stay as they were registered),
// client_id. Query: wait, as for POST /prompt; the answers are those of POST /prompt, too.
func (s *Service) PostWorkflowRun(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	patience, err := jobs.WaitQuery(c)
	if err != nil {
		return s.Reply.Complain(c, http.StatusBadRequest, err.Error())
	}
	var in struct {
		Inputs map[string]json.RawMessage `json:"inputs"`
		Client string                     `json:"client_id"`
	}
	if c.Request().ContentLength != 0 {
		if err := s.ask(c, &in); err != nil {
			return err
		}
	}
	name := reply.Param(c, "name")
	graph, err := store.Fill(name, in.Inputs)
	if err != nil {
		return authTrouble(err)
	}
	prompt, err := pyjson.UnmarshalObject(graph)
	if err != nil {
		return fmt.Errorf("reading the workflow %s: %w", name, err)
	}
	extra := pyjson.NewObject()
	if in.Client != "" {
		extra.Set("client_id", in.Client)
	}
	number, err := queue.NextOf(s.Queue)
	if err != nil {
		return err
	}
	n := prompts.Candidate{
		ID: uuid.NewString(), Number: number, Prompt: prompt, Extra: extra, Workflow: name,
	}
	job, verdict, err := s.Prompts.Enqueue(c, n)
	var options *prompts.OptionsError
	switch {
	case errors.As(err, &options):
		return s.Prompts.Refuse(c, "invalid_options", "extra_data.comfygo cannot be used", err.Error())
	case err != nil:
		return err
	case job == nil:
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", verdict.Error, "node_errors", reply.OrEmpty(verdict.NodeErrors)))
	}
	reply := pyjson.NewObject("prompt_id", n.ID, "number", n.Number.JSON(), "node_errors", reply.OrEmpty(verdict.NodeErrors))
	return s.Jobs.Accepted(c, job, reply, patience)
}
