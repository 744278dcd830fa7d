package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"comfygo/sqlite"
)

func value(t *testing.T, db *sql.DB, query string) (v string) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func exec(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func open(t *testing.T, path string, o sqlite.Options) *sql.DB {
	t.Helper()
	db := sqlite.Open(path, o)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestPaths opens files with names that have a meaning in a URL, and the empty name.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "a b%20c.db", "what?mode=memory", "half#two.db", "50%.db", "ünï;&=.db", ":memory:"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			db := open(t, path, sqlite.Options{})
			if _, err := os.Stat(path); err == nil {
				t.Error("opening has made the file")
			}
			exec(t, db, "CREATE TABLE t (x)")
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		db := open(t, sqlite.Memory, sqlite.Options{})
		exec(t, db, "CREATE TABLE t (x)")
		if n := value(t, db, "SELECT count(*) FROM t"); n != "0" {
			t.Error(n)
		}
		files, err := os.ReadDir(".")
		if err != nil || slices.ContainsFunc(files, func(f os.DirEntry) bool { return filepath.Ext(f.Name()) != ".go" }) {
			t.Errorf("it has left files: %v, %v", files, err)
		}
	})
}

// TestPragmas checks the settings of each of several connections.
func TestPragmas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, sqlite.Options{
		Conns: 2, Wait: 1234 * time.Millisecond,
		Pragmas: []string{"auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = 1"},
	})
	exec(t, db, "CREATE TABLE t (x)")
	for range 2 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for name, want := range map[string]string{"auto_vacuum": "2", "journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "1234"} {
			var got string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, want %q, %v", name, got, want, err)
			}
		}
	}
	bad := open(t, path, sqlite.Options{Pragmas: []string{"= what"}})
	if err := bad.Ping(); err == nil {
		t.Error("a pragma that can't be read is taken")
	}
}

// TestCodes meets the errors that callers tell apart.
func TestCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	db := open(t, path, sqlite.Options{})
	exec(t, db, "CREATE TABLE t (x)")
	exec(t, db, "BEGIN EXCLUSIVE")
	other := open(t, path, sqlite.Options{Immediate: true})
	if _, err := other.Begin(); sqlite.CodeOf(err) != sqlite.Busy {
		t.Errorf("while another writes: %v", err)
	}
	exec(t, db, "COMMIT")
	exec(t, db, "PRAGMA max_page_count = 3")
	if _, err := db.Exec("INSERT INTO t VALUES (?)", make([]byte, 1<<20)); sqlite.CodeOf(err) != sqlite.Full {
		t.Errorf("without room: %v", err)
	}
	if _, err := open(t, path, sqlite.Options{Pragmas: []string{"query_only = 1"}}).Exec("DELETE FROM t"); sqlite.CodeOf(err) != sqlite.ReadOnly {
		t.Errorf("writing where one may not: %v", err)
	}
	if err := open(t, filepath.Join(dir, "none", "x.db"), sqlite.Options{}).Ping(); sqlite.CodeOf(err) != sqlite.CantOpen {
		t.Errorf("in a folder that is not there: %v", err)
	}
	if _, err := db.Exec("what"); err == nil || sqlite.CodeOf(err) == 0 || sqlite.CodeOf(err) == sqlite.Busy {
		t.Errorf("what is no SQL: %v", err)
	}
	if code := sqlite.CodeOf(os.ErrNotExist); code != 0 {
		t.Errorf("an error of another package has code %d", code)
	}
}

// TestConcurrentTransactions has two connections read and write at once: with Immediate none fails for the other.
func TestConcurrentTransactions(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{Conns: 4, Wait: time.Minute, Immediate: true, Pragmas: []string{"journal_mode = WAL", "synchronous = OFF"}})
	exec(t, db, "CREATE TABLE t (x)")
	exec(t, db, "INSERT INTO t VALUES (0)")
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			for range 25 {
				if err := increment(db); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if x := value(t, db, "SELECT x FROM t"); x != "100" {
		t.Errorf("x is %s", x)
	}
}

func increment(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	var x int
	if err := tx.QueryRow("SELECT x FROM t").Scan(&x); err != nil {
		_ = tx.Rollback()
		return err
	}
	if _, err := tx.Exec("UPDATE t SET x = ?", x+1); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}
