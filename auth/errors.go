package auth

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnauthenticated is matched by all refusals of a credential. The others give the reason, for the log and for
// clients whose credential was once valid.
var (
	ErrUnauthenticated = errors.New("not authenticated")
	ErrNoCredential    = unauthenticated("no credential was shown")
	ErrBadCredential   = unauthenticated("the credential is not valid")
	ErrRevoked         = unauthenticated("the credential has been revoked")
	ErrExpired         = unauthenticated("the credential has expired")
	ErrUntrustedProxy  = unauthenticated("a user was forwarded by an address that is not a trusted proxy")
)

// ErrNoTokens is returned when a principal without a key of a store requests a token.
var ErrNoTokens = errors.New("tokens are given for keys of the store only")

// ErrNotFound is returned by a store for a missing key, user, role or workflow.
var ErrNotFound = errors.New("not found")

// ErrInvalid is returned by a store for an invalid name, role or permission.
var ErrInvalid = errors.New("not valid")

// ErrExists is returned by a store when a name is taken.
var ErrExists = errors.New("exists already")

type unauthenticatedError string

func unauthenticated(text string) error { return unauthenticatedError(text) }

// Error returns the reason why the credential was refused.
func (e unauthenticatedError) Error() string { return string(e) }

// Is makes all of them ErrUnauthenticated.
func (e unauthenticatedError) Is(target error) bool { return target == ErrUnauthenticated }

// WaitError refuses for a while.
type WaitError struct {
	After time.Duration
	Why   string
}

// Error names the limit to wait for, and how long.
func (e *WaitError) Error() string {
	return fmt.Sprintf("%s: try again in %s", e.Why, e.After.Round(time.Second))
}

// DeniedError refuses an access to an authenticated principal.
type DeniedError struct {
	Permission string // as "POST /prompt", or "POST /prompt for workflow portrait"
	Role       string
}

// Error names the permission that is missing.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("the role %s lacks the permission %q", e.Role, e.Permission)
}

// GraphError is returned for a graph that is not a registered workflow.
type GraphError struct {
	Role     string
	Workflow string // the most similar registered workflow; may be empty
	// Difference is the first one, as "node 3 (KSampler): input steps is 50 and not 20".
	Difference string
}

// Error names the difference.
func (e *GraphError) Error() string {
	if e.Workflow == "" {
		return fmt.Sprintf("the role %s may run registered workflows only: %s", e.Role, e.Difference)
	}
	return fmt.Sprintf("the role %s may run registered workflows only, and this is not %s: %s", e.Role, e.Workflow, e.Difference)
}
