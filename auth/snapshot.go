package auth

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// snapshot is the content of the file at one generation. It never changes, but for the times of last use; requests read
// nothing else.
type snapshot struct {
	generation int64
	keys       map[string]*keyRecord
	users      map[string]*User  // by ID; deleted ones are missing
	names      map[string]string // folded name to ID
	subjects   map[string]string // subject to ID
	roles      map[string]*roleRecord
	open       map[endpoint]bool
	known      map[endpoint]bool
	workflows  map[string]*workflowRecord
	sessions   map[[sha256.Size]byte]*sessionRecord
	sessionIDs map[string]*sessionRecord
	signers    map[string]*signer
	changed    []string // keys that are new or other than in the snapshot before
}

// keyRecord is a key as the gate reads it; times are seconds since 1970, 0 means never.
type keyRecord struct {
	id, name, owner, role, from string
	created, expires, revoked   int64
	hash                        hashed
	used                        *atomic.Int64
	written                     *atomic.Int64 // what the file has of used
}

// roleRecord is a role with its grants by endpoint.
type roleRecord struct {
	name    string
	builtin bool
	admin   bool
	limits  Limits
	grants  []Grant
	permits map[endpoint][]string // workflow patterns
}

type sessionRecord struct {
	digest                   [sha256.Size]byte
	id, owner, key, from, ip string
	created, expires         int64
}

// load reads the file in one transaction; what has not changed since old is taken over.
func load(ctx context.Context, db *sql.DB, old *snapshot) (*snapshot, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it only read
	n := &snapshot{}
	if n.generation, err = generationOf(ctx, tx); err != nil {
		return nil, fmt.Errorf("reading the generation: %w", err)
	}
	if old != nil && n.generation == old.generation {
		return old, nil
	}
	for _, part := range []struct {
		name string
		read func(context.Context, querier, *snapshot) error
	}{
		{"keys", n.readKeys},
		{"users", n.readUsers},
		{"roles", n.readRoles},
		{"workflows", n.readWorkflows},
		{"sessions", n.readSessions},
		{"signing keys", n.readSigners},
	} {
		if err := part.read(ctx, tx, old); err != nil {
			return nil, fmt.Errorf("reading the %s: %w", part.name, err)
		}
	}
	return n, nil
}

func generationOf(ctx context.Context, q querier) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'generation'").Scan(&n)
	return n, err
}

const sqlKeys = `SELECT id, name, owner, role, created, coalesce(expires, 0), coalesce(revoked, 0), coalesce(last_used, 0),
	coalesce(rotated_from, ''), salt, hash, passes, memory, threads FROM keys WHERE changed > ?`

func (n *snapshot) readKeys(ctx context.Context, q querier, old *snapshot) error {
	since := int64(-1)
	n.keys = map[string]*keyRecord{}
	if old != nil {
		since, n.keys = old.generation, old.keys
	}
	var read []*keyRecord
	err := each(ctx, q, sqlKeys, []any{since}, func(scan func(...any) error) error {
		k := &keyRecord{used: new(atomic.Int64), written: new(atomic.Int64)}
		var used int64
		err := scan(&k.id, &k.name, &k.owner, &k.role, &k.created, &k.expires, &k.revoked, &used, &k.from,
			&k.hash.salt, &k.hash.hash, &k.hash.params.Passes, &k.hash.params.Memory, &k.hash.params.Threads)
		k.used.Store(used)
		k.written.Store(used)
		read = append(read, k)
		return err
	})
	if err != nil || len(read) == 0 {
		return err
	}
	n.keys = maps.Clone(n.keys)
	for _, k := range read {
		if before := n.keys[k.id]; before != nil {
			k.used, k.written = before.used, before.written
		}
		n.keys[k.id] = k
		n.changed = append(n.changed, k.id)
	}
	return nil
}

func (n *snapshot) readUsers(ctx context.Context, q querier, _ *snapshot) error {
	n.users, n.names, n.subjects = map[string]*User{}, map[string]string{}, map[string]string{}
	const text = "SELECT id, name, folded, role, created, disabled, coalesce(subject, '') FROM users WHERE deleted IS NULL"
	return each(ctx, q, text, nil, func(scan func(...any) error) error {
		u := &User{}
		var folded string
		var created int64
		if err := scan(&u.ID, &u.Name, &folded, &u.Role, &created, &u.Disabled, &u.Subject); err != nil {
			return err
		}
		u.Created = time.Unix(created, 0).UTC()
		n.users[u.ID], n.names[folded] = u, u.ID
		if u.Subject != "" {
			n.subjects[u.Subject] = u.ID
		}
		return nil
	})
}

func (n *snapshot) readRoles(ctx context.Context, q querier, _ *snapshot) error {
	n.roles, n.open, n.known = map[string]*roleRecord{}, map[endpoint]bool{}, map[endpoint]bool{}
	err := each(ctx, q, "SELECT name, builtin, limits FROM roles", nil, func(scan func(...any) error) error {
		r := &roleRecord{permits: map[endpoint][]string{}}
		var limits string
		if err := scan(&r.name, &r.builtin, &limits); err != nil {
			return err
		}
		r.admin = r.name == RoleAdministrator
		n.roles[r.name] = r
		return json.Unmarshal([]byte(limits), &r.limits)
	})
	if err != nil {
		return err
	}
	err = each(ctx, q, "SELECT method, route, open FROM endpoints", nil, func(scan func(...any) error) error {
		var e endpoint
		var isOpen bool
		err := scan(&e.method, &e.route, &isOpen)
		n.known[e] = true
		n.open[e] = isOpen
		return err
	})
	if err != nil {
		return err
	}
	err = each(ctx, q, "SELECT role, method, route, workflow FROM grants ORDER BY role, route, method, workflow", nil, func(scan func(...any) error) error {
		var role string
		var g Grant
		err := scan(&role, &g.Method, &g.Route, &g.Workflow)
		if r := n.roles[role]; r != nil {
			r.grants = append(r.grants, g)
		}
		return err
	})
	for _, r := range n.roles {
		r.index(n.known)
	}
	return err
}

