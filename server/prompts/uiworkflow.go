package prompts

import (
	"fmt"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

// convertSaved puts a prompt in the place of a workflow as the front end saves it, which a client may send as "prompt" or,
// without a prompt, as "workflow". The workflow itself goes where the front end sends it, so that images carry it. The
// request is changed; one that holds a prompt is left alone.
func (s *Service) convertSaved(c echo.Context, request *pyjson.Object) error {
	saved, given := request.Get("prompt")
	if !given {
		saved, given = request.Get("workflow")
	}
	if !given || !workflow.IsWorkflow(saved) {
		return nil
	}
	prompt, err := workflow.Converter{Definitions: s.Nodes.Definitions(c)}.Convert(saved.(*pyjson.Object))
	if err != nil {
		return fmt.Errorf("converting the workflow: %w", err)
	}
	request.Set("prompt", prompt)
	extra, ok := request.Get("extra_data")
	if !ok || extra == nil {
		extra = pyjson.NewObject()
		request.Set("extra_data", extra)
	}
	data, ok := extra.(*pyjson.Object)
	if !ok {
		return nil // it is refused later
	}
	if !data.Has("extra_pnginfo") {
		data.Set("extra_pnginfo", pyjson.NewObject())
	}
	if info := data.Object("extra_pnginfo"); info != nil && !info.Has("workflow") {
		info.Set("workflow", saved)
	}
	return nil
}
