package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
)

// authRoutes are the routes of the key store and of who one is. docs/auth-api.md describes them.
func (s *Server) authRoutes() []route {
	const get, post, patch, remove = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/api/auth/me", s.getMe, true},
		{post, "/api/auth/token", s.postToken, true},
		{get, "/api/auth/oidc/login", s.getOIDCLogin, true},
		{get, "/api/auth/oidc/callback", s.getOIDCCallback, true},
		{get, "/api/auth/keys", s.getKeys, true},
		{post, "/api/auth/keys", s.postKey, true},
		{get, "/api/auth/keys/:id", s.getKey, true},
		{remove, "/api/auth/keys/:id", s.deleteKey, true},
		{post, "/api/auth/keys/:id/rotate", s.postKeyRotate, true},
		{get, "/api/auth/users", s.getAuthUsers, true},
		{post, "/api/auth/users", s.postAuthUser, true},
		{get, "/api/auth/users/:id", s.getAuthUser, true},
		{patch, "/api/auth/users/:id", s.patchAuthUser, true},
		{remove, "/api/auth/users/:id", s.deleteAuthUser, true},
		{get, "/api/auth/roles", s.getRoles, true},
		{post, "/api/auth/roles", s.postRole, true},
		{get, "/api/auth/roles/:name", s.getRole, true},
		{patch, "/api/auth/roles/:name", s.patchRole, true},
		{remove, "/api/auth/roles/:name", s.deleteRole, true},
		{post, "/api/auth/roles/:name/permissions", s.postPermission, true},
		{remove, "/api/auth/roles/:name/permissions", s.deletePermission, true},
		{get, "/api/auth/permissions", s.getPermissions, true},
		{get, "/api/auth/audit", s.getAudit, true},
		{get, "/api/auth/sessions", s.getSessions, true},
		{remove, "/api/auth/sessions/:id", s.deleteSession, true},
		{get, "/api/workflows", s.getWorkflows, true},
		{post, "/api/workflows", s.postWorkflow, true},
		{get, "/api/workflows/:name", s.getWorkflow, true},
		{http.MethodPut, "/api/workflows/:name", s.putWorkflow, true},
		{remove, "/api/workflows/:name", s.deleteWorkflow, true},
		{post, "/api/workflows/:name/run", s.postWorkflowRun, true},
	}
}

// keyStore is the key store; without one the route answers 404.
func (s *Server) keyStore() (*auth.Store, error) {
	if store, ok := s.gate.(*auth.Store); ok {
		return store, nil
	}
	return nil, &refusal{http.StatusNotFound, "not_found", "There is no key store", "start the server with --auth", nil}
}

// asAdmin is the key store for somebody who changes what others may; a permission that a role was given by mistake does
// not suffice for that, or its owner could give himself all others.
func (s *Server) asAdmin(c echo.Context) (*auth.Store, auth.Actor, error) {
	store, err := s.keyStore()
	if err != nil {
		return nil, auth.Actor{}, err
	}
	if !s.who(c).Admin {
		return nil, auth.Actor{}, notPermitted("only administrators change what others may")
	}
	return store, s.actor(c), nil
}

func notPermitted(details string) error {
	return &refusal{http.StatusForbidden, "forbidden", "You may not do this", details, []any{"permission", auth.RoleAdministrator}}
}

// actor is who makes a request, for the audit log.
func (s *Server) actor(c echo.Context) auth.Actor {
	return auth.Actor{Principal: s.who(c), Addr: middleware.Address(c)}
}

// authTrouble makes an error of the key store one that can be answered.
func authTrouble(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, auth.ErrNotFound):
		return &refusal{http.StatusNotFound, "not_found", "There is no such thing", err.Error(), nil}
	case errors.Is(err, auth.ErrInvalid):
		return &refusal{http.StatusBadRequest, "bad_request", "The request cannot be used", err.Error(), nil}
	case errors.Is(err, auth.ErrExists):
		return &refusal{http.StatusConflict, "exists", "The name is taken", err.Error(), nil}
	case errors.Is(err, auth.ErrNoTokens):
		return &refusal{http.StatusForbidden, "forbidden", "You may not do this", err.Error(), nil}
	case errors.Is(err, auth.ErrUnauthenticated):
		return &refusal{http.StatusUnauthorized, "unauthorized", "An API key is required", err.Error(), nil}
	}
	return err
}

// reply answers with a value of the key store, or with its error. Answers are never kept, as they can hold a new key.
func (s *Server) reply(c echo.Context, status int, v any, err error) error {
	if err != nil {
		return authTrouble(err)
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	if status == http.StatusNoContent {
		return s.empty(c, status)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return s.body(c, status, jsonType, body)
}

// ask reads the body of a request to the key store. Fields that nobody knows are mistakes.
func (s *Server) ask(c echo.Context, into any) error {
	body, err := s.limited(c)
	if err != nil {
		return err
	}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return tooLarge(large.Limit)
		}
		return &refusal{http.StatusBadRequest, "bad_request", "The request cannot be used", "the body cannot be read: " + err.Error(), nil}
	}
	return nil
}

// getMe tells who makes the request. mode is off, keys or store; limits are the role's, 0 being none.
func (s *Server) getMe(c echo.Context) error {
	p := s.who(c)
	me := struct {
		Mode    string      `json:"mode"`
		ID      string      `json:"id"`
		Name    string      `json:"name"`
		Role    string      `json:"role"`
		Admin   bool        `json:"admin"`
		Key     string      `json:"key,omitempty"`
		Session string      `json:"session,omitempty"`
		Source  auth.Source `json:"source"`
		Expires *time.Time  `json:"expires"`
		Limits  auth.Limits `json:"limits"`
	}{
		Mode: s.gate.Mode().String(), ID: p.ID, Name: p.Name, Role: p.Role, Admin: p.Admin, Key: p.KeyID, Session: p.SessionID,
		Source: p.Source, Limits: s.gate.Limits(p),
	}
	if !p.Expires.IsZero() {
		at := p.Expires.UTC()
		me.Expires = &at
	}
	return s.reply(c, http.StatusOK, me, nil)
}

// postToken changes the key that the request shows for a short-lived token.
func (s *Server) postToken(c echo.Context) error {
	t, err := s.gate.IssueToken(c.Request().Context(), s.who(c))
	if err != nil {
		return authTrouble(err)
	}
	return s.reply(c, http.StatusOK, map[string]any{
		"token": t.Text, "token_type": "Bearer", "id": t.ID, "expires": t.Expires.UTC().Format(time.RFC3339),
		"expires_in": int64(time.Until(t.Expires).Round(time.Second).Seconds()),
	}, nil)
}
