package auth

import (
	"context"
	"net/netip"
	"time"
)

// Mode is the kind of credential that a gate requires.
type Mode int

// The modes.
const (
	ModeOff   Mode = iota // nothing
	ModeKeys              // one of a list of keys; every holder is an administrator
	ModeStore             // a key, token or session of the store, or a user named by a trusted proxy
)

// String is the mode's name in logs.
func (m Mode) String() string { return [...]string{"off", "keys", "store"}[m] }

// Source is the way in which a credential was sent.
type Source string

// The sources. Which of them a request may use is the middleware's decision.
const (
	SourceNone     Source = ""
	SourceBearer   Source = "bearer"   // Authorization: Bearer K, a key or a token
	SourceHeader   Source = "header"   // X-API-Key: K, a key or a token
	SourceQuery    Source = "query"    // ?api_key=K or ?token=K, a key or a token
	SourceProtocol Source = "protocol" // the WebSocket subprotocol, a key or a token
	SourceCookie   Source = "cookie"   // the secret of a session
	SourceProxy    Source = "proxy"    // the name of a user, set by a trusted proxy
	SourceOIDC     Source = "oidc"     // only in a Principal: just logged in by OpenID Connect
)

// Credential is the credential of a request.
type Credential struct {
	Source Source
	Secret string // or the user's name, with SourceProxy
	// Addr is the peer's address; invalid if unknown. Failures are counted by it, and SourceProxy is trusted only from
	// trusted networks.
	Addr netip.Addr
}

// Access is the access that a request needs.
type Access struct {
	// Method is the HTTP method; HEAD counts as GET.
	Method string
	// Route is the pattern under which the server has the route, as "/history/:prompt_id", with or without the /api in
	// front. RouteStatic is the route of the pages' files.
	Route string
	// Workflow is the name of a registered workflow that the request is about, if it is about one.
	Workflow string
}

// RouteStatic is the Route of everything that is served from the folders of pages.
const RouteStatic = "/*"

// Limits bound the use of the server by the principals of a role; 0 means no limit.
type Limits struct {
	Queued      int     `json:"queued"`       // waiting jobs at a time
	Megapixels  float64 `json:"megapixels"`   // of all images of a job, in units of 1,000,000
	UploadBytes int64   `json:"upload_bytes"` // of one upload
	// UploadTotal bounds the bytes of all files in each folder that a user uploads to: input, output, temp and user data.
	UploadTotal int64 `json:"upload_total_bytes"`
	// Requests and Prompts are refilled at this rate per second, up to their burst.
	Requests      float64 `json:"requests_per_second"`
	RequestsBurst int     `json:"requests_burst"`
	Prompts       float64 `json:"prompts_per_second"`
	PromptsBurst  int     `json:"prompts_burst"`
}

// Bucket is one of the kinds of counted requests.
type Bucket int

// The buckets. Failed logins are counted by Authenticate itself.
const (
	BucketRequest Bucket = iota
	BucketPrompt
)

// Session is a log-in that a browser keeps as a cookie.
type Session struct {
	Secret    string // the cookie's value; shown only here
	Principal Principal
	Expires   time.Time
}

// Token is a signed, short-lived stand-in for a key.
type Token struct {
	Text    string
	ID      string
	Expires time.Time
}

// Identity is a user as an identity provider describes it.
type Identity struct {
	Subject string // the provider's name of the user, unique and stable: issuer and subject
	Name    string
	Role    string // empty: what the store has for the user
}

// Revocation lists the principals that have ended.
type Revocation struct {
	KeyID, SessionID string // the key or session that ended
	Owner            string // the user that ended, with all its keys, or whose role changed
	Reason           string // for the close frame and the log; holds no secret
	// CancelJobs says that the waiting jobs of the principals have to be cancelled. It is not set after a log-out or a
	// change of role, after which sockets only have to come again.
	CancelJobs bool
}

// Covers reports whether p is one of those that have ended.
func (r Revocation) Covers(p Principal) bool {
	switch {
	case r.SessionID != "":
		return p.SessionID == r.SessionID
	case r.KeyID != "":
		return p.KeyID == r.KeyID
	default:
		return r.Owner != "" && p.ID == r.Owner
	}
}

// CloseCode is the WebSocket close code for principals that a Revocation covers or that are past their Expires.
const CloseCode = 4401

