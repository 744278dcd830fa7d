package models

import (
	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/workflow"
)

// Definitions are the node classes as /object_info has them for the request.
func (s *ObjectInfo) Definitions(c echo.Context) workflow.Definitions {
	return Definitions(s.Registry, s.envOf(c))
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
