package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// usedStep is the precision of the time of last use, in seconds.
const usedStep = 60

// Authenticate implements Gate.
func (s *Store) Authenticate(ctx context.Context, c Credential) (Principal, error) {
	p, err := s.authenticate(ctx, c)
	if err != nil {
		s.refused(ctx, c, ActionAuth, err)
	}
	return p, err
}

// refused records a refused request, the same refusal once a minute. Requests with a session cookie that has ended are not recorded.
func (s *Store) refused(ctx context.Context, c Credential, a Action, err error) {
	var wait *WaitError
	switch {
	case errors.As(err, &wait), errors.Is(err, ErrNoCredential), c.Source == SourceCookie && a == ActionAuth:
		return
	case !errors.Is(err, ErrUnauthenticated):
		return // trouble of ours, which the caller tells
	}
	var by Principal
	if c.Source == SourceProxy {
		by.Name = c.Secret
	} else if id, ok := splitKey(c.Secret); ok {
		by.KeyID = id
	}
	// Bad secrets are bounded by the lock-out, and each is worth a line.
	if (err != ErrBadCredential || c.Source == SourceProxy) && !s.quiet.say(refusal{network(c.Addr), by.KeyID, err.Error()}, s.now()) { //nolint:errorlint // only the bare one is counted
		return
	}
	s.Audit(ctx, EventOf(by, c.Addr, a, ResultFailed, string(c.Source), err.Error()))
}

func (s *Store) authenticate(ctx context.Context, c Credential) (Principal, error) {
	switch {
	case c.Source == SourceNone || c.Secret == "":
		return Principal{}, ErrNoCredential
	case len(c.Secret) > longestSecret:
		return Principal{}, s.failed(ctx, c.Addr)
	case c.Source == SourceCookie:
		return s.bySession(c.Secret)
	case c.Source == SourceProxy:
		return s.byProxy(c)
	}
	now := s.now()
	d := s.verified.digest(c.Secret)
	e, ok, refused := s.verified.find(d, now)
	switch {
	case ok:
		return s.principal(e, c.Source, now)
	case refused:
		return Principal{}, s.failed(ctx, c.Addr)
	}
	if strings.Count(c.Secret, ".") == 2 {
		return s.byToken(ctx, c, d, now)
	}
	if wait := s.lockouts.wait(c.Addr, now); wait > 0 {
		return Principal{}, lockedOut(wait)
	}
	id, ok := splitKey(c.Secret)
	k := s.snap.Load().keys[id]
	if ok && k == nil && s.catchUp(ctx) { // another process may just have made it
		k = s.snap.Load().keys[id]
	}
	if k == nil {
		return Principal{}, s.failed(ctx, c.Addr)
	}
	return s.check(ctx, c, d, k)
}

// check finds out whether a secret is that of a key, which takes an Argon2id.
func (s *Store) check(ctx context.Context, c Credential, d digest, k *keyRecord) (Principal, error) {
	release, err := s.hasher.take(ctx)
	if err != nil {
		return Principal{}, err
	}
	defer release()
	// A caller that waited may find that another request with the same key has done the work, or that the address is locked by now.
	now := s.now()
	e, ok, refused := s.verified.find(d, now)
	switch wait := s.lockouts.wait(c.Addr, now); {
	case ok:
		return s.principal(e, c.Source, now)
	case refused:
		return Principal{}, s.failed(ctx, c.Addr)
	case wait > 0:
		return Principal{}, lockedOut(wait)
	}
	if !s.hasher.matches(c.Secret, k.hash) {
		s.verified.refuse(d, now)
		return Principal{}, s.failed(ctx, c.Addr)
	}
	if k.hash.params.weaker(s.hasher.params) {
		s.note(&s.writing, "hashing a key again", s.storeHash(context.WithoutCancel(ctx), k.id, s.hasher.hash(c.Secret)))
	}
	now = s.now()
	e = goodEntry{key: k.id, until: now.Add(verifiedLife)}
	s.verified.accept(d, e)
	return s.principal(e, c.Source, now)
}

// catchUp checks the file ahead of schedule and reports whether it has changed.
func (s *Store) catchUp(ctx context.Context) bool {
	old := s.snap.Load()
	generation, err := generationOf(ctx, s.read)
	if err != nil || generation == old.generation {
		return false
	}
	return s.reload(context.WithoutCancel(ctx)) == nil
}

