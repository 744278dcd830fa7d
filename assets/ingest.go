package assets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// hashNow is the size in bytes up to which a file that is registered is hashed at once; larger ones are left to the
// scanner.
const hashNow = 64 << 20

// uploadedTag marks files that did not come from the scanner.
const uploadedTag = "uploaded"

// Entry is a reference to be made for content that may be known.
type Entry struct {
	Owner, Name, MIME, PreviewID string
	Tags                         []string
	User                         *pyjson.Object
}

// Knows reports whether the catalogue has content with the hash.
func (l *Library) Knows(ctx context.Context, hash string) (found bool, err error) {
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if dirs := l.dirs(ctx); dirs.Owner() != "" {
			found, err = sees(ctx, tx, hash, dirs.Owner())
			return err
		}
		found, err = known(tx, hash)
		return err
	})
	return found, wrap("looking for content", err)
}

func known(tx *sql.Tx, hash string) (found bool, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM assets WHERE hash = ?`, hash).Scan(&found)
	return found, err
}

// backed reports whether the catalogue has content with a hash and a file of it: a file whose references are all deleted is
// registered again.
func (l *Library) backed(tx *sql.Tx, hash string, dirs *folders.Folders) (bool, error) {
	var id string
	err := tx.QueryRow(`SELECT id FROM assets WHERE hash = ?`, hash).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	used := false
	if err := tx.QueryRow(`SELECT count(*) > 0 FROM asset_references WHERE asset_id = ? AND deleted_at IS NULL`, id).Scan(&used); err != nil || !used {
		return false, err
	}
	if dirs.Owner() != "" {
		return kept(tx, id, dirs)
	}
	path, _, err := l.livePath(tx, id)
	return path != "", err
}

// FromHash makes a reference without a file to content that the catalogue has.
func (l *Library) FromHash(ctx context.Context, hash string, e Entry) (it Item, err error) {
	e.Tags = CleanTags(e.Tags)
	if err := checkTags(e.Tags); err != nil {
		return it, err
	}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if dirs := l.dirs(ctx); dirs.Owner() != "" {
			if may, err := sees(ctx, tx, hash, dirs.Owner()); err != nil || !may {
				return errors.Join(err, problem(NotFound, "Asset content %s does not exist", hash))
			}
		}
		it, err = refer(tx, hash, e)
		return err
	})
	return it, wrap("adding an asset", err)
}

func refer(tx *sql.Tx, hash string, e Entry) (it Item, err error) {
	var asset string
	err = tx.QueryRow(`SELECT id FROM assets WHERE hash = ?`, hash).Scan(&asset)
	if errors.Is(err, sql.ErrNoRows) {
		return it, problem(NotFound, "Asset content %s does not exist", hash)
	}
	if err != nil {
		return it, err
	}
	if e.PreviewID, err = existing(tx, e.PreviewID); err != nil {
		return it, err
	}
	if e.MIME != "" {
		if _, err := tx.Exec(`UPDATE assets SET mime_type = ? WHERE id = ? AND mime_type IS NULL`, e.MIME, asset); err != nil {
			return it, err
		}
	}
	name := baseName(e.Name, strings.TrimPrefix(hash, hashPrefix))
	id, _, err := insertReference(tx, newReference{asset: asset, name: name, owner: e.Owner, preview: e.PreviewID})
	if err != nil {
		return it, err
	}
	size, err := siblingSize(tx, asset, id)
	if err != nil {
		return it, err
	}
	if e.User.Len() > 0 || size != nil {
		user := e.User
		if user.Len() == 0 {
			user = nil
		}
		if err := setMetadata(tx, id, user, size); err != nil {
			return it, err
		}
	}
	if err := addTags(tx, id, CleanTags(e.Tags), byHand); err != nil {
		return it, err
	}
	return itemOf(tx, id, e.Owner)
}

// siblingSize returns the size of the image as another reference of the content stores it, or nil if it is unknown.
func siblingSize(tx *sql.Tx, asset, except string) (*pyjson.Object, error) {
	list, err := readItems(tx, `SELECT `+itemColumns+` WHERE a.id = ? AND r.id <> ? AND r.is_missing = 0 AND r.deleted_at IS NULL ORDER BY r.id`, asset, except)
	for _, it := range list {
		w, _ := it.System.Get("width")
		h, _ := it.System.Get("height")
		if it.System.String("kind") == "image" && positive(w) && positive(h) {
			return pyjson.NewObject("kind", "image", "width", w, "height", h), nil
		}
	}
	return nil, err
}

func positive(v any) bool {
	n, ok := v.(int64)
	return ok && n > 0
}

// existing returns the id if a reference has it, else "".
func existing(tx *sql.Tx, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	found, err := column(tx, `SELECT id FROM asset_references WHERE id = ? AND deleted_at IS NULL`, id)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return id, nil
}

// baseName returns the last part of an untrusted name, or fallback when that part is empty.
func baseName(name, fallback string) string {
	name = strings.TrimSpace(name)
	name = name[strings.LastIndexByte(name, '/')+1:]
	if name == "" {
		return fallback
	}
	return name
}

// Upload is a file that a client has sent. Staged is its path, Hash its hash, ClientFile its name at the client's.
type Upload struct {
	Entry
	Staged, Hash, ClientFile string
	// Hold returns what may be added to a base folder, to which no other request adds until Release; nil means without limit.
	Hold func(dir string) (Quota, error)
}

// Quota bounds the space of a client in a base folder.
type Quota interface {
	// Room refuses a file of size bytes at path when the disk or a quota has no space for it.
	Room(size int64, path string) error
	Release()
}

// Add stores an uploaded file. Known content only gets one more reference; new content is moved to the folder that the tags
// name, under its hash, and created is true. The staged file is gone or no longer needed afterwards. The error is a Problem
// if the tags name no folder.
func (l *Library) Add(ctx context.Context, u Upload) (it Item, created bool, err error) {
	u.Tags = CleanTags(u.Tags)
	if err := checkTags(u.Tags); err != nil {
		return it, false, err
	}
	client := baseName(strings.ToValidUTF8(u.ClientFile, "\ufffd"), "")
	if u.Name == "" {
		u.Name = client
	}
	it, found, err := l.known(ctx, u)
	if err != nil || found {
		return it, false, err
	}
	if len(u.Tags) == 0 {
		return it, false, problem(Invalid, "tags are required for new asset uploads")
	}
	dir, err := l.destination(l.dirs(ctx), u.Tags)
	if err != nil {
		return it, false, err
	}
	if confined(ctx) && slices.Contains(u.Tags, "models") {
		return it, false, problem(Forbidden, "models are everyone's: administrators add them")
	}
	var room Quota
	if u.Hold != nil {
		if room, err = u.Hold(dir); err != nil {
			return it, false, fmt.Errorf("adding an asset: %w", err)
		}
		defer room.Release()
	}
	return l.take(ctx, u, client, dir, room)
}

// known makes the reference for content that is there already.
func (l *Library) known(ctx context.Context, u Upload) (it Item, found bool, err error) {
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if found, err = l.backed(tx, u.Hash, l.dirs(ctx)); err == nil && found {
			it, err = refer(tx, u.Hash, u.Entry)
		}
		return err
	})
	return it, found, wrap("adding an asset", err)
}

// take moves the staged file to the folder dir, unless another upload has brought its content meanwhile.
func (l *Library) take(ctx context.Context, u Upload, client, dir string, room Quota) (it Item, created bool, err error) {
	l.adding.Lock()
	defer l.adding.Unlock()
	it, found, err := l.known(ctx, u)
	if err != nil || found {
		return it, false, err
	}
	source := client
	if source == "" {
		source = u.Name
	}
	digest := strings.TrimPrefix(u.Hash, hashPrefix)
	final := filepath.Join(dir, digest+ending(source))
	if u.MIME == "" {
		u.MIME = l.contentType(source, filepath.Base(final))
	}
	if room != nil {
		info, err := os.Stat(u.Staged)
		if err == nil {
			err = room.Room(info.Size(), final)
		}
		if err != nil {
			return it, false, fmt.Errorf("adding an asset: %w", err)
		}
	}
	if made, err := folders.MakeDir(dir, dir); err != nil {
		return it, false, fmt.Errorf("adding an asset: %w", err)
	} else if err := made.Close(); err != nil {
		return it, false, fmt.Errorf("adding an asset: %w", err)
	}
	if info, err := os.Lstat(final); err == nil && info.IsDir() {
		return it, false, problem(Invalid, "a folder has the name of the file")
	}
	if err := folders.Move(filepath.Dir(u.Staged), u.Staged, dir, final); err != nil {
		return it, false, fmt.Errorf("adding an asset: %w", err)
	}
	if err := l.cfg.Folders.Keep(ctx, final); err != nil {
		return it, false, fmt.Errorf("adding an asset: %w", errors.Join(err, os.Remove(final)))
	}
	u.Name = baseName(u.Name, digest)
	u.Tags = append(slices.Clone(u.Tags), uploadedTag)
	it, created, err = l.register(ctx, final, u.Hash, u.Entry, byHand)
	return it, created, wrap("adding an asset", err)
}

func (l *Library) contentType(names ...string) string {
	for _, n := range names {
		if t := l.cfg.ContentType(n); t != "" {
			return t
		}
	}
	return "application/octet-stream"
}

// ending returns the extension of an untrusted file name that its copy keeps: a short one of plain characters, or nothing.
func ending(name string) string {
	name = strings.TrimLeft(name[strings.LastIndexByte(name, '/')+1:], ".")
	ext := path.Ext(name)
	plain := strings.IndexFunc(ext, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) }) < 0
	if len([]rune(ext)) > 16 || ext == "." || !plain {
		return ""
	}
	return ext
}

// Register registers a file that is in its final folder, a saved upload or an output. Large files get their hash later.
func (l *Library) Register(ctx context.Context, file string, e Entry) (Item, error) {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	hash := ""
	if err == nil && info.Size() <= hashNow {
		hash, err = hashFile(ctx, file, nil)
	}
	if err != nil {
		return Item{}, fmt.Errorf("registering a file: %w", err)
	}
	e.Name = baseName(e.Name, filepath.Base(file))
	e.Tags = append(slices.Clone(e.Tags), uploadedTag)
	if e.MIME == "" {
		e.MIME = l.contentType(file)
	}
	it, _, err := l.register(ctx, file, hash, e, byUpload)
	return it, wrap("registering a file", err)
}

// register enters a file; created is true when its content was not known.
func (l *Library) register(ctx context.Context, file, hash string, e Entry, origin string) (it Item, created bool, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return it, false, err
	}
	if e.Owner == "" {
		e.Owner = l.cfg.Folders.OwnerOf(file)
	}
	size := imageMetadata(file, e.MIME)
	loader := l.loaderPath(file)
	err = l.tx(ctx, func(tx *sql.Tx) error {
		asset, fresh, err := assetFor(tx, hash, info.Size(), e.MIME)
		if err != nil {
			return err
		}
		created = fresh
		if e.PreviewID, err = existing(tx, e.PreviewID); err != nil {
			return err
		}
		id, err := claim(tx, newReference{asset: asset, name: e.Name, owner: e.Owner, path: file, loader: loader, preview: e.PreviewID, mtime: info.ModTime().UnixNano()})
		if err != nil {
			return err
		}
		if err := addTags(tx, id, l.pathTags(file), byPath); err != nil {
			return err
		}
		if err := addTags(tx, id, CleanTags(e.Tags), origin); err != nil {
			return err
		}
		ref, err := readItem(tx.QueryRow(`SELECT `+itemColumns+` WHERE r.id = ?`, id))
		if err != nil {
			return err
		}
		user := withFile(pyjson.NewObject().Merge(ref.User).Merge(e.User), loader)
		system := ref.System
		if size != nil {
			system = pyjson.NewObject().Merge(ref.System).Merge(size)
		}
		if err := setMetadata(tx, id, user, system); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM asset_reference_tags WHERE tag_name = 'missing' AND asset_reference_id IN (SELECT id FROM asset_references WHERE asset_id = ?)`, asset); err != nil {
			return err
		}
		it, err = itemOf(tx, id, ref.Owner)
		return err
	})
	return it, created, err
}

