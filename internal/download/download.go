// Package download fetches pinned archives through a client that is already installed (pip, npm, curl), and checks
// them.
//
// It must not know the purpose of the archives: internal/ortlib and frontend choose and unpack them.
package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kind is the way to obtain an archive.
type Kind string

// The kinds of archive, one for each client.
const (
	Wheel   Kind = "wheel"
	Package Kind = "npm"
	Release Kind = "release"
)

// Item is one archive.
type Item struct {
	Kind     Kind
	Project  string // distribution name
	Version  string
	Platform string // of a wheel: its platform tag; empty for one that fits every machine
	URL      string // of a release: where it lies
	SHA256   string
}

// Fetch downloads an item with one client into a new folder below parent and checks it. The caller removes the folder.
func Fetch(ctx context.Context, c Client, item Item, parent string) (archive string, err error) {
	if c.Find() == "" {
		return "", fmt.Errorf("%s is not on this machine", c.Name)
	}
	dir, err := os.MkdirTemp(parent, "download-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the download: %w", err)
	}
	// The client runs in the folder: a relative name would mean one below it.
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("finding the folder for the download: %w", err)
	}
	archive, err = run(ctx, c, item, dir)
	if err != nil {
		return "", err
	}
	return archive, Check(archive, item.SHA256)
}

// Check compares a file with its pinned SHA-256.
func Check(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("checking %s: %w", filepath.Base(path), err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("checking %s: %w", filepath.Base(path), err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("checking %s: its sha256 is %s, pinned is %s", filepath.Base(path), got, want)
	}
	return nil
}

// run starts the client and returns the one file it left in dir.
func run(ctx context.Context, c Client, item Item, dir string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Find(), c.Args(item, dir)...)
	cmd.Dir = dir
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("running %s: %w: %s", c.Name, err, lastLine(stderr.String()))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading what %s left: %w", c.Name, err)
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) != 1 {
		return "", fmt.Errorf("running %s: it left %d files, one archive was expected", c.Name, len(files))
	}
	return files[0], nil
}

// lastLine returns the last line of a program's complaint: that is where pip, npm and curl put the reason.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
