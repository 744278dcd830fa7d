package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
	"comfygo/server/reply"
)

// keyStore returns the key store; without one the route answers 404.
func (s *Service) keyStore() (*auth.Store, error) {
	if store, ok := s.Gate.(*auth.Store); ok {
		return store, nil
	}
	return nil, reply.Refuse(http.StatusNotFound, "not_found", "There is no key store", "start the server with --auth")
}

// asAdmin is the key store for a principal that changes permissions; a permission that a role was given by mistake does
// not suffice for that, or its owner could give himself all others.
func (s *Service) asAdmin(c echo.Context) (*auth.Store, auth.Actor, error) {
	store, err := s.keyStore()
	if err != nil {
		return nil, auth.Actor{}, err
	}
	if !s.Access.Who(c).Admin {
		return nil, auth.Actor{}, notPermitted("only administrators change what others may")
	}
	return store, s.actor(c), nil
}

func notPermitted(details string) error {
	return reply.Refuse(http.StatusForbidden, "forbidden", "You may not do this", details, "permission", auth.RoleAdministrator)
}

// actor is the principal of a request, for the audit log.
func (s *Service) actor(c echo.Context) auth.Actor {
	return auth.Actor{Principal: s.Access.Who(c), Addr: middleware.Address(c)}
}

// authTrouble makes an error of the key store one that can be answered.
func authTrouble(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, auth.ErrNotFound):
		return reply.Refuse(http.StatusNotFound, "not_found", "There is no such thing", err.Error())
	case errors.Is(err, auth.ErrInvalid):
		return reply.Refuse(http.StatusBadRequest, "bad_request", "The request cannot be used", err.Error())
	case errors.Is(err, auth.ErrExists):
		return reply.Refuse(http.StatusConflict, "exists", "The name is taken", err.Error())
	case errors.Is(err, auth.ErrNoTokens):
		return reply.Refuse(http.StatusForbidden, "forbidden", "You may not do this", err.Error())
	case errors.Is(err, auth.ErrUnauthenticated):
		return reply.Refuse(http.StatusUnauthorized, "unauthorized", "An API key is required", err.Error())
	}
	return err
}

// answer answers with a value of the key store, or with its error. Answers are never kept, as they can hold a new key.
func (s *Service) answer(c echo.Context, status int, v any, err error) error {
	if err != nil {
		return authTrouble(err)
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	if status == http.StatusNoContent {
		return s.Reply.Empty(c, status)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return s.Reply.Body(c, status, reply.JSONType, body)
}

// ask reads the body of a request to the key store. Unknown fields are errors.
func (s *Service) ask(c echo.Context, into any) error {
	body, err := s.Reply.Limited(c)
	if err != nil {
		return err
	}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return reply.TooLarge(large.Limit)
		}
		return reply.Refuse(http.StatusBadRequest, "bad_request", "The request cannot be used", "the body cannot be read: "+err.Error())
	}
	return nil
}

// GetMe describes the principal of the request. mode is off, keys or store; limits are the role's, 0 meaning none.
func (s *Service) GetMe(c echo.Context) error {
	p := s.Access.Who(c)
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
		// Permissions is omitted for principals with all permissions.
		Permissions []string `json:"permissions,omitzero"`
	}{
		Mode: s.Gate.Mode().String(), ID: p.ID, Name: p.Name, Role: p.Role, Admin: p.Admin, Key: p.KeyID, Session: p.SessionID,
		Source: p.Source, Limits: s.Gate.Limits(p),
	}
	if store, ok := s.Gate.(*auth.Store); ok {
		me.Permissions = store.Permissions(p)
	}
	if !p.Expires.IsZero() {
		at := p.Expires.UTC()
		me.Expires = &at
	}
	return s.answer(c, http.StatusOK, me, nil)
}

// PostToken changes the key that the request shows for a short-lived token.
func (s *Service) PostToken(c echo.Context) error {
	t, err := s.Gate.IssueToken(c.Request().Context(), s.Access.Who(c))
	if err != nil {
		return authTrouble(err)
	}
	return s.answer(c, http.StatusOK, map[string]any{
		"token": t.Text, "token_type": "Bearer", "id": t.ID, "expires": t.Expires.UTC().Format(time.RFC3339),
		"expires_in": int64(time.Until(t.Expires).Round(time.Second).Seconds()),
	}, nil)
}
