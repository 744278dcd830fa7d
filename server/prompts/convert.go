package prompts

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

// PostConvert turns a workflow as the front end saves it into a prompt, and queues nothing. The body is the workflow, or
// holds it as "workflow". It answers 200 with {"prompt": …}, and 400 with an error as of POST /prompt.
func (s *Service) PostConvert(c echo.Context) error {
	body, err := s.Reply.ReadJSON(c)
	if err != nil {
		return err
	}
	saved := body
	if o, ok := body.(*pyjson.Object); ok && !workflow.IsWorkflow(o) {
		saved, _ = o.Get("workflow")
	}
	if !workflow.IsWorkflow(saved) {
		return s.Refuse(c, "invalid_workflow", "The workflow cannot be converted", "the body is no workflow as the front end saves it")
	}
	prompt, err := workflow.Converter{Definitions: s.Nodes.Definitions(c)}.Convert(saved.(*pyjson.Object))
	if err != nil {
		return s.Refuse(c, "invalid_workflow", "The workflow cannot be converted", err.Error())
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("prompt", prompt))
}
