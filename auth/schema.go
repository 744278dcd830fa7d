package auth

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// migrations lead from each version of the schema to the next; the file's user_version says how many it has had. Times are
// seconds since 1970 but for the audit log's, which are milliseconds.
var migrations = []string{`
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 1);
-- folded is the name in lower case, by which no two users may be equal. A deleted user stays, so that its ID is never given again.
CREATE TABLE users (
	id TEXT PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL, role TEXT NOT NULL, created INTEGER NOT NULL,
	disabled INTEGER NOT NULL DEFAULT 0, deleted INTEGER, subject TEXT) WITHOUT ROWID;
CREATE UNIQUE INDEX users_name ON users (folded) WHERE deleted IS NULL;
CREATE UNIQUE INDEX users_subject ON users (subject) WHERE deleted IS NULL AND subject IS NOT NULL;
-- salt, hash and the parameters of Argon2id stand in place of the secret. changed is the generation of the last change.
CREATE TABLE keys (
	id TEXT PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL REFERENCES users (id), role TEXT NOT NULL,
	created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, last_used INTEGER, rotated_from TEXT,
	salt BLOB NOT NULL, hash BLOB NOT NULL, passes INTEGER NOT NULL, memory INTEGER NOT NULL, threads INTEGER NOT NULL,
	changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_owner ON keys (owner);
CREATE INDEX keys_changed ON keys (changed);
CREATE TABLE roles (name TEXT PRIMARY KEY, builtin INTEGER NOT NULL, limits TEXT NOT NULL) WITHOUT ROWID;
-- The endpoints whose default grants have been written. What an administrator took away does not come back.
CREATE TABLE endpoints (method TEXT NOT NULL, route TEXT NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (method, route)) WITHOUT ROWID;
CREATE TABLE grants (
	role TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE, method TEXT NOT NULL, route TEXT NOT NULL, workflow TEXT NOT NULL,
	PRIMARY KEY (role, method, route, workflow)) WITHOUT ROWID;
CREATE TABLE workflows (
	name TEXT PRIMARY KEY, title TEXT NOT NULL, public INTEGER NOT NULL, free TEXT NOT NULL, graph TEXT NOT NULL,
	created INTEGER NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
	digest BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, key TEXT NOT NULL, source TEXT NOT NULL,
	address TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE signers (
	id TEXT PRIMARY KEY, algorithm TEXT NOT NULL, secret BLOB NOT NULL, created INTEGER NOT NULL, retired INTEGER) WITHOUT ROWID;
CREATE TABLE audit (
	number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, action TEXT NOT NULL, result TEXT NOT NULL,
	owner TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, address TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_owner ON audit (owner);
`}

// SchemaVersion is the newest version of the store's schema, its user_version.
var SchemaVersion = int64(len(migrations))

// migrate updates the file to the newest version of the schema, or leaves it unchanged.
func migrate(ctx context.Context, tx *sql.Tx) error {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading the version of the schema: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("the file has version %d of the schema and this program knows %d: it was written by a newer comfygo", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("migrating the schema to version %d: %w", version+1, err)
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	return err
}

// defaultLimits are those of the built-in roles.
var defaultLimits = map[string]Limits{
	RoleAdministrator: {},
	RoleUser:          {Queued: 100, Megapixels: 64, UploadBytes: 100 << 20, Requests: 50, RequestsBurst: 500, Prompts: 5, PromptsBurst: 50},
	RoleViewer:        {UploadBytes: 1 << 20, UploadTotal: 20 << 20, Requests: 50, RequestsBurst: 500, Prompts: 0.1, PromptsBurst: 1},
	RoleGuest:         {Queued: 4, Megapixels: 8, UploadBytes: 20 << 20, UploadTotal: 200 << 20, Requests: 10, RequestsBurst: 100, Prompts: 0.2, PromptsBurst: 4},
}

// seed writes the built-in roles and the default grants of those endpoints that the file does not know yet: of all in a
// new file, of new routes in one from an older program.
func seed(ctx context.Context, tx *sql.Tx) error {
	for _, name := range []string{RoleAdministrator, RoleUser, RoleViewer, RoleGuest} {
		limits, err := json.Marshal(defaultLimits[name])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO roles (name, builtin, limits) VALUES (?, 1, ?)", name, string(limits)); err != nil {
			return fmt.Errorf("writing the role %s: %w", name, err)
		}
		const total = "$.upload_total_bytes" // files of older programs have none: the limit is younger
		if _, err := tx.ExecContext(ctx, "UPDATE roles SET limits = json_set(limits, ?1, ?2) WHERE name = ?3 AND json_type(limits, ?1) IS NULL",
			total, defaultLimits[name].UploadTotal, name); err != nil {
			return fmt.Errorf("writing the role %s: %w", name, err)
		}
	}
	known, err := knownEndpoints(ctx, tx)
	if err != nil {
		return fmt.Errorf("reading the known endpoints: %w", err)
	}
	added := false
	for _, r := range DefaultRules() {
		e := endpoint{r.Method, r.Route}
		if known[e] {
			continue
		}
		if err := seedRule(ctx, tx, r); err != nil {
			return fmt.Errorf("writing the rule for %s: %w", e, err)
		}
		added = true
	}
	if !added {
		return nil
	}
	_, err = bump(ctx, tx)
	return err
}

func seedRule(ctx context.Context, tx *sql.Tx, r Rule) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO endpoints (method, route, open) VALUES (?, ?, ?)", r.Method, r.Route, r.Open); err != nil {
		return err
	}
	for _, role := range r.Roles {
		pattern := AnyWorkflow
		if w := r.Workflow[role]; w != "" {
			pattern = w
		}
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO grants (role, method, route, workflow) VALUES (?, ?, ?, ?)", role, r.Method, r.Route, pattern); err != nil {
			return err
		}
	}
	return nil
}

func knownEndpoints(ctx context.Context, tx *sql.Tx) (map[endpoint]bool, error) {
	known := map[endpoint]bool{}
	err := each(ctx, tx, "SELECT method, route FROM endpoints", nil, func(scan func(...any) error) error {
		var e endpoint
		err := scan(&e.method, &e.route)
		known[e] = true
		return err
	})
	return known, err
}

// bump begins the next generation: what other processes look at to see that something changed.
func bump(ctx context.Context, tx *sql.Tx) (generation int64, err error) {
	err = tx.QueryRowContext(ctx, "UPDATE meta SET value = value + 1 WHERE key = 'generation' RETURNING value").Scan(&generation)
	return generation, err
}

// querier is a source of rows: a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// each calls do for every row of a query.
func each(ctx context.Context, q querier, query string, args []any, do func(scan func(...any) error) error) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
