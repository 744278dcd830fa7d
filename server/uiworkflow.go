package server

import (
	"fmt"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/workflow"
)

// convertSaved puts a prompt in the place of a workflow as the front end saves it, which a client may send as "prompt" or,
// without a prompt, as "workflow". The workflow itself goes where the front end sends it, so that pictures carry it. The
// request is changed; one that holds a prompt is left alone.
func (s *Server) convertSaved(c echo.Context, request *pyjson.Object) error {
	saved, given := request.Get("prompt")
	if !given {
		saved, given = request.Get("workflow")
	}
	if !given || !workflow.IsWorkflow(saved) {
		return nil
	}
	prompt, err := workflow.Converter{Definitions: s.definitions(c)}.Convert(saved.(*pyjson.Object))
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

// definitions are the node classes as /object_info has them for the request.
func (s *Server) definitions(c echo.Context) workflow.Definitions {
	return Definitions(s.cfg.Executor.Registry(), s.envOf(c))
}

// Definitions are the node classes of a registry as /object_info has them.
func Definitions(registry *nodes.Registry, env nodes.Env) workflow.Definitions {
	return func(name string) *pyjson.Object {
		class, ok := registry.Get(name)
		if !ok {
			return nil
		}
		data, err := pyjson.Marshal(class.Info(env))
		if err != nil {
			return nil // such a class is missing in /object_info, too
		}
		info, err := pyjson.UnmarshalObject(data)
		if err != nil {
			return nil
		}
		return info
	}
}
