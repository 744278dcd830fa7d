package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// sessionLife is the lifetime of a log-in.
const sessionLife = 7 * 24 * time.Hour

// mostSessions bounds the sessions that a Keyring remembers; the one that would end first makes room.
const mostSessions = 10000

// longestSecret bounds the credentials that are compared, in bytes; tokens are the longest valid ones.
const longestSecret = 4096

// KeyringOptions configure a Keyring besides its keys; the zero value is usable.
type KeyringOptions struct {
	Logger *slog.Logger
	Now    func() time.Time // nil is time.Now
}

// Keyring is the gate of a plain list of keys: the holder of one is an administrator. Sessions are kept in memory and end
// with their key.
type Keyring struct {
	keys     *Keys
	log      *slog.Logger
	now      func() time.Time
	watchers watchers

	mu       sync.Mutex
	sessions map[[sha256.Size]byte]keyringSession
}

type keyringSession struct {
	id, key string
	expires time.Time
}

var _ Gate = (*Keyring)(nil)

// NewKeyring makes a gate of keys.
func NewKeyring(keys *Keys, o KeyringOptions) *Keyring {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keyring{keys: keys, log: o.Logger, now: o.Now, sessions: map[[sha256.Size]byte]keyringSession{}}
}

// Mode implements Gate.
func (k *Keyring) Mode() Mode { return ModeKeys }

// Reload reads the key files again, on SIGHUP. Connections that were opened with removed keys end.
func (k *Keyring) Reload() error {
	gone, err := k.keys.Reload()
	if err != nil {
		return err
	}
	for _, w := range k.keys.Warnings() {
		k.log.Warn(w)
	}
	var ended []Revocation
	for _, id := range gone {
		ended = append(ended, Revocation{KeyID: id, Reason: "the key was removed", CancelJobs: true})
	}
	k.watchers.tell(ended...)
	return nil
}

// Authenticate implements Gate.
func (k *Keyring) Authenticate(ctx context.Context, c Credential) (Principal, error) {
	p, err := k.authenticate(c)
	if err != nil {
		k.Audit(ctx, EventOf(Principal{}, c.Addr, ActionAuth, ResultFailed, string(c.Source), err.Error()))
	}
	return p, err
}

func (k *Keyring) authenticate(c Credential) (Principal, error) {
	switch {
	case c.Source == SourceNone || c.Secret == "":
		return Principal{}, ErrNoCredential
	case c.Source == SourceProxy:
		return Principal{}, ErrUntrustedProxy
	case c.Source == SourceCookie:
		return k.session(c.Secret)
	}
	id, ok := k.keys.find(strings.TrimSpace(c.Secret))
	if !ok {
		return Principal{}, ErrBadCredential
	}
	p := anonymousAdmin(c.Source)
	p.KeyID = id
	return p, nil
}

func (k *Keyring) session(secret string) (Principal, error) {
	k.mu.Lock()
	s, ok := k.sessions[sha256.Sum256([]byte(secret))]
	k.mu.Unlock()
	if !ok {
		return Principal{}, ErrBadCredential
	}
	p := anonymousAdmin(SourceCookie)
	p.KeyID, p.SessionID, p.Expires = s.key, s.id, s.expires
	return k.Refresh(p)
}

