package auth

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Users lists the users by name.
func (s *Store) Users(_ context.Context) ([]User, error) {
	snap := s.snap.Load()
	active, now := map[string]int{}, s.now()
	for _, k := range snap.keys {
		if snap.usable(k, now) == nil {
			active[k.owner]++
		}
	}
	list := make([]User, 0, len(snap.users))
	for _, u := range snap.users {
		v := *u
		v.Keys = active[u.ID]
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b User) int { return strings.Compare(fold(a.Name), fold(b.Name)) })
	return list, nil
}

// User returns a user by ID or name.
func (s *Store) User(ctx context.Context, idOrName string) (User, error) {
	u := s.snap.Load().user(idOrName)
	if u == nil {
		return User{}, fmt.Errorf("user %s: %w", short(idOrName), ErrNotFound)
	}
	all, err := s.Users(ctx)
	for _, v := range all {
		if v.ID == u.ID {
			return v, err
		}
	}
	return *u, err
}

// CreateUser makes a user. No two have names that differ only in case.
func (s *Store) CreateUser(ctx context.Context, by Actor, name, role string) (User, error) {
	if s.snap.Load().names[fold(name)] != "" {
		return User{}, fmt.Errorf("user %s: %w", short(name), ErrExists)
	}
	return s.addUser(ctx, by, name, role, "")
}

func (s *Store) addUser(ctx context.Context, by Actor, name, role, subject string) (User, error) {
	snap := s.snap.Load()
	if snap.roles[role] == nil {
		return User{}, fmt.Errorf("role %s: %w", short(role), ErrNotFound)
	}
	if subject != "" { // the provider names its users: a name that is taken gets a number
		name = or(short(strings.TrimSpace(name)), "user")
		for base, n := name, 2; snap.names[fold(name)] != ""; n++ {
			name = fmt.Sprintf("%s (%d)", base, n)
		}
	}
	if err := checkName("user's name", name); err != nil {
		return User{}, err
	}
	id := newID("u-")
	err := s.change(ctx, by, ActionUser, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = id, fmt.Sprintf("created as %s, role %s", name, role)
		_, err := tx.ExecContext(ctx, "INSERT INTO users (id, name, folded, role, created, subject) VALUES (?, ?, ?, ?, ?, nullif(?, ''))",
			id, name, fold(name), role, s.now().Unix(), subject)
		return err
	})
	if err != nil {
		return User{}, fmt.Errorf("making the user %s: %w", short(name), err)
	}
	return s.User(ctx, id)
}

// changeUser updates one user and lets last refuse it when it is the last administrator that would go.
func (s *Store) changeUser(ctx context.Context, by Actor, idOrName, what string, takesAdmin bool, do func(*sql.Tx, int64, User) error) (User, error) {
	u, err := s.User(ctx, idOrName)
	if err != nil {
		return User{}, err
	}
	action := ActionUser
	err = s.change(ctx, by, action, func(tx *sql.Tx, generation int64, e *Event) error {
		e.Target, e.Detail = u.ID, what
		if err := do(tx, generation, u); err != nil {
			return err
		}
		if !takesAdmin || u.Role != RoleAdministrator {
			return nil
		}
		var left int
		row := tx.QueryRowContext(ctx, "SELECT count(*) FROM users WHERE role = ? AND disabled = 0 AND deleted IS NULL", RoleAdministrator)
		if err := row.Scan(&left); err != nil {
			return err
		}
		if left == 0 {
			return fmt.Errorf("%w: %s is the last administrator", ErrInvalid, u.Name)
		}
		return nil
	})
	if err != nil {
		return User{}, fmt.Errorf("changing the user %s: %w", short(u.Name), err)
	}
	return u, nil
}

// SetUserRole gives a user another role.
func (s *Store) SetUserRole(ctx context.Context, by Actor, idOrName, role string) (User, error) {
	if s.snap.Load().roles[role] == nil {
		return User{}, fmt.Errorf("role %s: %w", short(role), ErrNotFound)
	}
	u, err := s.changeUser(ctx, by, idOrName, "role "+role, role != RoleAdministrator, func(tx *sql.Tx, _ int64, u User) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET role = ? WHERE id = ?", role, u.ID)
		return err
	})
	if err != nil {
		return User{}, err
	}
	return s.User(ctx, u.ID)
}

// SetUserDisabled shuts a user out with all keys, or lets the user in again.
func (s *Store) SetUserDisabled(ctx context.Context, by Actor, idOrName string, disabled bool) (User, error) {
	what := "enabled"
	if disabled {
		what = "disabled"
	}
	u, err := s.changeUser(ctx, by, idOrName, what, disabled, func(tx *sql.Tx, _ int64, u User) error {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET disabled = ? WHERE id = ?", disabled, u.ID); err != nil || !disabled {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE owner = ?", u.ID)
		return err
	})
	if err != nil {
		return User{}, err
	}
	return s.User(ctx, u.ID)
}

// DeleteUser ends a user and revokes all keys. What the user owned stays and is seen by administrators only, since the ID
// is never given again; the name may be.
func (s *Store) DeleteUser(ctx context.Context, by Actor, idOrName string) error {
	_, err := s.changeUser(ctx, by, idOrName, "deleted", true, func(tx *sql.Tx, generation int64, u User) error {
		now := s.now().Unix()
		for _, d := range []struct {
			query string
			args  []any
		}{
			{"UPDATE keys SET revoked = ?, changed = ? WHERE owner = ? AND revoked IS NULL", []any{now, generation, u.ID}},
			{"DELETE FROM sessions WHERE owner = ?", []any{u.ID}},
			{"UPDATE users SET deleted = ?, subject = NULL WHERE id = ?", []any{now, u.ID}},
		} {
			if _, err := tx.ExecContext(ctx, d.query, d.args...); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}
