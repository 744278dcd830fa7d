package assets

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// Root is one of the groups of folders that a scan can cover.
type Root string

// The parts. Previews in the temp folder are entered by the nodes that make them and never looked for.
const (
	Models Root = "models"
	Input  Root = "input"
	Output Root = "output"
)

// Everything returns all parts.
func Everything() []Root { return []Root{Models, Input, Output} }

// stub is a file that is entered before it has been looked into.
type stub struct {
	path, name, loader, contentType, job, owner string
	size, mtime                                 int64
	tags                                        []string
}

func (l *Library) stub(path string, info fs.FileInfo, job string) stub {
	return stub{
		path: path, name: filepath.Base(path), loader: l.loaderPath(path), contentType: l.cfg.ContentType(path), job: job,
		owner: l.cfg.Folders.OwnerOf(path),
		size:  info.Size(), mtime: info.ModTime().UnixNano(), tags: l.pathTags(path),
	}
}

// insertStub enters a file; false when its path is entered already.
func insertStub(tx *sql.Tx, s stub) (bool, error) {
	asset := uuid.NewString()
	if _, err := tx.Exec(`INSERT INTO assets (id, size_bytes, mime_type, created_at) VALUES (?, ?, ?, ?)`, asset, s.size, null(s.contentType), now()); err != nil {
		return false, err
	}
	id, made, err := insertReference(tx, newReference{asset: asset, name: s.name, owner: s.owner, path: s.path, loader: s.loader, mtime: s.mtime, job: s.job})
	if err != nil {
		return false, err
	}
	if !made {
		_, err := tx.Exec(`UPDATE asset_references SET is_missing = 0 WHERE file_path = ? AND deleted_at IS NULL`, s.path)
		return false, errors.Join(err, dropStub(tx, asset))
	}
	if s.loader != "" {
		if err := setMetadata(tx, id, pyjson.NewObject("filename", s.loader), nil); err != nil {
			return false, err
		}
	}
	return true, addTags(tx, id, s.tags, byPath)
}

// inDirs is the condition that a path is in one of the folders, with its values. It is a range, so that the index helps.
func inDirs(dirs []string) (string, []any) {
	var conds []string
	var args []any
	for _, d := range dirs {
		if !os.IsPathSeparator(d[len(d)-1]) {
			d += string(filepath.Separator)
		}
		conds = append(conds, `(r.file_path >= ? AND r.file_path < ?)`)
		args = append(args, d, d[:len(d)-1]+string(rune(filepath.Separator+1)))
	}
	return "(" + strings.Join(conds, " OR ") + ")", args
}

// seen is a reference and what has become of its file.
type seen struct {
	id, asset, path   string
	hashed, verify    bool
	mtime, size       int64
	exists, unchanged bool
}

// reconcile compares the references in some folders with the files and returns the paths that are entered and there.
// With missing, references without files count, and what has lost its last file gets the tag missing.
func (l *Library) reconcile(ctx context.Context, dirs []string, missing bool) (map[string]bool, error) {
	if len(dirs) == 0 {
		return nil, nil
	}
	cond, args := inDirs(dirs)
	if !missing {
		cond += ` AND r.is_missing = 0`
	}
	var refs []seen
	err := l.tx(ctx, func(tx *sql.Tx) (err error) {
		refs, err = readSeen(tx, cond, args)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range refs {
		refs[i].look()
	}
	there := map[string]bool{}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		for len(refs) > 0 {
			n := 1
			for n < len(refs) && refs[n].asset == refs[0].asset {
				n++
			}
			if err := settle(tx, refs[:n], missing, there); err != nil {
				return err
			}
			refs = refs[n:]
		}
		return nil
	})
	return there, err
}

