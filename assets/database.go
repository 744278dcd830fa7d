package assets

import (
	"context"
	"database/sql"
	_ "embed" // the schema
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comfygo/sqlite"
)

// schema makes the tables as ComfyUI 0.33.0 has them after its migrations.
//
//go:embed schema.sql
var schema string

// revision is the name of ComfyUI's last migration that the tables belong to.
const revision = "0006_add_loader_path"

// defaultFile is the database's name in the user folder.
const defaultFile = "comfyui.db"

// patience is the time that a transaction waits for those of other servers on the same file. Each takes milliseconds.
const patience = 10 * time.Second

// openDatabase opens the file. There is one connection, which all of the library shares; other servers may have theirs, and
// each transaction sees what the others have written.
func (l *Library) openDatabase() error {
	path, err := l.source()
	if err != nil {
		return err
	}
	o := sqlite.Options{Wait: patience, Immediate: true, Pragmas: []string{"foreign_keys = 1"}}
	if path != sqlite.Memory {
		o.Pragmas = append(o.Pragmas, "journal_mode = WAL", "synchronous = NORMAL")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	}
	l.db = sqlite.Open(path, o)
	if err := l.tx(l.ctx, migrate); err != nil {
		if sqlite.CodeOf(err) == sqlite.Busy {
			err = fmt.Errorf("another process keeps %s locked; give this one its own with --database-url sqlite:///PATH", path)
		}
		return errors.Join(err, l.db.Close())
	}
	return nil
}

// source reads the database's URL.
func (l *Library) source() (path string, err error) {
	switch given := l.cfg.URL; given {
	case "sqlite://", "sqlite:///:memory:":
		return sqlite.Memory, nil
	case "":
		path = filepath.Join(l.cfg.Folders.User(), defaultFile)
	default:
		rest, ok := strings.CutPrefix(given, "sqlite:///")
		if !ok || rest == "" || strings.ContainsRune(rest, 0) {
			return "", fmt.Errorf("reading the database URL %q: want sqlite:///PATH", given)
		}
		path = rest
	}
	return filepath.Abs(path)
}

// migrate makes the tables in an empty database and refuses one whose tables are of another version.
func migrate(tx *sql.Tx) error {
	var tables int
	if err := tx.QueryRow(`SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('assets', 'alembic_version')`).Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		if _, err := tx.Exec(schema); err != nil {
			return fmt.Errorf("making the tables: %w", err)
		}
		return nil
	}
	have := ""
	if err := tx.QueryRow(`SELECT version_num FROM alembic_version`).Scan(&have); err != nil {
		return fmt.Errorf("reading the version of the tables: %w", err)
	}
	if have != revision {
		return fmt.Errorf("the database has the tables of another version of ComfyUI (%s, wanted %s); start that version once to change them, or name another file with --database-url", have, revision)
	}
	return nil
}

// tx runs a function in a transaction, which an error takes back.
func (l *Library) tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the first error says what happened
		return err
	}
	return tx.Commit()
}

// maxBinds is the maximum number of values in one statement.
const maxBinds = 800

// inChunks calls do for parts of the list, with a question mark for each and their values.
func inChunks(list []string, do func(marks string, args []any) error) error {
	for len(list) > 0 {
		n := min(len(list), maxBinds)
		if err := do(marks(n), anys(list[:n])); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// null is the value of a text column that has no empty texts.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// column reads the first column of all rows.
func column(tx *sql.Tx, query string, args ...any) (list []string, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// likeEscaped escapes a text for a LIKE with the escape character !.
func likeEscaped(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}
