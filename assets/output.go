package assets

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// Enrich registers the files that a node has saved and adds the references' ids to the node's output. Other entries
// are kept unchanged, and so is the given object.
func (l *Library) Enrich(ctx context.Context, output *pyjson.Object) *pyjson.Object {
	out := pyjson.NewObject()
	for key, v := range output.All() {
		entries, ok := v.([]any)
		if !ok {
			out.Set(key, v)
			continue
		}
		list := make([]any, len(entries))
		for i, e := range entries {
			list[i] = l.enrichEntry(ctx, e)
		}
		out.Set(key, list)
	}
	return out
}

func (l *Library) enrichEntry(ctx context.Context, entry any) any {
	file, kind := l.outputFile(ctx, l.dirs(ctx), entry)
	if file == "" {
		return entry
	}
	it, err := l.Register(ctx, file, Entry{Name: entry.(*pyjson.Object).String("filename"), Tags: []string{kind}})
	if err != nil {
		l.log.Warn("registering an output", "error", err)
		return entry
	}
	return entry.(*pyjson.Object).Clone().Set("id", it.ID)
}

// outputFile returns the file that an entry of a node's output names, or "" if it is not in the folders.
func (l *Library) outputFile(ctx context.Context, dirs *folders.Folders, entry any) (file, kind string) {
	o, ok := entry.(*pyjson.Object)
	if !ok {
		return "", ""
	}
	name, kind := o.String("filename"), o.String("type")
	dir, ok := dirs.Dir(kind)
	if !ok || name == "" {
		return "", ""
	}
	file, err := folders.Join(dir, filepath.Join(o.String("subfolder"), name))
	if err != nil {
		return "", ""
	}
	if !l.bring(ctx, file) {
		return "", ""
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "", ""
	}
	return file, kind
}

// bring fetches a file that another process has made; false when it cannot be had.
func (l *Library) bring(ctx context.Context, file string) bool {
	err := l.cfg.Folders.Fetch(ctx, file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("looking for the file of an asset", "file", file, "error", err)
	}
	return err == nil
}

// Finished enters which job the files of its outputs (UI outputs by node) belong to. Files that no node has registered are
// entered, to be looked into by the scanner.
func (l *Library) Finished(ctx context.Context, job string, outputs *pyjson.Object) {
	seen := map[string]bool{}
	for _, node := range outputs.All() {
		o, _ := node.(*pyjson.Object)
		for _, v := range o.All() {
			entries, _ := v.([]any)
			for _, e := range entries {
				file, kind := l.outputFile(ctx, l.dirs(ctx), e)
				if file == "" || kind == "input" || seen[file] {
					continue
				}
				seen[file] = true
				if err := l.enter(ctx, file, job); err != nil {
					l.log.Warn("registering an output", "file", file, "error", err)
				}
			}
		}
	}
}

// enter records the job of a file. Content that has changed since it was registered loses its hash until the scanner has it.
func (l *Library) enter(ctx context.Context, file, job string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return l.tx(ctx, func(tx *sql.Tx) error {
		var id, asset, owner string
		var mtime sql.NullInt64
		err := tx.QueryRow(`SELECT id, asset_id, mtime_ns, owner_id FROM asset_references WHERE file_path = ?`, file).Scan(&id, &asset, &mtime, &owner)
		if errors.Is(err, sql.ErrNoRows) {
			_, err := insertStub(tx, l.stub(file, info, job))
			return err
		}
		if err != nil {
			return err
		}
		if mtime.Int64 != info.ModTime().UnixNano() {
			fresh, _, err := assetFor(tx, "", info.Size(), l.cfg.ContentType(file))
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE asset_references SET asset_id = ?, mtime_ns = ?, enrichment_level = 0 WHERE id = ?`, fresh, info.ModTime().UnixNano(), id); err != nil {
				return err
			}
			if err := dropStub(tx, asset); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`UPDATE asset_references SET job_id = ?, is_missing = 0, deleted_at = NULL, updated_at = ? WHERE id = ?`, null(job), now(), id)
		return err
	})
}

// Download is a file to send, with its Name and ContentType.
type Download struct{ Path, Name, ContentType string }

// Download returns the file of a reference, or of another reference with the same content, and records the access.
func (l *Library) Download(ctx context.Context, id, owner string) (d Download, err error) {
	err = l.tx(ctx, func(tx *sql.Tx) error {
		it, err := itemIn(ctx, tx, id, owner)
		if err != nil {
			return err
		}
		d.Path = it.Path
		if d.Path == "" || !l.servable(d.Path) {
			if d.Path, _, err = l.livePath(tx, it.Asset.ID); err != nil {
				return err
			}
			if d.Path == "" {
				return problem(NoFile, "Underlying file not found on disk.")
			}
		}
		d.Name = it.Name
		d.ContentType = l.typeOf(it.Asset, d.Name)
		_, err = tx.Exec(`UPDATE asset_references SET last_access_time = ? WHERE id = ?`, now(), id)
		return err
	})
	return d, wrap("downloading an asset", err)
}

// ByHash returns a file with the content, of those that the owner sees.
func (l *Library) ByHash(ctx context.Context, hash, owner string) (d Download, err error) {
	err = l.tx(ctx, func(tx *sql.Tx) error {
		var a Asset
		err := tx.QueryRow(`SELECT id, coalesce(mime_type, '') FROM assets WHERE hash = ?`, hash).Scan(&a.ID, &a.MIME)
		if errors.Is(err, sql.ErrNoRows) {
			return problem(NotFound, "Asset content %s does not exist", hash)
		}
		if err != nil {
			return err
		}
		seen := false
		if err := tx.QueryRow(`SELECT count(*) > 0 FROM asset_references r WHERE r.asset_id = ? AND `+visibleIn(ctx), a.ID, owner).Scan(&seen); err != nil {
			return err
		}
		if seen {
			if d.Path, d.Name, err = l.livePath(tx, a.ID); err != nil {
				return err
			}
		}
		if d.Path == "" {
			return problem(NoFile, "Underlying file not found on disk.")
		}
		d.ContentType = l.typeOf(a, d.Name)
		return nil
	})
	return d, wrap("looking for content", err)
}

func (l *Library) typeOf(a Asset, name string) string {
	if a.MIME != "" {
		return a.MIME
	}
	return l.contentType(name)
}

// livePath returns a file with an asset's content, of any owner; a file that has not changed since its last check comes first.
// The file of a deleted reference will do, as long as the content has other references.
func (l *Library) livePath(tx *sql.Tx, asset string) (path, name string, err error) {
	rows, err := tx.Query(`SELECT r.file_path, r.name FROM asset_references r WHERE r.asset_id = ? AND r.is_missing = 0
		AND r.file_path IS NOT NULL ORDER BY r.deleted_at IS NOT NULL, r.needs_verify, r.id`, asset)
	if err != nil {
		return "", "", err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&path, &name); err != nil {
			return "", "", err
		}
		if l.servable(path) {
			return path, name, nil
		}
	}
	return "", "", rows.Err()
}
