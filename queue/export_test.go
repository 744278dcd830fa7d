package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Exec runs a statement on the writer's connection of a file store: tests make the file fail with it.
func Exec(t *testing.T, s Store, text string) {
	t.Helper()
	file := s.(*sqliteStore)
	err := file.submit(&request{do: func(s *sqliteStore) error {
		_, err := s.conn.ExecContext(context.Background(), text)
		return err
	}})()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// HookPauses replaces the waits between tries to send; the returned function puts them back.
func HookPauses(d ...time.Duration) (restore func()) {
	old := hookPauses
	hookPauses = d
	return func() { hookPauses = old }
}

// Migrations is the newest version of the schema.
var Migrations = len(migrations)

// FirstSchema makes the tables as the first version had them.
var FirstSchema = migrations[0] + "; PRAGMA user_version = 1"

// SchemaOf makes the tables as a version had them.
func SchemaOf(version int) string {
	return strings.Join(migrations[:version], ";") + fmt.Sprintf("; PRAGMA user_version = %d", version)
}
