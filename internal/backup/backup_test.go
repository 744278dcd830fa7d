package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/internal/backup"
	"comfygo/sqlite"
)

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRoundTrip packs a database while another connection writes to it, and puts it back over a changed one.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	db := sqlite.Open(path, sqlite.Options{Wait: 5 * time.Second, Pragmas: []string{"journal_mode = WAL"}})
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Exec("CREATE TABLE pairs (a INTEGER, b INTEGER); PRAGMA user_version = 7"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	started := make(chan struct{})
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ { // both rows of a transaction are in the copy, or neither
			if _, err := db.Exec(fmt.Sprintf("BEGIN; INSERT INTO pairs VALUES (%d, 1); INSERT INTO pairs VALUES (%d, 2); COMMIT", i, i)); err != nil {
				t.Error(err)
				return
			}
			if i == 0 {
				close(started)
			}
		}
	})
	<-started
	file := filepath.Join(dir, "backup.tar.gz")
	m, err := backup.Write(t.Context(), file, "comfygo test", []backup.Source{
		{Name: "user/queue.db", Path: path},
		{Name: "user/default/settings.json", Path: put(t, filepath.Join(dir, "settings.json"), "{}")},
		{Name: "absent.db", Path: filepath.Join(dir, "absent.db")},
	})
	stop()
	writer.Wait()
	if err != nil || len(m.Files) != 2 || !m.Files[0].SQLite || m.Files[0].Schema != 7 || m.Files[1].SQLite {
		t.Fatalf("%+v, %v", m, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".comfygo-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	u, err := backup.Unpack(t.Context(), file, dir)
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(dir, "new", "queue.db")
	if err := u.Place(0, place, ".old"); err != nil {
		t.Fatal(err)
	}
	if err := u.Place(1, put(t, filepath.Join(dir, "settings.json"), "changed"), ".old"); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	restored := sqlite.Open(place, sqlite.Options{})
	t.Cleanup(func() { _ = restored.Close() })
	var all, halves int
	if err := restored.QueryRow("SELECT count(*), (SELECT count(*) FROM (SELECT a FROM pairs GROUP BY a HAVING count(*) <> 2)) FROM pairs").Scan(&all, &halves); err != nil || all < 2 || halves != 0 {
		t.Errorf("%d rows, %d halves of transactions, %v", all, halves, err)
	}
	for name, want := range map[string]string{"settings.json": "{}", "settings.json.old": "changed"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "good.tar.gz")
	if _, err := backup.Write(t.Context(), file, "p", []backup.Source{{Name: "a", Path: put(t, filepath.Join(dir, "a"), strings.Repeat("text ", 1000))}}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.tar.gz")
	if _, err := backup.Write(t.Context(), bad, "p", []backup.Source{{Name: "../a", Path: filepath.Join(dir, "a")}}); err != nil {
		t.Fatal(err)
	}
	outside, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"no archive": {[]byte("hello"), "not a backup of comfygo"},
		"cut":        {good[:len(good)-20], "unexpected EOF"},
		"outside":    {outside, "is not a name below a folder"},
		"empty":      {nil, "not a backup of comfygo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := t.TempDir()
			path := put(t, filepath.Join(to, "b.tar.gz"), string(tt.text))
			if _, err := backup.Unpack(t.Context(), path, to); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if left, _ := filepath.Glob(filepath.Join(to, ".comfygo-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if bytes.Equal(good, outside) {
		t.Error("the archives are one")
	}
}
