package assets

import (
	"context"
	"database/sql"

	"comfygo/folders"
)

type foldersKey struct{}

// In carries the folders of an owner in a context. Files registered with it are in these folders and belong to the owner, and only
// content that the owner sees counts as known. Without it, as without owners' folders, all content does.
func In(ctx context.Context, dirs *folders.Folders) context.Context {
	return context.WithValue(ctx, foldersKey{}, dirs)
}

type overseerKey struct{}

// Overseeing marks a context as that of an administrator who also sees assets without an owner if owners have folders of their
// own.
func Overseeing(ctx context.Context) context.Context {
	return context.WithValue(ctx, overseerKey{}, true)
}

// confined reports whether the caller may see only its own assets.
func confined(ctx context.Context) bool {
	f, _ := ctx.Value(foldersKey{}).(*folders.Folders)
	overseer, _ := ctx.Value(overseerKey{}).(bool)
	return f != nil && f.Owner() != "" && !overseer
}

// visibleIn is the condition for what an owner sees in a context, with one value, the owner. Of assets without an owner confined
// owners see the models.
func visibleIn(ctx context.Context) string {
	if !confined(ctx) {
		return visible
	}
	return `(r.owner_id = ? OR r.owner_id = '' AND EXISTS (SELECT 1 FROM asset_reference_tags m WHERE m.asset_reference_id = r.id
		AND m.tag_name = 'models')) AND r.deleted_at IS NULL`
}

// dirs are the folders of a context, the common ones by default.
func (l *Library) dirs(ctx context.Context) *folders.Folders {
	if f, ok := ctx.Value(foldersKey{}).(*folders.Folders); ok && f != nil {
		return f
	}
	return l.cfg.Folders
}

// home returns the folders that contain a path.
func (l *Library) home(path string) *folders.Folders {
	return l.cfg.Folders.For(l.cfg.Folders.OwnerOf(path))
}

// sees reports whether an owner sees a reference to content with a hash.
func sees(ctx context.Context, tx *sql.Tx, hash, owner string) (found bool, err error) {
	err = tx.QueryRow(`SELECT count(*) > 0 FROM assets a JOIN asset_references r ON r.asset_id = a.id WHERE a.hash = ? AND `+visibleIn(ctx), hash, owner).Scan(&found)
	return found, err
}

// kept reports whether a file of the owner's own has the content.
func kept(tx *sql.Tx, asset string, dirs *folders.Folders) (bool, error) {
	paths, err := column(tx, `SELECT file_path FROM asset_references WHERE asset_id = ? AND file_path IS NOT NULL AND is_missing = 0 AND deleted_at IS NULL`, asset)
	if err != nil {
		return false, err
	}
	for _, p := range paths {
		for _, kind := range inputKinds {
			dir, _ := dirs.Dir(kind)
			if _, ok := below(dir, p); ok {
				return true, nil
			}
		}
	}
	return false, nil
}
