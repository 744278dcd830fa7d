package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"comfygo/sqlite"
)

// Unpacked is an archive whose files have been checked and unpacked to a folder, named by their place in the manifest.
type Unpacked struct {
	Manifest
	dir string
}

// Unpack reads an archive into a new folder below parent and checks every file: its size, its sum, and that databases are not
// damaged. Close removes what Place has not taken.
func Unpack(ctx context.Context, path, parent string) (_ *Unpacked, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}
	defer func() { _ = in.Close() }()
	dir, err := os.MkdirTemp(parent, ".comfygo-restore-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the restored files: %w", err)
	}
	u := &Unpacked{dir: dir}
	if err := u.read(ctx, in); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the backup %s: %w", path, err), u.Close())
	}
	return u, nil
}

// Close removes the folder.
func (u *Unpacked) Close() error { return os.RemoveAll(u.dir) }

func (u *Unpacked) read(ctx context.Context, in io.Reader) error {
	gz, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("it is not a backup of comfygo: %w", err)
	}
	r := tar.NewReader(gz)
	h, err := r.Next()
	if err != nil || h.Name != manifestName || h.Size > maxManifest {
		return errors.New("it is not a backup of comfygo: it does not begin with " + manifestName)
	}
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&u.Manifest); err != nil {
		return fmt.Errorf("reading its %s: %w", manifestName, err)
	}
	if len(u.Files) > maxEntries {
		return fmt.Errorf("it names %d files, the most is %d", len(u.Files), maxEntries)
	}
	for i, e := range u.Files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		h, err := r.Next()
		switch {
		case err != nil:
			return fmt.Errorf("it ends before %s: %w", e.Name, err)
		case h.Typeflag != tar.TypeReg || h.Name != e.Name || h.Size != e.Size || e.Size < 0:
			return fmt.Errorf("%s does not follow as its manifest says", e.Name)
		case !filepath.IsLocal(filepath.FromSlash(e.Name)):
			return fmt.Errorf("%q is not a name below a folder", e.Name)
		}
		if err := u.unpack(ctx, r, i, e); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

func (u *Unpacked) file(i int) string { return filepath.Join(u.dir, fmt.Sprint(i)) }

// unpack writes one file and checks it.
func (u *Unpacked) unpack(ctx context.Context, r io.Reader, i int, e Entry) error {
	f, err := os.OpenFile(u.file(i), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	size, got, err := sum(u.file(i))
	if err != nil {
		return err
	}
	if size != e.Size || got != e.SHA256 {
		return errors.New("its content does not match its checksum: the backup is damaged")
	}
	if !e.SQLite {
		return nil
	}
	db := sqlite.Open(u.file(i), sqlite.Options{})
	defer func() { _ = db.Close() }()
	var state string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&state); err != nil {
		return fmt.Errorf("checking the database: %w", err)
	}
	if state != "ok" {
		return errors.New("the database is damaged: " + state)
	}
	return nil
}

// Place moves the ith file to its place. An existing file, with a database's companions, is kept beside it under the suffix.
func (u *Unpacked) Place(i int, to, suffix string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	for _, companion := range []string{"", "-wal", "-shm"} {
		if companion != "" && !u.Files[i].SQLite {
			break
		}
		if err := os.Rename(to+companion, to+suffix+companion); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(u.file(i), to); err == nil {
		return nil
	}
	staged := to + suffix + ".new" // another file system
	if err := copyFile(u.file(i), staged); err != nil {
		return err
	}
	return os.Rename(staged, to)
}

// Suffix returns the ending of files that are replaced at a time.
func Suffix(at time.Time) string { return at.UTC().Format(".before-restore-20060102T150405Z") }