// Refresh implements Gate.
func (k *Keyring) Refresh(p Principal) (Principal, error) {
	if p.KeyID == "" || !k.keys.has(p.KeyID) {
		return Principal{}, ErrRevoked
	}
	if !p.Expires.IsZero() && !k.now().Before(p.Expires) {
		return Principal{}, ErrExpired
	}
	if p.SessionID == "" {
		return p, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sessions {
		if s.id == p.SessionID {
			return p, nil
		}
	}
	return Principal{}, ErrRevoked
}

// Allow implements Gate: it allows everything to authenticated principals.
func (k *Keyring) Allow(p Principal, a Access) error {
	if !p.Anonymous() {
		return nil
	}
	switch method, route := a.normal(); {
	case route == RouteStatic, route == "/login", route == "/logout":
		return nil
	case method == "GET" && (route == "/" || route == "/ws" || route == "/health"):
		return nil
	}
	return ErrNoCredential
}

// AllowPrompt implements Gate.
func (k *Keyring) AllowPrompt(p Principal, _ []byte) (string, error) {
	if p.Anonymous() {
		return "", ErrNoCredential
	}
	return "", nil
}

// Limits implements Gate: without limits.
func (k *Keyring) Limits(Principal) Limits { return Limits{} }

// Take implements Gate: without rate limits.
func (k *Keyring) Take(Bucket, Principal, netip.Addr) time.Duration { return 0 }

// Login implements Gate.
func (k *Keyring) Login(ctx context.Context, c Credential) (Session, error) {
	p, err := k.authenticate(c)
	if err != nil {
		k.Audit(ctx, EventOf(Principal{}, c.Addr, ActionLogin, ResultFailed, string(c.Source), err.Error()))
		return Session{}, err
	}
	secret, digest, id := newSecret()
	p.SessionID, p.Expires, p.Source = id, k.now().Add(sessionLife), SourceCookie
	k.mu.Lock()
	k.makeRoom()
	k.sessions[digest] = keyringSession{id: id, key: p.KeyID, expires: p.Expires}
	k.mu.Unlock()
	k.Audit(ctx, EventOf(p, c.Addr, ActionLogin, ResultOK, id, ""))
	return Session{Secret: secret, Principal: p, Expires: p.Expires}, nil
}

// makeRoom removes the sessions that have ended, and one more if there are too many. k.mu is held.
func (k *Keyring) makeRoom() {
	if len(k.sessions) < mostSessions {
		return
	}
	var first [sha256.Size]byte
	var ends time.Time
	for digest, s := range k.sessions {
		if !k.now().Before(s.expires) {
			delete(k.sessions, digest)
		} else if ends.IsZero() || s.expires.Before(ends) {
			first, ends = digest, s.expires
		}
	}
	if len(k.sessions) >= mostSessions {
		delete(k.sessions, first)
	}
}

// LoginExternal implements Gate: it fails, since a keyring has no users.
func (k *Keyring) LoginExternal(context.Context, Identity, netip.Addr) (Session, error) {
	return Session{}, ErrBadCredential
}

// Logout implements Gate.
func (k *Keyring) Logout(ctx context.Context, secret string) error {
	digest := sha256.Sum256([]byte(secret))
	k.mu.Lock()
	s, ok := k.sessions[digest]
	delete(k.sessions, digest)
	k.mu.Unlock()
	if !ok {
		return nil
	}
	k.Audit(ctx, Event{Action: ActionLogout, Result: ResultOK, KeyID: s.key, Target: s.id})
	k.watchers.tell(Revocation{SessionID: s.id, Reason: "logged out"})
	return nil
}

// IssueToken implements Gate: keys of a plain list have no tokens.
func (k *Keyring) IssueToken(context.Context, Principal) (Token, error) {
	return Token{}, ErrNoTokens
}

// Watch implements Gate.
func (k *Keyring) Watch(f func(Revocation)) func() { return k.watchers.add(f) }

// Audit implements Gate.
func (k *Keyring) Audit(ctx context.Context, e Event) { logEvent(ctx, k.log, e) }

// Close implements Gate.
func (k *Keyring) Close() error { return nil }

// newSecret makes the secret of a session, the digest under which it is kept, and a public ID.
func newSecret() (secret string, digest [sha256.Size]byte, id string) {
	var random [40]byte
	rand.Read(random[:]) //nolint:errcheck // it never fails
	secret = base64.RawURLEncoding.EncodeToString(random[:32])
	return secret, sha256.Sum256([]byte(secret)), "s-" + hex.EncodeToString(random[32:])
}