// Gate decides. All methods may be called at the same time.
type Gate interface {
	Mode() Mode

	// Authenticate returns the principal of a credential. The error is ErrNoCredential, ErrBadCredential, ErrRevoked,
	// ErrExpired or ErrUntrustedProxy (all of them match ErrUnauthenticated: 401), a *WaitError (429: the address failed
	// too often, or too many keys are being checked), or an error of the store (500).
	Authenticate(ctx context.Context, c Credential) (Principal, error)
	// Refresh is Authenticate for a principal that was authenticated before: the principal as it is now (its role may
	// have changed), or ErrRevoked or ErrExpired. It costs no more than looking up. Call it when a socket has been
	// registered, and when a job is about to run.
	Refresh(p Principal) (Principal, error)

	// Allow returns nil or a *DeniedError, which names the permission that is missing (403). No one (the zero
	// Principal) is allowed what is open to all, and refused with ErrNoCredential (401) otherwise.
	Allow(p Principal, a Access) error
	// AllowPrompt decides on a graph (API JSON) for POST /prompt, after Allow. A role that is limited to registered
	// workflows gets a *GraphError (403) that names the first difference. The name is that of the workflow which
	// the graph is, empty when the graph was not compared.
	AllowPrompt(p Principal, graph []byte) (workflow string, err error)
	// Limits are the bounds of the principal's role, the stricter of both when a key's role is below its owner's.
	Limits(p Principal) Limits
	// Take takes one from the buckets of the principal and of the address. It returns 0, or how long to wait (429 with
	// Retry-After).
	Take(b Bucket, p Principal, addr netip.Addr) time.Duration

	// Login is Authenticate and a new session. LoginExternal does the same for a user of an identity provider.
	Login(ctx context.Context, c Credential) (Session, error)
	LoginExternal(ctx context.Context, who Identity, addr netip.Addr) (Session, error)
	// Logout ends the session of a cookie, for all its sockets too. An unknown cookie is not an error.
	Logout(ctx context.Context, secret string) error

	// IssueToken makes a token for a principal that authenticated with a key (ErrNoTokens for others and without a store).
	IssueToken(ctx context.Context, p Principal) (Token, error)

	// Watch calls f, one call at a time and outside of all locks, for whatever ends; within a second when another
	// process ended it. f must return soon. stop waits for a call that is under way.
	Watch(f func(Revocation)) (stop func())

	// Audit writes down what happened, in the log and in the store if there is one. It fills in the time.
	Audit(ctx context.Context, e Event)

	// Close ends the gate's goroutines and closes its file.
	Close() error
}

// Event is one line of the audit log. No field may hold a secret; control characters are escaped when it is written.
type Event struct {
	Number int64     `json:"number"` // position in the log, set by the store
	Time   time.Time `json:"time"`
	Action Action    `json:"action"`
	Result Result    `json:"result"`
	Owner  string    `json:"owner,omitempty"` // Principal.ID of who did it
	Name   string    `json:"name,omitempty"`  // and its name
	KeyID  string    `json:"key,omitempty"`
	Addr   string    `json:"address,omitempty"`
	Target string    `json:"target,omitempty"` // what it was done to: a key's ID, a role, a job, a route
	Detail string    `json:"detail,omitempty"`
}

// Action is the action that was done.
type Action string

// The actions. The server writes those of requests, jobs and files, the gates the others.
const (
	ActionLogin    Action = "login" // a session begun, or refused
	ActionLogout   Action = "logout"
	ActionAuth     Action = "authenticate" // a credential refused
	ActionLockOut  Action = "lock-out"
	ActionToken    Action = "token"
	ActionKey      Action = "key" // created, revoked, rotated
	ActionUser     Action = "user"
	ActionRole     Action = "role" // made, changed, given
	ActionWorkflow Action = "workflow"
	ActionRequest  Action = "request" // one that was denied
	ActionRun      Action = "run"     // a prompt taken into the queue
	ActionDelete   Action = "delete"  // files, history, jobs
)

// Result is the outcome.
type Result string

// The results.
const (
	ResultOK     Result = "ok"
	ResultDenied Result = "denied"
	ResultFailed Result = "failed"
)

// EventOf is an event of a principal at an address.
func EventOf(p Principal, addr netip.Addr, a Action, r Result, target, detail string) Event {
	e := Event{Action: a, Result: r, Owner: p.ID, Name: p.Name, KeyID: p.KeyID, Target: target, Detail: detail}
	if addr.IsValid() {
		e.Addr = addr.Unmap().WithZone("").String()
	}
	return e
}
