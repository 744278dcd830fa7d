package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/nodes/pyjson"
)

// getObjectInfo describes all node classes.
func (s *Server) getObjectInfo(c echo.Context) error {
	e := s.cfg.Executor
	return s.json(c, http.StatusOK, e.Registry().Infos(e.Env()))
}

// getObjectInfoOf describes one node class; {} when it is unknown.
func (s *Server) getObjectInfoOf(c echo.Context) error {
	e := s.cfg.Executor
	out := pyjson.NewObject()
	name := param(c, "node_class")
	if class, ok := e.Registry().Get(name); ok {
		out.Set(name, class.Info(e.Env()))
	}
	return s.json(c, http.StatusOK, out)
}