// index finds the grants of each endpoint that has a rule: a pattern matches no other.
func (r *roleRecord) index(known map[endpoint]bool) {
	for _, g := range r.grants {
		if e := (endpoint{g.Method, g.Route}); known[e] {
			r.permits[e] = append(r.permits[e], g.Workflow)
			continue
		}
		if g.Method != "*" && !strings.HasSuffix(g.Route, "*") {
			continue
		}
		for e := range known {
			if g.covers(e) {
				r.permits[e] = append(r.permits[e], g.Workflow)
			}
		}
	}
}

func (n *snapshot) readWorkflows(ctx context.Context, q querier, _ *snapshot) error {
	n.workflows = map[string]*workflowRecord{}
	const text = "SELECT name, title, public, free, graph, created, changed FROM workflows"
	return each(ctx, q, text, nil, func(scan func(...any) error) error {
		w := Workflow{}
		var free, graph string
		var created, changed int64
		if err := scan(&w.Name, &w.Title, &w.Public, &free, &graph, &created, &changed); err != nil {
			return err
		}
		w.Created, w.Changed = time.Unix(created, 0).UTC(), time.Unix(changed, 0).UTC()
		w.Graph = json.RawMessage(graph)
		if err := json.Unmarshal([]byte(free), &w.Free); err != nil {
			return fmt.Errorf("reading the free inputs of %s: %w", w.Name, err)
		}
		record, err := newWorkflowRecord(w)
		if err != nil {
			return fmt.Errorf("reading the graph of %s: %w", w.Name, err)
		}
		n.workflows[w.Name] = record
		return nil
	})
}

func (n *snapshot) readSessions(ctx context.Context, q querier, _ *snapshot) error {
	n.sessions, n.sessionIDs = map[[sha256.Size]byte]*sessionRecord{}, map[string]*sessionRecord{}
	const text = "SELECT digest, id, owner, key, source, address, created, expires FROM sessions"
	return each(ctx, q, text, nil, func(scan func(...any) error) error {
		s := &sessionRecord{}
		var d []byte
		if err := scan(&d, &s.id, &s.owner, &s.key, &s.from, &s.ip, &s.created, &s.expires); err != nil {
			return err
		}
		copy(s.digest[:], d)
		n.sessions[s.digest], n.sessionIDs[s.id] = s, s
		return nil
	})
}

func (n *snapshot) readSigners(ctx context.Context, q querier, _ *snapshot) error {
	n.signers = map[string]*signer{}
	return each(ctx, q, "SELECT id, algorithm, secret, created, retired IS NOT NULL FROM signers", nil, func(scan func(...any) error) error {
		var id, algorithm string
		var secret []byte
		var created int64
		var retired bool
		if err := scan(&id, &algorithm, &secret, &created, &retired); err != nil {
			return err
		}
		s, err := newSigner(id, algorithm, secret, created)
		if err != nil {
			return err
		}
		s.retired = retired
		n.signers[id] = s
		return nil
	})
}

// user finds a user by ID or by name.
func (n *snapshot) user(idOrName string) *User {
	if u := n.users[idOrName]; u != nil {
		return u
	}
	return n.users[n.names[fold(idOrName)]]
}

// fold is the form in which names are compared.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// usable returns the reason why a key can't be used, or nil.
func (n *snapshot) usable(k *keyRecord, now time.Time) error {
	switch u := n.users[k.owner]; {
	case k.revoked != 0, u == nil, u.Disabled:
		return ErrRevoked
	case k.expires != 0 && now.Unix() >= k.expires:
		return ErrExpired
	}
	return nil
}

// ended compares two snapshots and returns the principals whose rights have ended.
func (n *snapshot) ended(old *snapshot, now time.Time) []Revocation {
	var out []Revocation
	for _, id := range n.changed {
		before, k := old.keys[id], n.keys[id]
		switch {
		case before == nil:
		case before.revoked == 0 && k.revoked != 0:
			out = append(out, Revocation{KeyID: id, Reason: "the key was revoked", CancelJobs: true})
		case expiredAt(k, now) && !expiredAt(before, now):
			out = append(out, Revocation{KeyID: id, Reason: "the key has expired", CancelJobs: true})
		case before.role != k.role:
			out = append(out, Revocation{KeyID: id, Reason: "the key's role was changed"})
		}
	}
	for id, before := range old.users {
		switch u := n.users[id]; {
		case u == nil:
			out = append(out, Revocation{Owner: id, Reason: "the user was deleted", CancelJobs: true})
		case u.Disabled && !before.Disabled:
			out = append(out, Revocation{Owner: id, Reason: "the user was disabled", CancelJobs: true})
		case u.Role != before.Role:
			out = append(out, Revocation{Owner: id, Reason: "the user's role was changed"})
		}
	}
	for id, s := range old.sessionIDs {
		if n.sessionIDs[id] == nil && s.expires > now.Unix() {
			out = append(out, Revocation{SessionID: id, Reason: "logged out"})
		}
	}
	slices.SortStableFunc(out, func(a, b Revocation) int {
		return strings.Compare(a.Owner+a.KeyID+a.SessionID, b.Owner+b.KeyID+b.SessionID)
	})
	return out
}

func expiredAt(k *keyRecord, now time.Time) bool { return k.expires != 0 && now.Unix() >= k.expires }
