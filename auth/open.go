package auth

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// Open is the gate without authentication, as upstream's. Its zero value is ready.
type Open struct {
	// Logger gets the lines of the audit log; nil drops them.
	Logger *slog.Logger
}

var _ Gate = Open{}

// anonymousAdmin returns the principal of every request when authentication is disabled.
func anonymousAdmin(from Source) Principal {
	return Principal{Role: RoleAdministrator, Admin: true, Source: from, known: true}
}

// Mode implements Gate.
func (Open) Mode() Mode { return ModeOff }

// Authenticate implements Gate: everyone is an administrator.
func (Open) Authenticate(context.Context, Credential) (Principal, error) {
	return anonymousAdmin(SourceNone), nil
}

// Refresh implements Gate.
func (Open) Refresh(p Principal) (Principal, error) { return p, nil }

// Allow implements Gate.
func (Open) Allow(Principal, Access) error { return nil }

// AllowPrompt implements Gate.
func (Open) AllowPrompt(Principal, []byte) (string, error) { return "", nil }

// Limits implements Gate.
func (Open) Limits(Principal) Limits { return Limits{} }

// Take implements Gate.
func (Open) Take(Bucket, Principal, netip.Addr) time.Duration { return 0 }

// Login implements Gate: there is nothing to log in to.
func (Open) Login(context.Context, Credential) (Session, error) { return Session{}, ErrBadCredential }

// LoginExternal implements Gate.
func (Open) LoginExternal(context.Context, Identity, netip.Addr) (Session, error) {
	return Session{}, ErrBadCredential
}

// Logout implements Gate.
func (Open) Logout(context.Context, string) error { return nil }

// IssueToken implements Gate.
func (Open) IssueToken(context.Context, Principal) (Token, error) { return Token{}, ErrNoTokens }

// Watch implements Gate: nothing ever ends.
func (Open) Watch(func(Revocation)) func() { return func() {} }

// Audit implements Gate.
func (o Open) Audit(ctx context.Context, e Event) { logEvent(ctx, o.Logger, e) }

// Close implements Gate.
func (Open) Close() error { return nil }
