package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/internal/backup"
	"comfygo/sqlite"
)

// TestBackupAndRestore moves keys, the queue and a user's files to another base directory.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	old := shell{t, t.TempDir()}
	var u auth.User
	old.json(&u, "users", "create", "ada", "--role", "Administrator")
	user := filepath.Join(old.base, "user")
	if err := os.MkdirAll(filepath.Join(user, "default", "workflows"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"default/workflows/a.json": "{}", "comfygo-queue.db.lock": "", "comfygo-events.log": "events"} {
		if err := os.WriteFile(filepath.Join(user, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db := sqlite.Open(filepath.Join(user, "comfygo-queue.db"), sqlite.Options{})
	if _, err := db.Exec("CREATE TABLE jobs (seq INTEGER PRIMARY KEY); PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	if out, errs, code := old.run("backup", file); code != 0 || !strings.Contains(out, "3 files") {
		t.Fatalf("code %d, %s %s", code, out, errs)
	}
	fresh := shell{t, filepath.Join(t.TempDir(), "new")}
	if out, errs, code := fresh.run("restore", file); code != 0 || !strings.Contains(out, "3 files restored") {
		t.Fatalf("code %d, %s %s", code, out, errs)
	}
	var users []auth.User
	if fresh.json(&users, "users", "list"); len(users) != 1 || users[0].ID != u.ID {
		t.Errorf("%+v", users)
	}
	if info, err := os.Stat(filepath.Join(fresh.base, "comfygo-auth.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key store: %v, %v", info, err)
	}
	if text, err := os.ReadFile(filepath.Join(fresh.base, "user", "default", "workflows", "a.json")); err != nil || string(text) != "{}" {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(fresh.base, "user", "comfygo-events.log")); err == nil {
		t.Error("the log of events was backed up")
	}
	// Again, over what is there: it is kept.
	if _, errs, code := fresh.run("restore", file); code != 0 {
		t.Fatal(errs)
	}
	if kept, _ := filepath.Glob(filepath.Join(fresh.base, "*.before-restore-*")); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	s := shell{t, t.TempDir()}
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	if _, errs, code := s.run("backup", file); code != 1 || !strings.Contains(errs, "nothing to back up") {
		t.Errorf("an empty folder: %d, %s", code, errs)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("an empty backup stays")
	}
	var u auth.User
	s.json(&u, "users", "create", "ada", "--role", "Administrator")
	if _, errs, code := s.run("backup", file); code != 0 {
		t.Fatal(errs)
	}
	dirs, err := folders.New(folders.Config{Base: s.base})
	if err != nil {
		t.Fatal(err)
	}
	if err := dirs.Prepare(); err != nil { // as a server that is at work
		t.Fatal(err)
	}
	if _, errs, code := s.run("restore", file); code != 1 || !strings.Contains(errs, "stop it first") {
		t.Errorf("beside a server: %d, %s", code, errs)
	}
	if err := dirs.RemoveTemp(); err != nil {
		t.Fatal(err)
	}
	store := sqlite.Open(filepath.Join(s.base, "comfygo-auth.db"), sqlite.Options{Wait: time.Second})
	if _, err := store.Exec("PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer.tar.gz")
	if _, err := backup.Write(t.Context(), newer, "comfygo 9", []backup.Source{{Name: "comfygo-auth.db", Path: filepath.Join(s.base, "comfygo-auth.db")}}); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.run("restore", newer); code != 1 || !strings.Contains(errs, "was written by a newer comfygo") {
		t.Errorf("a newer schema: %d, %s", code, errs)
	}
	if kept, _ := filepath.Glob(filepath.Join(s.base, "*.before-restore-*")); len(kept) != 0 {
		t.Errorf("a refused backup has replaced %v", kept)
	}
}
