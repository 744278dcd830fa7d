package server

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
)

// getWorkflows lists the registered workflows that one may run. The graphs are shown to administrators only.
func (s *Server) getWorkflows(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return echo.ErrNotFound // as upstream, where there is no such route: clients of its cloud ask for it
	}
	p := s.who(c)
	list, err := store.Workflows(c.Request().Context(), p)
	for i := range list {
		list[i] = shown(p, list[i])
	}
	return s.reply(c, http.StatusOK, map[string]any{"workflows": list}, err)
}

// shown is a workflow as somebody may see it: the graph is the administrators' matter.
func shown(p auth.Principal, w auth.Workflow) auth.Workflow {
	if !p.Admin {
		w.Graph = nil
	}
	return w
}

// getWorkflow tells about a registered workflow.
func (s *Server) getWorkflow(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	w, err := store.Workflow(c.Request().Context(), param(c, "name"))
	return s.reply(c, http.StatusOK, shown(s.who(c), w), err)
}

// workflowIn is the body that registers a workflow.
type workflowIn struct {
	Name   string           `json:"name"`
	Title  string           `json:"title"`
	Public bool             `json:"public"`
	Free   []auth.FreeInput `json:"free"`
	Graph  json.RawMessage  `json:"graph"`
}

// postWorkflow registers a workflow under a new name. Body: name, title, public, free (list of name, node, input), graph.
func (s *Server) postWorkflow(c echo.Context) error {
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
	return s.reply(c, http.StatusCreated, w, err)
}

// putWorkflow registers a workflow, or replaces the one of that name. Body as in postWorkflow, without the name.
func (s *Server) putWorkflow(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var in workflowIn
	if err := s.ask(c, &in); err != nil {
		return err
	}
	w, err := store.PutWorkflow(c.Request().Context(), by, auth.Workflow{
		Name: param(c, "name"), Title: in.Title, Public: in.Public, Free: in.Free, Graph: in.Graph,
	})
	return s.reply(c, http.StatusOK, w, err)
}

// deleteWorkflow takes a workflow out of the register.
func (s *Server) deleteWorkflow(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	return s.reply(c, http.StatusNoContent, nil, store.DeleteWorkflow(c.Request().Context(), by, param(c, "name")))
}

// postWorkflowRun queues a registered workflow. Body: inputs (the free ones by name; others stay as they were registered),
// client_id. Query: wait, as for POST /prompt, whose answers it has.
func (s *Server) postWorkflowRun(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	patience, err := waitQuery(c)
	if err != nil {
		return s.complain(c, http.StatusBadRequest, err.Error())
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
	name := param(c, "name")
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
	n := candidate{
		id: uuid.NewString(), number: queue.Number{Value: float64(s.queue.NextNumber())}, prompt: prompt, extra: extra, workflow: name,
	}
	job, verdict, err := s.enqueue(c, n)
	var options *optionsError
	switch {
	case errors.As(err, &options):
		return s.refuse(c, "invalid_options", "extra_data.comfygo cannot be used", err.Error())
	case err != nil:
		return err
	case job == nil:
		return s.json(c, http.StatusBadRequest, pyjson.NewObject("error", verdict.Error, "node_errors", orEmpty(verdict.NodeErrors)))
	}
	reply := pyjson.NewObject("prompt_id", n.id, "number", n.number.JSON(), "node_errors", orEmpty(verdict.NodeErrors))
	return s.accepted(c, job, reply, patience)
}
