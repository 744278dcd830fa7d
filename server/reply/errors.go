package reply

import (
	"fmt"
	"net/http"
)

// Refusal is the error of a valid request without the permission for it.
type Refusal struct {
	Status                int
	Typ, Message, Details string
	More                  []any
}

// Refuse returns the error for an action that a caller is not permitted to do. typ is its code, more are further keys and values of
// the answer.
func Refuse(status int, typ, message, details string, more ...any) error {
	return &Refusal{status, typ, message, details, more}
}

// Error describes the refusal.
func (e *Refusal) Error() string { return e.Message + ": " + e.Details }

// Raised is an error that leaves a handler: it is answered with a short text and without the extra headers.
type Raised struct {
	Status int
	Text   string // "" means "404: Not Found" and the like
	Allow  string
}

// Error returns the message for the client.
func (e *Raised) Error() string {
	if e.Text != "" {
		return e.Text
	}
	return fmt.Sprintf("%d: %s", e.Status, http.StatusText(e.Status))
}

// Raise is the error that is answered with a status and its usual text.
func Raise(status int) error { return &Raised{Status: status} }

// Unusable is a request that upstream's handler breaks down on with 500. Here it is the client's mistake and told so.
type Unusable struct{ err error }

// Error describes the fault of the request.
func (e *Unusable) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Unusable) Unwrap() error { return e.err }

// Trouble marks an error as the client's doing where upstream answers 500.
func Trouble(format string, args ...any) error { return &Unusable{fmt.Errorf(format, args...)} }