func readSeen(tx *sql.Tx, cond string, args []any) (list []seen, err error) {
	rows, err := tx.Query(`SELECT r.id, r.asset_id, r.file_path, a.hash IS NOT NULL, r.needs_verify, coalesce(r.mtime_ns, -1), a.size_bytes
		FROM asset_references r JOIN assets a ON a.id = r.asset_id WHERE r.deleted_at IS NULL AND `+cond+` ORDER BY r.asset_id, r.id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s seen
		if err := rows.Scan(&s.id, &s.asset, &s.path, &s.hashed, &s.verify, &s.mtime, &s.size); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

func (s *seen) look() {
	info, err := os.Stat(s.path)
	s.exists = err == nil || errors.Is(err, fs.ErrPermission)
	s.unchanged = err == nil && info.ModTime().UnixNano() == s.mtime && info.Size() == s.size
}

// settle enters what has become of the files of one asset.
func settle(tx *sql.Tx, refs []seen, missing bool, there map[string]bool) error {
	anyUnchanged := slices.ContainsFunc(refs, func(s seen) bool { return s.unchanged })
	anyThere := slices.ContainsFunc(refs, func(s seen) bool { return s.exists })
	if !refs[0].hashed && !anyThere { // nothing is known of it but the path
		_, err := tx.Exec(`DELETE FROM assets WHERE id = ?`, refs[0].asset)
		return err
	}
	for _, s := range refs {
		query := ""
		switch {
		case !s.exists && s.hashed && anyUnchanged: // the content lives on elsewhere
			query = `DELETE FROM asset_references WHERE id = ?`
		case !s.exists:
			query = `UPDATE asset_references SET is_missing = 1 WHERE id = ? AND is_missing = 0`
		case s.unchanged:
			query = `UPDATE asset_references SET is_missing = 0, needs_verify = 0 WHERE id = ? AND (is_missing <> 0 OR needs_verify <> 0)`
		case !s.verify:
			query = `UPDATE asset_references SET needs_verify = 1 WHERE id = ?`
		}
		if s.exists {
			there[s.path] = true
		}
		if query == "" {
			continue
		}
		if _, err := tx.Exec(query, s.id); err != nil {
			return err
		}
	}
	if !missing || !refs[0].hashed {
		return nil
	}
	if anyUnchanged {
		_, err := tx.Exec(`DELETE FROM asset_reference_tags WHERE tag_name = ? AND asset_reference_id IN (SELECT id FROM asset_references WHERE asset_id = ?)`, missingTag, refs[0].asset)
		return err
	}
	ids, err := column(tx, `SELECT id FROM asset_references WHERE asset_id = ?`, refs[0].asset)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := addTags(tx, id, []string{missingTag}, byPath); err != nil {
			return err
		}
	}
	return nil
}

// markOutside marks references as missing if their files are no longer in any of our folders.
func (l *Library) markOutside(ctx context.Context) (n int64, err error) {
	cond, args := inDirs(l.ownedDirs())
	err = l.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec(`UPDATE asset_references AS r SET is_missing = 1 WHERE r.file_path IS NOT NULL AND r.deleted_at IS NULL AND r.is_missing = 0 AND NOT `+cond, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// collect returns the paths of all files of some parts.
func (l *Library) collect(ctx context.Context, roots []Root) (paths []string) {
	if slices.Contains(roots, Models) {
		paths = append(paths, l.modelFiles(ctx)...)
	}
	for _, r := range []Root{Input, Output} {
		if slices.Contains(roots, r) {
			dir, _ := l.cfg.Folders.Dir(string(r))
			paths = append(paths, walk(ctx, dir, dir, nil)...)
		}
	}
	return paths
}

func (l *Library) modelFiles(ctx context.Context) (paths []string) {
	for _, k := range l.modelKinds() {
		for _, name := range l.cfg.Folders.List(k.name) {
			if ctx.Err() != nil {
				return nil
			}
			if strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
				continue
			}
			path, ok := l.cfg.Folders.Find(k.name, name)
			if ok && slices.ContainsFunc(k.roots, func(root string) bool {
				_, in := below(root, path)
				return in
			}) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// walk returns the regular files in dir and below that are not hidden. Links are followed unless they lead out of root.
func walk(ctx context.Context, root, dir string, above []fs.FileInfo) (files []string) {
	info, err := os.Stat(dir)
	if err != nil || ctx.Err() != nil || slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	above = append(slices.Clone(above), info)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		mode := e.Type()
		if mode&fs.ModeSymlink != 0 {
			target, err := os.Stat(path)
			if err != nil || !folders.Within(root, path) {
				continue
			}
			mode = target.Mode().Type()
		}
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case mode.IsDir():
			files = append(files, walk(ctx, root, path, above)...)
		case mode.IsRegular():
			files = append(files, path)
		}
	}
	return files
}
