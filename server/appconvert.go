package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

// convertRoutes are beside POST /prompt, which converts by itself: for those who want to see the prompt first.
func (s *Server) convertRoutes() []route {
	return []route{{http.MethodPost, "/api/workflow/convert", s.postConvert, true}}
}

// postConvert turns a workflow as the front end saves it into a prompt, and queues nothing. The body is the workflow, or
// holds it as "workflow". It answers 200 with {"prompt": …}, and 400 with an error as of POST /prompt.
func (s *Server) postConvert(c echo.Context) error {
	body, err := s.readJSON(c)
	if err != nil {
		return err
	}
	saved := body
	if o, ok := body.(*pyjson.Object); ok && !workflow.IsWorkflow(o) {
		saved, _ = o.Get("workflow")
	}
	if !workflow.IsWorkflow(saved) {
		return s.refuse(c, "invalid_workflow", "The workflow cannot be converted", "the body is no workflow as the front end saves it")
	}
	prompt, err := workflow.Converter{Definitions: s.definitions(c)}.Convert(saved.(*pyjson.Object))
	if err != nil {
		return s.refuse(c, "invalid_workflow", "The workflow cannot be converted", err.Error())
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("prompt", prompt))
}
