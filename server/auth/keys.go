package auth

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/server/reply"
	"comfygo/server/sockets"
)

// GetKeys lists the keys, masked: all of them for an administrator, the caller's own for others.
func (s *Service) GetKeys(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	keys, err := store.Keys(c.Request().Context())
	p := s.Access.Who(c)
	keys = slices.DeleteFunc(keys, func(k auth.Key) bool { return !p.Owns(k.Owner) })
	return s.answer(c, http.StatusOK, map[string]any{"keys": keys}, err)
}

// PostKey makes a key; the answer is the only one that holds it whole. Body: name, user, role, expires_in (seconds).
func (s *Service) PostKey(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	var in struct {
		Name    string  `json:"name"`
		User    string  `json:"user"`
		Role    string  `json:"role"`
		Expires float64 `json:"expires_in"`
	}
	if err := s.ask(c, &in); err != nil {
		return err
	}
	p := s.Access.Who(c)
	if in.User == "" {
		in.User = p.ID
	}
	if !p.Admin {
		if in.User != p.ID && in.User != p.Name {
			return notPermitted("only administrators make keys for others")
		}
		if in.Role != "" && in.Role != p.Role {
			return notPermitted("a key of your own has the role that you have now")
		}
		in.Role = p.Role
	}
	const longest = 100 * 365 * 24 * time.Hour
	life := time.Duration(min(in.Expires, longest.Seconds()) * float64(time.Second))
	k, err := store.CreateKey(c.Request().Context(), s.actor(c), auth.KeySpec{Name: in.Name, User: in.User, Role: in.Role, Life: life})
	return s.answer(c, http.StatusCreated, k, err)
}

// ownKey is a key that the request may see; ErrNotFound for others'.
func (s *Service) ownKey(c echo.Context) (*auth.Store, auth.Key, error) {
	store, err := s.keyStore()
	if err != nil {
		return nil, auth.Key{}, err
	}
	k, err := store.Key(c.Request().Context(), reply.Param(c, "id"))
	if err == nil && !s.Access.Who(c).Owns(k.Owner) {
		err = auth.ErrNotFound
	}
	return store, k, authTrouble(err)
}

// GetKey returns one key's record.
func (s *Service) GetKey(c echo.Context) error {
	_, k, err := s.ownKey(c)
	return s.answer(c, http.StatusOK, k, err)
}

// DeleteKey revokes a key: its tokens, sessions and sockets end within a second, and its jobs are cancelled.
func (s *Service) DeleteKey(c echo.Context) error {
	store, k, err := s.ownKey(c)
	if err != nil {
		return err
	}
	k, err = store.RevokeKey(c.Request().Context(), s.actor(c), k.ID)
	return s.answer(c, http.StatusOK, k, err)
}

// PostKeyRotate makes a key in place of another one, which stays good for overlap seconds.
func (s *Service) PostKeyRotate(c echo.Context) error {
	store, k, err := s.ownKey(c)
	if err != nil {
		return err
	}
	var in struct {
		Overlap float64 `json:"overlap"`
	}
	if c.Request().ContentLength != 0 {
		if err := s.ask(c, &in); err != nil {
			return err
		}
	}
	const longest = 365 * 24 * 3600
	overlap := time.Duration(min(in.Overlap, longest) * float64(time.Second))
	k, err = store.RotateKey(c.Request().Context(), s.actor(c), k.ID, overlap)
	return s.answer(c, http.StatusCreated, k, err)
}

// GetSessions lists the log-ins of browsers, and the open sockets, by principal.
func (s *Service) GetSessions(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	sessions, err := store.Sessions(c.Request().Context())
	p := s.Access.Who(c)
	sessions = slices.DeleteFunc(sessions, func(i auth.SessionInfo) bool { return !p.Owns(i.Owner) })
	return s.answer(c, http.StatusOK, map[string]any{"sessions": sessions, "sockets": s.socketsOf(p)}, err)
}

// socketInfo are the open sockets of a principal.
type socketInfo struct {
	Owner   string      `json:"owner"`
	User    string      `json:"user"`
	Role    string      `json:"role"`
	Key     string      `json:"key,omitempty"`
	Session string      `json:"session,omitempty"`
	Source  auth.Source `json:"source"`
	Open    int         `json:"open"`
}

// socketsOf counts the sockets that p may see.
func (s *Service) socketsOf(p auth.Principal) []socketInfo {
	counts := map[socketInfo]int{}
	s.Hub.Sockets(func(who any) {
		if w, ok := who.(*sockets.Socket); ok && p.Owns(w.ID) {
			counts[socketInfo{Owner: w.ID, User: w.Name, Role: w.Role, Key: w.KeyID, Session: w.SessionID, Source: w.Source}]++
		}
	})
	list := []socketInfo{}
	for info, n := range counts {
		info.Open = n
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b socketInfo) int {
		if a.User != b.User {
			return compareText(a.User, b.User)
		}
		return compareText(a.Key+a.Session, b.Key+b.Session)
	})
	return list
}

// DeleteSession signs a browser out.
func (s *Service) DeleteSession(c echo.Context) error {
	store, err := s.keyStore()
	if err != nil {
		return err
	}
	ctx, id, p := c.Request().Context(), reply.Param(c, "id"), s.Access.Who(c)
	if !p.Admin {
		sessions, err := store.Sessions(ctx)
		if err != nil {
			return authTrouble(err)
		}
		if !slices.ContainsFunc(sessions, func(i auth.SessionInfo) bool { return i.ID == id && p.Owns(i.Owner) }) {
			return authTrouble(auth.ErrNotFound)
		}
	}
	return s.answer(c, http.StatusNoContent, nil, store.EndSession(ctx, s.actor(c), id))
}
