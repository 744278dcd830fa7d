package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/nodes/pyjson"
)

// assetRoutes are the routes of the asset API. They say that it is switched off, as upstream's do without
// --enable-assets.
func (s *Server) assetRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{http.MethodHead, "/api/assets/hash/:hash", s.noAssets, true},
		{get, "/api/assets", s.noAssets, true},
		{post, "/api/assets", s.noAssets, true},
		{post, "/api/assets/from-hash", s.noAssets, true},
		{get, "/api/assets/tags/refine", s.noAssets, true},
		{post, "/api/assets/seed", s.noAssets, true},
		{get, "/api/assets/seed/status", s.noAssets, true},
		{post, "/api/assets/seed/cancel", s.noAssets, true},
		{post, "/api/assets/prune", s.noAssets, true},
		{get, "/api/assets/:id", s.noAssets, true},
		{http.MethodPut, "/api/assets/:id", s.noAssets, true},
		{http.MethodDelete, "/api/assets/:id", s.noAssets, true},
		{get, "/api/assets/:id/content", s.noAssets, true},
		{post, "/api/assets/:id/tags", s.noAssets, true},
		{http.MethodDelete, "/api/assets/:id/tags", s.noAssets, true},
		{get, "/api/tags", s.noAssets, true},
	}
}

func (s *Server) noAssets(c echo.Context) error {
	if slices.Contains(c.ParamNames(), "id") && !isJobID(strings.ToLower(c.Param("id"))) {
		return s.unrouted(c, nil) // only UUIDs are routed
	}
	return s.json(c, http.StatusServiceUnavailable, pyjson.NewObject("error", pyjson.NewObject("code", "SERVICE_DISABLED",
		"message", "Assets system is disabled. Start the server with --enable-assets to use this feature.",
		"details", pyjson.NewObject())))
}
