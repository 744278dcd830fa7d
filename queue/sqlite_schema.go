package queue

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations lead from each version of the schema to the next; the file's user_version is the number of those
// applied.
var migrations = []string{`
CREATE TABLE settings (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- state: 0 waiting, 1 running, 2 finished. Times are milliseconds since 1970. given: the client chose the number.
CREATE TABLE jobs (
	seq INTEGER PRIMARY KEY, id TEXT NOT NULL, state INTEGER NOT NULL, number REAL NOT NULL, given INTEGER NOT NULL,
	class INTEGER NOT NULL, rank REAL NOT NULL, sub INTEGER NOT NULL, client TEXT NOT NULL, attempts INTEGER NOT NULL,
	created INTEGER NOT NULL, started INTEGER, finished INTEGER, place INTEGER, status TEXT);
CREATE INDEX jobs_open ON jobs (state) WHERE state < 2;
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, listing TEXT NOT NULL, options TEXT);
CREATE TABLE results (seq INTEGER PRIMARY KEY, tail TEXT NOT NULL);
CREATE TABLE events (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL, job TEXT, data TEXT);
CREATE TABLE outbox (
	number INTEGER PRIMARY KEY, id TEXT NOT NULL, job TEXT NOT NULL, url TEXT NOT NULL, secret TEXT NOT NULL,
	body TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL);
CREATE INDEX outbox_due ON outbox (due);
`, `
-- Whose job it is, and the right under which it was accepted.
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN granted TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX events_owner ON events (owner, number) WHERE owner <> '';
`, `
-- A page less to write at every change of a job's state; the few open jobs are found at the start alone.
DROP INDEX jobs_open;
CREATE TABLE receipts (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, sum BLOB NOT NULL, answer TEXT NOT NULL, job TEXT NOT NULL, at INTEGER NOT NULL);
`, `
-- Whether its owner lets others read it.
ALTER TABLE jobs ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
`}

// SchemaVersion is the newest version of the file's schema, its user_version.
var SchemaVersion = int64(len(migrations))

// migrate updates the file to the newest version of the schema, or leaves it unchanged.
func migrate(conn *sql.Conn) error {
	ctx := context.Background()
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading the version of the schema: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("the file has version %d of the schema and this program knows %d: it was written by a newer comfygo", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("migrating the schema: %w", err)
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA user_version = %d", migrations[version], version+1))
		if err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
		if err != nil {
			return fmt.Errorf("migrating the schema to version %d: %w", version+1, err)
		}
	}
	return nil
}

// The writer's statements.
const (
	sqlJob      = "INSERT INTO jobs (seq, id, state, number, given, class, rank, sub, client, attempts, created, owner, granted) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)"
	sqlBody     = "INSERT INTO bodies (seq, listing, options) VALUES (?, ?, ?)"
	sqlStart    = "UPDATE jobs SET state = 1, attempts = ?, started = ? WHERE seq = ?"
	sqlReturn   = "UPDATE jobs SET state = 0, attempts = ?, started = NULL WHERE seq = ?"
	sqlFinish   = "UPDATE jobs SET state = 2, finished = ?, place = ?, status = ? WHERE seq = ?"
	sqlResult   = "INSERT INTO results (seq, tail) VALUES (?, ?)"
	sqlNoJob    = "DELETE FROM jobs WHERE seq = ?"
	sqlNoBody   = "DELETE FROM bodies WHERE seq = ?"
	sqlNoResult = "DELETE FROM results WHERE seq = ?"
	sqlShare    = "UPDATE jobs SET shared = ? WHERE seq = ?"
	sqlNoOpts   = "UPDATE bodies SET options = NULL WHERE seq = ?"
	sqlMove     = "UPDATE jobs SET class = ?, rank = ?, sub = ? WHERE seq = ?"
	sqlSetting  = "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
	sqlEvent    = "INSERT INTO events (number, at, type, job, data, owner) VALUES (?, ?, ?, ?, ?, ?)"
	sqlHook     = "INSERT INTO outbox (id, job, url, secret, body, attempts, due) VALUES (?, ?, ?, ?, ?, ?, ?)"
	sqlNoHook   = "DELETE FROM outbox WHERE number = ?"
	sqlHookWait = "UPDATE outbox SET attempts = ?, due = ? WHERE number = ?"
	// The last event always stays, so that no number is used twice.
	sqlTrim        = "DELETE FROM events WHERE (at < ? OR number <= ?) AND number < (SELECT max(number) FROM events)"
	sqlReceipt     = "INSERT INTO receipts (seq, key, sum, answer, job, at) VALUES (?, ?, ?, ?, ?, ?)"
	sqlTrimSlips   = "DELETE FROM receipts WHERE at < ? OR seq NOT IN (SELECT seq FROM receipts ORDER BY seq DESC LIMIT ?)"
	sqlBegin       = "BEGIN IMMEDIATE"
	sqlCommit      = "COMMIT"
	sqlRollback    = "ROLLBACK"
	sqlAllBodies   = "DELETE FROM bodies WHERE seq IN (SELECT seq FROM jobs WHERE state = 2)"
	sqlAllResults  = "DELETE FROM results"
	sqlAllFinished = "DELETE FROM jobs WHERE state = 2"
)

var statements = []string{
	sqlJob, sqlBody, sqlStart, sqlReturn, sqlFinish, sqlResult, sqlNoJob, sqlNoBody, sqlNoResult, sqlNoOpts, sqlShare, sqlMove, sqlSetting,
	sqlEvent, sqlHook, sqlNoHook, sqlHookWait, sqlTrim, sqlAllBodies, sqlAllResults, sqlAllFinished,
	sqlReceipt, sqlTrimSlips, sqlBegin, sqlCommit, sqlRollback,
}
