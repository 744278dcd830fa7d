// Package sqlite opens the SQLite files of the queue, the key store and the asset library, each by its own rules.
//
// The driver is SQLite itself, compiled in with cgo: a commit costs two thirds of its cost in a translation of SQLite to Go.
// The package knows nothing of the files' contents.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Memory in place of a path is a database that lives as long as its connection.
const Memory = ":memory:"

// Options configure how a database is opened.
type Options struct {
	// Conns is the maximum number of connections; 0 means one. All stay open.
	Conns int
	// Wait is the time that a connection waits for a lock that another one has.
	Wait time.Duration
	// Immediate makes a transaction take the lock for writing at its beginning, in place of at its first write.
	Immediate bool
	// Pragmas are settings that each connection makes first, in this order, as in "journal_mode = WAL".
	Pragmas []string
}

// Open returns a database without touching its file: the first use does, and makes it if need be.
func Open(path string, o Options) *sql.DB {
	query := url.Values{"_busy_timeout": {fmt.Sprint(o.Wait.Milliseconds())}}
	if o.Immediate {
		query.Set("_txlock", "immediate")
	}
	db := sql.OpenDB(&connector{dsn: fileURI(filepath.ToSlash(path), filepath.VolumeName(path), query.Encode()), driver: &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		for _, p := range o.Pragmas {
			if _, err := c.Exec("PRAGMA "+p, nil); err != nil {
				return fmt.Errorf("setting %s: %w", p, err)
			}
		}
		return nil
	}}})
	db.SetMaxOpenConns(max(1, o.Conns))
	db.SetMaxIdleConns(max(1, o.Conns))
	return db
}

// connector makes connections, as sql.Open does for a named driver; such a name is global to the program.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// fileURI returns a file's name as SQLite requires it (https://sqlite.org/uri.html). path is absolute, with forward slashes.
// One that begins with a volume's name, a drive's letter, gets a slash before it, or the drive would be read as a host.
func fileURI(path, volume, query string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: query}
	switch {
	case path == Memory:
		u.Opaque = Memory
	case volume != "" && !strings.HasPrefix(path, "/"):
		u.Path = "/" + path
	}
	return u.String()
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }

// Code is a primary result code of SQLite; they are listed at https://sqlite.org/rescode.html.
type Code int

// The codes of faults of a file or the system, as opposed to a statement.
const (
	Busy     Code = 5
	Locked   Code = 6
	ReadOnly Code = 8
	IO       Code = 10
	Full     Code = 13
	CantOpen Code = 14
	Corrupt  Code = 11
	NotADB   Code = 26
)

// CodeOf is SQLite's code for an error, 0 if it comes from somewhere else.
func CodeOf(err error) Code {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return 0
	}
	return Code(e.Code & 0xff)
}