// assetFor returns the asset with a hash, or makes it; without a hash it makes one that is hashed later.
func assetFor(tx *sql.Tx, hash string, size int64, contentType string) (id string, created bool, err error) {
	id = uuid.NewString()
	res, err := tx.Exec(`INSERT INTO assets (id, hash, size_bytes, mime_type, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING`,
		id, null(hash), size, null(contentType), now())
	if err != nil {
		return "", false, err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return id, true, err
	}
	if err := tx.QueryRow(`SELECT id FROM assets WHERE hash = ?`, hash).Scan(&id); err != nil {
		return "", false, err
	}
	_, err = tx.Exec(`UPDATE assets SET mime_type = ? WHERE id = ? AND mime_type IS NULL`, null(contentType), id)
	return id, false, err
}

// claim makes the reference of a path, or gives the one that is there its new content.
func claim(tx *sql.Tx, n newReference) (string, error) {
	id, made, err := insertReference(tx, n)
	if err != nil || made {
		return id, err
	}
	var before string
	if err := tx.QueryRow(`SELECT id, asset_id FROM asset_references WHERE file_path = ?`, n.path).Scan(&id, &before); err != nil {
		return "", err
	}
	_, err = tx.Exec(`UPDATE asset_references SET asset_id = ?, mtime_ns = ?, loader_path = ?, preview_id = coalesce(?, preview_id), is_missing = 0,
		needs_verify = 0, deleted_at = NULL, enrichment_level = 0, updated_at = ? WHERE id = ? AND (asset_id <> ? OR mtime_ns IS NOT ? OR loader_path IS NOT ?
		OR is_missing <> 0 OR deleted_at IS NOT NULL OR ? IS NOT NULL)`,
		n.asset, n.mtime, null(n.loader), null(n.preview), now(), id, n.asset, n.mtime, null(n.loader), null(n.preview))
	if err != nil {
		return "", err
	}
	return id, dropStub(tx, before)
}

// dropStub removes an asset without a hash that nothing refers to any more.
func dropStub(tx *sql.Tx, asset string) error {
	_, err := tx.Exec(`DELETE FROM assets WHERE id = ? AND hash IS NULL AND NOT EXISTS (SELECT 1 FROM asset_references WHERE asset_id = assets.id)`, asset)
	return err
}
