package auth

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/server/reply"
)

func compareText(a, b string) int { return strings.Compare(a, b) }

// GetAuthUsers lists the users.
func (s *Service) GetAuthUsers(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	users, err := store.Users(c.Request().Context())
	return s.answer(c, http.StatusOK, map[string]any{"users": users}, err)
}

// GetAuthUser returns a user, by id or name.
func (s *Service) GetAuthUser(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	u, err := store.User(c.Request().Context(), reply.Param(c, "id"))
	return s.answer(c, http.StatusOK, u, err)
}

// PostAuthUser makes a user. Body: name, role.
func (s *Service) PostAuthUser(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var in struct {
		Name string `json:"name"`
		Role string `json:"role"`
	}
	if err := s.ask(c, &in); err != nil {
		return err
	}
	if in.Role == "" {
		in.Role = auth.RoleUser
	}
	u, err := store.CreateUser(c.Request().Context(), by, in.Name, in.Role)
	return s.answer(c, http.StatusCreated, u, err)
}

// PatchAuthUser changes a user's role, or shuts the user out. Body: role, disabled.
func (s *Service) PatchAuthUser(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var in struct {
		Role     *string `json:"role"`
		Disabled *bool   `json:"disabled"`
	}
	if err := s.ask(c, &in); err != nil {
		return err
	}
	ctx, id := c.Request().Context(), reply.Param(c, "id")
	if in.Role != nil {
		if _, err := store.SetUserRole(ctx, by, id, *in.Role); err != nil {
			return authTrouble(err)
		}
	}
	if in.Disabled != nil {
		if _, err := store.SetUserDisabled(ctx, by, id, *in.Disabled); err != nil {
			return authTrouble(err)
		}
	}
	u, err := store.User(ctx, id)
	return s.answer(c, http.StatusOK, u, err)
}

// DeleteAuthUser deletes a user with all keys; jobs and files stay, for administrators to see.
func (s *Service) DeleteAuthUser(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusNoContent, nil, store.DeleteUser(c.Request().Context(), by, reply.Param(c, "id")))
}

// GetRoles lists the roles with their permissions and limits.
func (s *Service) GetRoles(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	roles, err := store.Roles(c.Request().Context())
	return s.answer(c, http.StatusOK, map[string]any{"roles": roles}, err)
}

// GetRole returns a role.
func (s *Service) GetRole(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	r, err := store.Role(c.Request().Context(), reply.Param(c, "name"))
	return s.answer(c, http.StatusOK, r, err)
}

// PostRole makes a role. Body: name, and like, the role whose permissions and limits are copied.
func (s *Service) PostRole(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var in struct {
		Name string `json:"name"`
		Like string `json:"like"`
	}
	if err := s.ask(c, &in); err != nil {
		return err
	}
	r, err := store.CreateRole(c.Request().Context(), by, in.Name, in.Like)
	return s.answer(c, http.StatusCreated, r, err)
}

// PatchRole replaces a role's limits. Body: limits.
func (s *Service) PatchRole(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	ctx, name := c.Request().Context(), reply.Param(c, "name")
	r, err := store.Role(ctx, name)
	if err != nil {
		return authTrouble(err)
	}
	in := struct {
		Limits auth.Limits `json:"limits"`
	}{r.Limits} // what the body does not say stays
	if err := s.ask(c, &in); err != nil {
		return err
	}
	r, err = store.SetLimits(ctx, by, name, in.Limits)
	return s.answer(c, http.StatusOK, r, err)
}

// DeleteRole deletes a role that no user has.
func (s *Service) DeleteRole(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusNoContent, nil, store.DeleteRole(c.Request().Context(), by, reply.Param(c, "name")))
}

// PostPermission gives a role a permission. Body: method, route, workflow.
func (s *Service) PostPermission(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var g auth.Grant
	if err := s.ask(c, &g); err != nil {
		return err
	}
	r, err := store.Grant(c.Request().Context(), by, reply.Param(c, "name"), g)
	return s.answer(c, http.StatusOK, r, err)
}

// DeletePermission takes a permission from a role; method, route and workflow are in the query.
func (s *Service) DeletePermission(c echo.Context) error {
	store, by, err := s.asAdmin(c)
	if err != nil {
		return err
	}
	var g auth.Grant
	g.Method, _ = reply.Query(c, "method")
	g.Route, _ = reply.Query(c, "route")
	g.Workflow, _ = reply.Query(c, "workflow")
	r, err := store.Ungrant(c.Request().Context(), by, reply.Param(c, "name"), g)
	return s.answer(c, http.StatusOK, r, err)
}

// permissionView is a row of the table of permissions.
type permissionView struct {
	Method   string            `json:"method"`
	Route    string            `json:"route"`
	Open     bool              `json:"open"`
	Roles    []string          `json:"roles"`
	Workflow map[string]string `json:"workflow"`
}

// GetPermissions shows for every endpoint which roles may use it; Administrator always may.
func (s *Service) GetPermissions(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	list := []permissionView{}
	for _, r := range store.Rules() {
		v := permissionView(r)
		if v.Roles == nil {
			v.Roles = []string{}
		}
		list = append(list, v)
	}
	return s.answer(c, http.StatusOK, map[string]any{"permissions": list}, nil)
}

// GetAudit lists what has happened, the newest first, page by page: below is the number to go on from.
func (s *Service) GetAudit(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	text := func(name string) string { v, _ := reply.Query(c, name); return v }
	f := auth.EventFilter{
		Action: auth.Action(text("action")), Result: auth.Result(text("result")), Owner: text("owner"), KeyID: text("key"),
		Addr: text("address"), Text: text("text"),
	}
	bad := func(name string) error {
		return reply.Refuse(http.StatusBadRequest, "bad_request", "The request cannot be used", name+" cannot be read")
	}
	for name, into := range map[string]*time.Time{"since": &f.Since, "before": &f.Before} {
		if v := text(name); v != "" {
			if *into, err = time.Parse(time.RFC3339, v); err != nil {
				return bad(name)
			}
		}
	}
	if v := text("below"); v != "" {
		if f.Below, err = strconv.ParseInt(v, 10, 64); err != nil {
			return bad("below")
		}
	}
	const usual, most = 100, 1000
	f.Limit = usual
	if v := text("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 || f.Limit > most {
			return bad("limit, a number between 1 and 1000,")
		}
	}
	events, err := store.Events(c.Request().Context(), f)
	if events == nil {
		events = []auth.Event{}
	}
	var below any
	if len(events) == f.Limit {
		below = events[len(events)-1].Number
	}
	return s.answer(c, http.StatusOK, map[string]any{"events": events, "below": below}, err)
}
