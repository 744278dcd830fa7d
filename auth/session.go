package auth

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// SessionInfo is a session as it may be shown.
type SessionInfo struct {
	ID      string    `json:"id"`
	Owner   string    `json:"owner"`
	User    string    `json:"user"`
	KeyID   string    `json:"key,omitempty"`
	Source  Source    `json:"source"` // how it began
	Addr    string    `json:"address"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Login implements Gate. A session cannot begin another one, so that it ends when it was said to.
func (s *Store) Login(ctx context.Context, c Credential) (Session, error) {
	var p Principal
	err := error(ErrBadCredential)
	if c.Source != SourceCookie {
		p, err = s.authenticate(ctx, c)
	}
	if err != nil {
		s.refused(ctx, c, ActionLogin, err)
		return Session{}, err
	}
	return s.begin(ctx, p, c.Addr)
}

// begin makes a session of a principal.
func (s *Store) begin(ctx context.Context, p Principal, addr netip.Addr) (Session, error) {
	secret, d, id := newSecret()
	now := s.now()
	from := p.Source
	p.SessionID, p.Source, p.Expires = id, SourceCookie, earlier(p.Expires, now.Add(s.o.SessionLife).Truncate(time.Second))
	err := s.change(ctx, Actor{Principal: p, Addr: addr}, ActionLogin, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = id, "by "+string(from)
		_, err := tx.ExecContext(ctx, "INSERT INTO sessions (digest, id, owner, key, source, address, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			d[:], id, p.ID, p.KeyID, string(from), e.Addr, now.Unix(), p.Expires.Unix())
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("beginning a session: %w", err)
	}
	return Session{Secret: secret, Principal: p, Expires: p.Expires}, nil
}

func (s *Store) bySession(secret string) (Principal, error) {
	now := s.now()
	snap := s.snap.Load()
	r := snap.sessions[sha256.Sum256([]byte(secret))]
	if r == nil {
		return Principal{}, ErrBadCredential
	}
	if now.Unix() >= r.expires {
		return Principal{}, ErrExpired
	}
	p := Principal{known: true, ID: r.owner, KeyID: r.key, SessionID: r.id, Source: SourceCookie, Expires: time.Unix(r.expires, 0)}
	p, err := s.Refresh(p)
	if err == nil && r.key != "" {
		if k := snap.keys[r.key]; now.Unix()-k.used.Load() >= usedStep {
			k.used.Store(now.Unix())
		}
	}
	return p, err
}

// Logout implements Gate.
func (s *Store) Logout(ctx context.Context, secret string) error {
	r := s.snap.Load().sessions[sha256.Sum256([]byte(secret))]
	if r == nil {
		return nil
	}
	by := Actor{Principal: Principal{ID: r.owner, KeyID: r.key}}
	if u := s.snap.Load().users[r.owner]; u != nil {
		by.Principal.Name = u.Name
	}
	return s.EndSession(ctx, by, r.id)
}

// EndSession ends a session by its ID, and closes its sockets.
func (s *Store) EndSession(ctx context.Context, by Actor, id string) error {
	return s.change(ctx, by, ActionLogout, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target = id
		done, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE id = ?", id)
		return oneRow(done, err, "session "+id)
	})
}

// oneRow is the error of a statement that should have changed one row.
func oneRow(done sql.Result, err error, what string) error {
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return fmt.Errorf("%s: %w", what, ErrNotFound)
}

// Sessions lists the open sessions, the newest first.
func (s *Store) Sessions(_ context.Context) ([]SessionInfo, error) {
	snap, now := s.snap.Load(), s.now().Unix()
	list := []SessionInfo{}
	for _, r := range snap.sessions {
		u := snap.users[r.owner]
		if u == nil || r.expires <= now {
			continue
		}
		list = append(list, SessionInfo{
			ID: r.id, Owner: r.owner, User: u.Name, KeyID: r.key, Source: Source(r.from), Addr: r.ip,
			Created: time.Unix(r.created, 0).UTC(), Expires: time.Unix(r.expires, 0).UTC(),
		})
	}
	slices.SortFunc(list, func(a, b SessionInfo) int { return b.Created.Compare(a.Created) })
	return list, nil
}

// LoginExternal implements Gate. Users are known by their subject only: a name at the provider never takes over a user
// that was made here.
func (s *Store) LoginExternal(ctx context.Context, who Identity, addr netip.Addr) (Session, error) {
	u, err := s.externalUser(ctx, who, addr)
	if err != nil {
		s.Audit(ctx, EventOf(Principal{Name: who.Name}, addr, ActionLogin, ResultFailed, string(SourceOIDC), err.Error()))
		return Session{}, err
	}
	snap := s.snap.Load()
	u = snap.users[u.ID]
	if u == nil || u.Disabled {
		return Session{}, ErrRevoked
	}
	return s.begin(ctx, snap.userPrincipal(u, SourceOIDC), addr)
}

// externalUser finds or makes the user of an identity, with the role that the provider gives now.
func (s *Store) externalUser(ctx context.Context, who Identity, addr netip.Addr) (*User, error) {
	if who.Subject == "" {
		return nil, ErrBadCredential
	}
	snap := s.snap.Load()
	if who.Role != "" && snap.roles[who.Role] == nil {
		return nil, fmt.Errorf("%w: there is no role %s", ErrBadCredential, clean(who.Role))
	}
	by := Actor{Principal: Principal{Name: "identity provider"}, Addr: addr}
	u := snap.users[snap.subjects[who.Subject]]
	if u == nil {
		role := or(who.Role, s.o.ExternalRole)
		if role == "" {
			return nil, fmt.Errorf("%w: the identity provider gives this user no role", ErrBadCredential)
		}
		made, err := s.addUser(ctx, by, who.Name, role, who.Subject)
		return &made, err
	}
	if who.Role != "" && who.Role != u.Role && !u.Disabled {
		if _, err := s.SetUserRole(ctx, by, u.ID, who.Role); err != nil {
			return nil, err
		}
	}
	return u, nil
}
