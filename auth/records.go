package auth

import (
	"encoding/json"
	"time"
)

// Key is a key of the store as it may be shown: without its secret.
type Key struct {
	ID       string     `json:"id"` // public: the key itself begins with "cgo_" and this
	Name     string     `json:"name"`
	Owner    string     `json:"owner"`         // User.ID
	User     string     `json:"user"`          // the owner's name
	Role     string     `json:"role"`          // empty: that of the owner
	Created  time.Time  `json:"created"`       // UTC, as all times here
	Expires  *time.Time `json:"expires"`       // nil: never
	Revoked  *time.Time `json:"revoked"`       // nil: not revoked
	LastUsed *time.Time `json:"last_used"`     // to the minute; nil: never
	State    string     `json:"state"`         // active, revoked, expired or disabled (its owner is)
	Mask     string     `json:"mask"`          // "cgo_7f3a9c…"
	Instead  string     `json:"rotated_from"`  // ID of the key in whose place it was made
	Secret   string     `json:"key,omitempty"` // the whole key; only in the answer that made it
}

// KeySpec specifies a new key.
type KeySpec struct {
	Name string // for people
	User string // ID or name of the owner, who must exist
	Role string // empty: the owner's
	// Life is the lifetime of the key; 0 means that it never expires.
	Life time.Duration
}

// User owns keys, jobs and files.
type User struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled"`
	Subject  string    `json:"subject,omitempty"` // the identity provider's name, if one vouched for the user
	Keys     int       `json:"keys"`              // active ones
}

// Role is a set of permissions and limits.
type Role struct {
	Name    string  `json:"name"`
	Builtin bool    `json:"builtin"`
	Limits  Limits  `json:"limits"`
	Users   int     `json:"users"`
	Grants  []Grant `json:"permissions"` // empty for Administrator, who needs none
}

// What Grant.Workflow may be besides the name of a workflow.
const (
	AnyWorkflow        = "*"           // any graph; what grants have that are about no workflow
	RegisteredWorkflow = "@registered" // any registered workflow
	PublicWorkflow     = "@public"     // those that are registered as public
)

// Grant is one permission of a role: endpoint × method × workflow. Method may be "*", and Route may end in "/*" or be
// "*" to match many of the routes that have a rule.
type Grant struct {
	Method   string `json:"method"`
	Route    string `json:"route"`
	Workflow string `json:"workflow"`
}

// FreeInput is an input of a registered workflow that its users may set.
type FreeInput struct {
	Name  string `json:"name"` // as in the body of a run; "6.text" when it was given none
	Node  string `json:"node"`
	Input string `json:"input"`
}

// Workflow is a registered workflow.
type Workflow struct {
	Name    string          `json:"name"`
	Title   string          `json:"title"`
	Public  bool            `json:"public"`
	Free    []FreeInput     `json:"free"`
	Graph   json.RawMessage `json:"graph,omitempty"` // API JSON
	Created time.Time       `json:"created"`
	Changed time.Time       `json:"changed"`
}

// EventFilter picks events of the audit log. Zero fields pick all.
type EventFilter struct {
	Action        Action
	Result        Result
	Owner         string // user ID or name
	KeyID         string
	Addr          string
	Text          string // in target or detail
	Since, Before time.Time
	// Below is the Number below which to go on, from the page before; 0 begins with the newest.
	Below int64
	Limit int // 1 to 1000; 0 is 100
}
