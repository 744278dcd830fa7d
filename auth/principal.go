package auth

import (
	"context"
	"time"
)

// The roles that every store has. Others can be made beside them.
const (
	RoleAdministrator = "Administrator" // everything
	RoleUser          = "User"          // runs workflows, sees what is its own
	RoleViewer        = "Viewer"        // reads what is its own or shared, runs nothing
	RoleGuest         = "Guest"         // public workflows and their results only
)

// Principal is the authenticated user of a request. The zero value is anonymous: Anonymous reports it, and a gate that requires
// credentials allows it only what is open to all.
type Principal struct {
	// ID owns jobs, files and settings. It is safe as the name of a folder: lower-case letters, digits and "-". It is
	// empty without a store, where all share everything as upstream's users do.
	ID string
	// Name is for people; it may hold anything but control characters.
	Name string
	// Role decides what is allowed. A key may have a role below that of its owner; Within is then the owner's, and a request needs
	// the permission of both.
	Role, Within string
	// KeyID is the public part of the key that was presented, or that a token or session was made with; empty without one.
	KeyID string
	// TokenID (a token's jti) and SessionID are set when one of them was shown. Neither is a secret.
	TokenID, SessionID string
	// Admin means that nothing is refused.
	Admin bool
	// Expires is the time when the credential ends by itself; zero means never. A socket must not live longer.
	Expires time.Time
	// Source is the way in which the credential was sent.
	Source Source

	known bool
}

// Anonymous reports whether the request is not authenticated.
func (p Principal) Anonymous() bool { return !p.known }

// Owns reports whether something that belongs to owner may be seen by p: it is p's own, or p may see all.
func (p Principal) Owns(owner string) bool { return p.known && (p.Admin || p.ID == owner) }

type contextKey struct{}

// WithPrincipal carries p in a context.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal of a context, or the anonymous one.
func FromContext(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}
