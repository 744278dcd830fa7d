// Package backup packs files and SQLite databases that are in use into one archive, and unpacks such an archive.
//
// A database is copied in one transaction (VACUUM INTO) while others write to it. The archive begins with a manifest of sizes
// and SHA-256 sums; every file is checked against it before anything is put into place. The package does not know the purpose of
// the files.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"comfygo/sqlite"
)

// manifestName is the first file of an archive.
const manifestName = "manifest.json"

// Bounds of the data that is read from an archive.
const (
	maxManifest = 16 << 20
	maxEntries  = 1 << 20
)

// Source is a file to pack.
type Source struct {
	Name string // in the archive, with slashes
	Path string
}

// Entry is a file of an archive.
type Entry struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// SQLite means that it is a database; Schema is its user_version then.
	SQLite bool  `json:"sqlite,omitempty"`
	Schema int64 `json:"schema,omitempty"`
}

// Manifest describes the contents of an archive.
type Manifest struct {
	Program string    `json:"program"` // that wrote it, with its version
	Time    time.Time `json:"time"`
	Files   []Entry   `json:"files"`
}

// Write packs the sources into a new file of mode 0600, whole or not at all. A source that does not exist is left out.
func Write(ctx context.Context, path, program string, sources []Source) (_ Manifest, err error) {
	dir := filepath.Dir(path)
	work, err := os.MkdirTemp(dir, ".comfygo-backup-")
	if err != nil {
		return Manifest{}, fmt.Errorf("making a folder beside the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	m := Manifest{Program: program, Time: time.Now().UTC().Truncate(time.Second)}
	var files []string // of the entries
	for i, s := range sources {
		entry, file, err := take(ctx, s, filepath.Join(work, fmt.Sprint(i)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return m, fmt.Errorf("backing up %s: %w", s.Path, err)
		}
		m.Files, files = append(m.Files, entry), append(files, file)
	}
	packed := filepath.Join(work, "archive")
	if err := pack(packed, m, files); err != nil {
		return m, fmt.Errorf("writing the backup: %w", err)
	}
	return m, os.Rename(packed, path)
}

// take describes a source and returns the file with the content for the archive: the source, or the copy of a database.
func take(ctx context.Context, s Source, copied string) (Entry, string, error) {
	e := Entry{Name: s.Name}
	is, err := isSQLite(s.Path)
	if err != nil {
		return e, "", err
	}
	file := copied
	if e.SQLite = is; is {
		e.Schema, err = snapshot(ctx, s.Path, copied)
	} else {
		err = copyFile(s.Path, copied) // a file that is written to meanwhile must not change its sum
	}
	if err != nil {
		return e, "", err
	}
	e.Size, e.SHA256, err = sum(file)
	return e, file, err
}

// isSQLite reports whether a file begins as a database of SQLite does.
func isSQLite(path string) (bool, error) {
	const magic = "SQLite format 3\x00"
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(head[:n]) == magic, nil
}

// snapshot copies a database as it is at one moment and returns its user_version.
func snapshot(ctx context.Context, path, to string) (version int64, err error) {
	db := sqlite.Open(path, sqlite.Options{Wait: 10 * time.Second})
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return 0, err
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return 0, err
	}
	return Schema(ctx, to)
}

// Schema is the user_version of a database.
func Schema(ctx context.Context, path string) (version int64, err error) {
	db := sqlite.Open(path, sqlite.Options{})
	defer func() { err = errors.Join(err, db.Close()) }()
	return version, db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func sum(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// pack writes the archive: the manifest, then the files in its order.
func pack(path string, m Manifest, files []string) (err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	gz := gzip.NewWriter(out)
	w := tar.NewWriter(gz)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: int64(len(text)), Mode: 0o600, ModTime: m.Time}); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for i, e := range m.Files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.Name, Size: e.Size, Mode: 0o600, ModTime: m.Time, Format: tar.FormatPAX}); err != nil {
			return err
		}
		if err := appendFile(w, files[i]); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), gz.Close(), out.Sync())
}

func appendFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}
