package auth

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Roles lists the roles by name, the built-in ones first.
func (s *Store) Roles(_ context.Context) ([]Role, error) {
	snap := s.snap.Load()
	list := make([]Role, 0, len(snap.roles))
	for _, r := range snap.roles {
		list = append(list, snap.roleView(r))
	}
	builtin := []string{RoleAdministrator, RoleUser, RoleViewer, RoleGuest}
	place := func(r Role) int {
		if i := slices.Index(builtin, r.Name); i >= 0 {
			return i
		}
		return len(builtin)
	}
	slices.SortFunc(list, func(a, b Role) int {
		if c := place(a) - place(b); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, nil
}

func (n *snapshot) roleView(r *roleRecord) Role {
	v := Role{Name: r.name, Builtin: r.builtin, Limits: r.limits, Grants: slices.Clone(r.grants)}
	if v.Grants == nil {
		v.Grants = []Grant{}
	}
	for _, u := range n.users {
		if u.Role == r.name {
			v.Users++
		}
	}
	return v
}

// Role returns a role.
func (s *Store) Role(_ context.Context, name string) (Role, error) {
	snap := s.snap.Load()
	r := snap.roles[name]
	if r == nil {
		return Role{}, fmt.Errorf("role %s: %w", short(name), ErrNotFound)
	}
	return snap.roleView(r), nil
}

// CreateRole makes a role with the permissions and limits of another one, or without permissions and with the limits of
// users when like is empty. Nothing is
// like Administrator.
func (s *Store) CreateRole(ctx context.Context, by Actor, name, like string) (Role, error) {
	snap := s.snap.Load()
	if err := checkName("role's name", name); err != nil {
		return Role{}, err
	}
	if snap.roles[name] != nil {
		return Role{}, fmt.Errorf("role %s: %w", short(name), ErrExists)
	}
	// A role that is not copied from another has no permissions yet. Later grants are bounded as for users; SetLimits
	// changes that.
	text, err := json.Marshal(defaultLimits[RoleUser])
	if err != nil {
		return Role{}, err
	}
	limits := string(text)
	if like != "" {
		r := snap.roles[like]
		switch {
		case r == nil:
			return Role{}, fmt.Errorf("role %s: %w", short(like), ErrNotFound)
		case r.admin:
			return Role{}, fmt.Errorf("%w: no other role is like %s", ErrInvalid, like)
		}
		text, err := json.Marshal(r.limits)
		if err != nil {
			return Role{}, err
		}
		limits = string(text)
	}
	err = s.change(ctx, by, ActionRole, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = name, "created like "+or(like, "none")
		if _, err := tx.ExecContext(ctx, "INSERT INTO roles (name, builtin, limits) VALUES (?, 0, ?)", name, limits); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO grants (role, method, route, workflow) SELECT ?, method, route, workflow FROM grants WHERE role = ?", name, like)
		return err
	})
	if err != nil {
		return Role{}, fmt.Errorf("making the role %s: %w", short(name), err)
	}
	return s.Role(ctx, name)
}

// DeleteRole deletes a role that no user has. The built-in ones stay.
func (s *Store) DeleteRole(ctx context.Context, by Actor, name string) error {
	r, err := s.Role(ctx, name)
	if err != nil {
		return err
	}
	if r.Builtin {
		return fmt.Errorf("%w: %s is a built-in role", ErrInvalid, name)
	}
	err = s.change(ctx, by, ActionRole, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = name, "deleted"
		var used int
		row := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM users WHERE role = ?1 AND deleted IS NULL) + (SELECT count(*) FROM keys WHERE role = ?1 AND revoked IS NULL)`, name)
		if err := row.Scan(&used); err != nil {
			return err
		}
		if used > 0 {
			return fmt.Errorf("%w: %d users and keys have the role", ErrInvalid, used)
		}
		done, err := tx.ExecContext(ctx, "DELETE FROM roles WHERE name = ?", name)
		return oneRow(done, err, "role "+short(name))
	})
	if err != nil {
		return fmt.Errorf("deleting the role %s: %w", short(name), err)
	}
	return nil
}

// SetLimits changes the limits of a role.
func (s *Store) SetLimits(ctx context.Context, by Actor, role string, l Limits) (Role, error) {
	if _, err := s.changeable(ctx, role); err != nil {
		return Role{}, err
	}
	if l.Queued < 0 || !(l.Megapixels >= 0) || l.UploadBytes < 0 || l.UploadTotal < 0 || !(l.Requests >= 0) || l.RequestsBurst < 0 || !(l.Prompts >= 0) || l.PromptsBurst < 0 {
		return Role{}, fmt.Errorf("%w: a limit is at least 0, which is none", ErrInvalid)
	}
	text, err := json.Marshal(l)
	if err != nil {
		return Role{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	err = s.change(ctx, by, ActionRole, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = role, "limits "+string(text)
		_, err := tx.ExecContext(ctx, "UPDATE roles SET limits = ? WHERE name = ?", string(text), role)
		return err
	})
	if err != nil {
		return Role{}, fmt.Errorf("changing the limits of %s: %w", short(role), err)
	}
	return s.Role(ctx, role)
}

// changeable returns a role whose permissions and limits may be changed.
func (s *Store) changeable(ctx context.Context, name string) (Role, error) {
	r, err := s.Role(ctx, name)
	if err == nil && name == RoleAdministrator {
		err = fmt.Errorf("%w: %s has all permissions and no limits", ErrInvalid, name)
	}
	return r, err
}

var methods = []string{"*", "GET", "POST", "PUT", "PATCH", "DELETE"}

// checkGrant normalizes a grant for the table and refuses one that could never match a route.
func (n *snapshot) checkGrant(g Grant) (Grant, error) {
	g.Method = strings.ToUpper(g.Method)
	if g.Method == "HEAD" {
		g.Method = "GET"
	}
	g.Route = endpointOf(g.Method, g.Route).route
	g.Workflow = or(g.Workflow, AnyWorkflow)
	if !slices.Contains(methods, g.Method) {
		return g, fmt.Errorf("%w: the method %s is not one of %s", ErrInvalid, short(g.Method), strings.Join(methods, ", "))
	}
	switch g.Workflow {
	case AnyWorkflow, RegisteredWorkflow, PublicWorkflow:
	default:
		if !isWord(g.Workflow) {
			return g, fmt.Errorf("%w: %s is the name of no workflow", ErrInvalid, short(g.Workflow))
		}
	}
	if n.known[endpoint{g.Method, g.Route}] {
		return g, nil
	}
	for e := range n.known {
		if g.covers(e) {
			return g, nil
		}
	}
	return g, fmt.Errorf("%w: there is no endpoint %s %s", ErrInvalid, g.Method, short(g.Route))
}

// Grant gives a role a permission.
func (s *Store) Grant(ctx context.Context, by Actor, role string, g Grant) (Role, error) {
	return s.changeGrant(ctx, by, role, g, "granted", "INSERT OR IGNORE INTO grants (role, method, route, workflow) VALUES (?, ?, ?, ?)", false)
}

// Ungrant takes exactly this permission from a role; one that it does not have is ErrNotFound.
func (s *Store) Ungrant(ctx context.Context, by Actor, role string, g Grant) (Role, error) {
	return s.changeGrant(ctx, by, role, g, "taken", "DELETE FROM grants WHERE role = ? AND method = ? AND route = ? AND workflow = ?", true)
}

func (s *Store) changeGrant(ctx context.Context, by Actor, role string, g Grant, what, query string, must bool) (Role, error) {
	if _, err := s.changeable(ctx, role); err != nil {
		return Role{}, err
	}
	g, err := s.snap.Load().checkGrant(g)
	if err != nil {
		return Role{}, err
	}
	err = s.change(ctx, by, ActionRole, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = role, fmt.Sprintf("%s %s %s for workflow %s", what, g.Method, g.Route, g.Workflow)
		done, err := tx.ExecContext(ctx, query, role, g.Method, g.Route, g.Workflow)
		if err != nil || !must {
			return err
		}
		return oneRow(done, err, "permission "+g.Method+" "+short(g.Route))
	})
	if err != nil {
		return Role{}, fmt.Errorf("changing the permissions of %s: %w", short(role), err)
	}
	return s.Role(ctx, role)
}

// Rules returns the current rules: for each endpoint, in the order of DefaultRules, the roles that may use it.
func (s *Store) Rules() []Rule {
	snap := s.snap.Load()
	var list []Rule
	for _, d := range DefaultRules() {
		e := endpoint{d.Method, d.Route}
		r := Rule{Method: d.Method, Route: d.Route, Open: snap.open[e], Workflow: map[string]string{}}
		for name, role := range snap.roles {
			patterns := role.permits[e]
			if len(patterns) == 0 {
				continue
			}
			r.Roles = append(r.Roles, name)
			if !slices.Contains(patterns, AnyWorkflow) {
				r.Workflow[name] = strings.Join(patterns, " ")
			}
		}
		slices.Sort(r.Roles)
		list = append(list, r)
	}
	return list
}

// HasAdministrator reports whether anybody can administer by a key: an enabled administrator has one that is good.
func (s *Store) HasAdministrator() bool {
	snap, now := s.snap.Load(), s.now()
	for _, k := range snap.keys {
		if snap.usable(k, now) == nil && snap.keyPrincipal(k, SourceNone).Admin {
			return true
		}
	}
	return false
}