// principal returns the principal of a valid credential: its key may have ended since.
func (s *Store) principal(e goodEntry, from Source, now time.Time) (Principal, error) {
	snap := s.snap.Load()
	k := snap.keys[e.key]
	if k == nil {
		return Principal{}, ErrRevoked
	}
	if err := snap.usable(k, now); err != nil {
		return Principal{}, err
	}
	p := snap.keyPrincipal(k, from)
	if e.claims != nil {
		if snap.signers[e.claims.signer] == nil {
			return Principal{}, ErrRevoked
		}
		p.TokenID = e.claims.ID
		p.Expires = earlier(p.Expires, e.claims.ExpiresAt.Time)
	}
	if at := now.Unix(); at-k.used.Load() >= usedStep {
		k.used.Store(at)
	}
	return p, nil
}

// keyPrincipal returns the principal of a usable key.
func (n *snapshot) keyPrincipal(k *keyRecord, from Source) Principal {
	p := n.userPrincipal(n.users[k.owner], from)
	p.KeyID = k.id
	if k.role != "" {
		p.Role = k.role
		p.Admin = p.Admin && n.admin(k.role)
	}
	if k.expires != 0 {
		p.Expires = time.Unix(k.expires, 0)
	}
	return p
}

// userPrincipal returns the principal of a user without a key.
func (n *snapshot) userPrincipal(u *User, from Source) Principal {
	return Principal{ID: u.ID, Name: u.Name, Role: u.Role, Within: u.Role, Admin: n.admin(u.Role), Source: from, known: true}
}

func (n *snapshot) admin(role string) bool {
	r := n.roles[role]
	return r != nil && r.admin
}

// earlier returns the first of two ends; zero means no end.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// byProxy accepts the user name of a trusted proxy.
func (s *Store) byProxy(c Credential) (Principal, error) {
	if !c.Addr.IsValid() {
		return Principal{}, ErrUntrustedProxy
	}
	addr := c.Addr.Unmap().WithZone("")
	for _, from := range s.o.ProxyFrom {
		if !from.Contains(addr) {
			continue
		}
		snap := s.snap.Load()
		u := snap.users[snap.names[fold(c.Secret)]]
		if u == nil {
			return Principal{}, ErrBadCredential
		}
		if u.Disabled {
			return Principal{}, ErrRevoked
		}
		return snap.userPrincipal(u, SourceProxy), nil
	}
	return Principal{}, ErrUntrustedProxy
}

// failed counts a bad secret.
func (s *Store) failed(ctx context.Context, addr netip.Addr) error {
	now := s.now()
	if wait := s.lockouts.wait(addr, now); wait > 0 {
		return lockedOut(wait)
	}
	if s.lockouts.fail(addr, now) {
		s.Audit(ctx, EventOf(Principal{}, addr, ActionLockOut, ResultDenied, "", "too many failed log-ins"))
	}
	return ErrBadCredential
}

func lockedOut(wait time.Duration) error {
	return &WaitError{After: wait, Why: "too many failed log-ins from this address"}
}

// Refresh implements Gate.
func (s *Store) Refresh(p Principal) (Principal, error) {
	now := s.now()
	snap := s.snap.Load()
	switch {
	case p.Anonymous():
		return Principal{}, ErrNoCredential
	case !p.Expires.IsZero() && !now.Before(p.Expires):
		return Principal{}, ErrExpired
	case p.SessionID != "" && snap.sessionIDs[p.SessionID] == nil:
		return Principal{}, ErrRevoked
	case p.KeyID == "":
		u := snap.users[p.ID]
		if u == nil || u.Disabled {
			return Principal{}, ErrRevoked
		}
		fresh := snap.userPrincipal(u, p.Source)
		fresh.SessionID, fresh.Expires = p.SessionID, p.Expires
		return fresh, nil
	}
	k := snap.keys[p.KeyID]
	if k == nil {
		return Principal{}, ErrRevoked
	}
	if err := snap.usable(k, now); err != nil {
		return Principal{}, err
	}
	fresh := snap.keyPrincipal(k, p.Source)
	fresh.SessionID, fresh.TokenID, fresh.Expires = p.SessionID, p.TokenID, earlier(fresh.Expires, p.Expires)
	return fresh, nil
}
