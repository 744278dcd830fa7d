package assets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/google/uuid"

	"comfygo/internal/pyjson"
)

// itemColumns are what item reads. Times are put through an expression, or the driver would make its own of them.
const itemColumns = `r.id, r.owner_id, r.name, coalesce(r.file_path, ''), coalesce(r.loader_path, ''), coalesce(r.preview_id, ''),
	coalesce(r.job_id, ''), r.user_metadata || '', r.system_metadata || '', r.created_at || '', r.updated_at || '', r.last_access_time || '',
	a.id, coalesce(a.hash, ''), coalesce(a.mime_type, ''), a.size_bytes
	FROM asset_references r JOIN assets a ON a.id = r.asset_id`

type scanner interface{ Scan(dest ...any) error }

// readItem reads a row of itemColumns; the tags are not part of it.
func readItem(row scanner) (it Item, err error) {
	var user, system sql.NullString
	err = row.Scan(&it.ID, &it.Owner, &it.Name, &it.Path, &it.Loader, &it.PreviewID, &it.JobID, &user, &system,
		&it.Created, &it.Updated, &it.Accessed, &it.Asset.ID, &it.Asset.Hash, &it.Asset.MIME, &it.Asset.Size)
	if err != nil {
		return it, err
	}
	if it.User, err = readObject(user); err != nil {
		return it, fmt.Errorf("reading the metadata of %s: %w", it.ID, err)
	}
	if it.System, err = readObject(system); err != nil {
		return it, fmt.Errorf("reading the metadata of %s: %w", it.ID, err)
	}
	return it, nil
}

func readObject(text sql.NullString) (*pyjson.Object, error) {
	if !text.Valid || text.String == "null" {
		return nil, nil
	}
	return pyjson.UnmarshalObject([]byte(text.String))
}

// visible is the condition for what an owner sees: their own references and those without an owner.
const visible = `r.owner_id IN ('', ?) AND r.deleted_at IS NULL`

// itemOf returns a reference that the owner sees.
func itemOf(tx *sql.Tx, id, owner string) (Item, error) {
	return itemIn(context.Background(), tx, id, owner)
}

// itemIn returns a reference that the owner sees in a context.
func itemIn(ctx context.Context, tx *sql.Tx, id, owner string) (Item, error) {
	it, err := readItem(tx.QueryRow(`SELECT `+itemColumns+` WHERE r.id = ? AND `+visibleIn(ctx), id, owner))
	if errors.Is(err, sql.ErrNoRows) {
		return it, notFound(id)
	}
	if err == nil {
		it.Tags, err = tagsOf(tx, id)
	}
	return it, err
}

// owned returns a reference that the owner may change. A confined owner may change only its own, and does not learn of
// others.
func owned(ctx context.Context, tx *sql.Tx, id, owner string) (Item, error) {
	if confined(ctx) {
		it, err := itemIn(ctx, tx, id, owner)
		if err == nil && it.Owner != owner {
			err = problem(Forbidden, "not owner")
		}
		return it, err
	}
	it, err := readItem(tx.QueryRow(`SELECT `+itemColumns+` WHERE r.id = ? AND r.deleted_at IS NULL`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return it, notFound(id)
	case err == nil && it.Owner != "" && it.Owner != owner:
		return it, problem(Forbidden, "not owner")
	}
	return it, err
}

// Get returns a reference that the owner sees, or a Problem as the error.
func (l *Library) Get(ctx context.Context, id, owner string) (it Item, err error) {
	err = l.tx(ctx, func(tx *sql.Tx) error {
		it, err = itemIn(ctx, tx, id, owner)
		return err
	})
	return it, wrap("getting an asset", err)
}

// wrap adds what failed to an error; problems are for clients and stay as they are.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, is := IsProblem(err); is {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Change holds the fields that Update sets; nil leaves a field unchanged.
type Change struct {
	Name, PreviewID *string
	User            *pyjson.Object
}

// Update changes a reference.
func (l *Library) Update(ctx context.Context, id, owner string, c Change) (it Item, err error) {
	err = l.tx(ctx, func(tx *sql.Tx) error {
		ref, err := owned(ctx, tx, id, owner)
		if err != nil {
			return err
		}
		if err := l.change(ctx, tx, ref, c); err != nil {
			return err
		}
		it, err = itemOf(tx, id, owner)
		return err
	})
	return it, wrap("changing an asset", err)
}

func (l *Library) change(ctx context.Context, tx *sql.Tx, ref Item, c Change) error {
	touched := false
	if c.Name != nil && *c.Name != ref.Name {
		if _, err := tx.Exec(`UPDATE asset_references SET name = ? WHERE id = ?`, *c.Name, ref.ID); err != nil {
			return err
		}
		touched = true
	}
	file := ""
	if ref.Path != "" {
		file = l.loaderPath(ref.Path)
	}
	meta := c.User
	if meta == nil && file != "" && ref.User.String("filename") != file {
		meta = ref.User
	}
	if meta != nil || c.User == nil && file != "" && ref.User.String("filename") != file {
		if err := setMetadata(tx, ref.ID, withFile(meta, file), ref.System); err != nil {
			return err
		}
	}
	if c.PreviewID != nil {
		there := false
		query, args := `SELECT count(*) > 0 FROM asset_references WHERE id = ?`, []any{*c.PreviewID}
		if confined(ctx) {
			query, args = `SELECT count(*) > 0 FROM asset_references r WHERE r.id = ? AND `+visibleIn(ctx), append(args, ref.Owner)
		}
		if err := tx.QueryRow(query, args...).Scan(&there); err != nil {
			return err
		}
		if !there {
			return problem(NotFound, "Preview AssetReference %s not found", *c.PreviewID)
		}
		if _, err := tx.Exec(`UPDATE asset_references SET preview_id = ? WHERE id = ?`, *c.PreviewID, ref.ID); err != nil {
			return err
		}
		touched = true
	}
	if !touched {
		return nil
	}
	_, err := tx.Exec(`UPDATE asset_references SET updated_at = ? WHERE id = ?`, now(), ref.ID)
	return err
}

// withFile returns the metadata with the file's name in it, if there is a file.
func withFile(meta *pyjson.Object, file string) *pyjson.Object {
	out := pyjson.NewObject().Merge(meta)
	if file != "" {
		out.Set("filename", file)
	}
	return out
}

// Delete hides a reference; the content stays.
func (l *Library) Delete(ctx context.Context, id, owner string) error {
	return wrap("deleting an asset", l.tx(ctx, func(tx *sql.Tx) error {
		if confined(ctx) {
			if _, err := owned(ctx, tx, id, owner); err != nil {
				return err
			}
		}
		res, err := tx.Exec(`UPDATE asset_references SET deleted_at = ? WHERE id = ? AND owner_id IN ('', ?) AND deleted_at IS NULL`, now(), id, owner)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return problem(NotFound, "AssetReference %s not found.", id)
	}))
}

// Previews returns the paths of the references that others have as their previews, by id.
func (l *Library) Previews(ctx context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	if len(ids) == 0 {
		return out, nil
	}
	err := l.tx(ctx, func(tx *sql.Tx) error {
		return inChunks(ids, func(marks string, args []any) error {
			rows, err := tx.Query(`SELECT id, file_path FROM asset_references WHERE id IN (`+marks+`) AND file_path IS NOT NULL AND deleted_at IS NULL`, args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id, path string
				if err := rows.Scan(&id, &path); err != nil {
					return err
				}
				out[id] = path
			}
			return rows.Err()
		})
	})
	return out, wrap("looking for previews", err)
}

// maxMetaRows is how many values of a reference's metadata filters find.
const maxMetaRows = 10_000

// setMetadata replaces the metadata of a reference, and the rows that filters read.
func setMetadata(tx *sql.Tx, id string, user, system *pyjson.Object) error {
	u, err := jsonText(user)
	if err != nil {
		return err
	}
	s, err := jsonText(system)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE asset_references SET user_metadata = ?, system_metadata = ?, updated_at = ? WHERE id = ?`, u, s, now(), id); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM asset_reference_meta WHERE asset_reference_id = ?`, id); err != nil {
		return err
	}
	rows := 0
	for key, v := range pyjson.NewObject().Merge(system).Merge(user).All() {
		values, ok := v.([]any)
		if !ok {
			values = []any{v}
		}
		plain := !slices.ContainsFunc(values, func(v any) bool { return !isScalar(v) })
		for i, v := range values {
			if v == nil || rows >= maxMetaRows {
				continue
			}
			rows++
			if err := addMetaRow(tx, id, key, i, v, plain); err != nil {
				return err
			}
		}
	}
	return nil
}

func jsonText(o *pyjson.Object) (any, error) {
	if o == nil {
		return nil, nil
	}
	text, err := pyjson.Marshal(o)
	return string(text), err
}

func isScalar(v any) bool {
	switch v.(type) {
	case nil, bool, string, int64, float64, *big.Int:
		return true
	}
	return false
}

// addMetaRow adds a value that filters find; lists with objects in them are kept as JSON, item by item.
func addMetaRow(tx *sql.Tx, id, key string, ordinal int, v any, plain bool) error {
	column, value := "val_json", any(nil)
	if plain {
		column, value = metaValue(v)
	}
	if column == "val_json" {
		text, err := pyjson.Marshal(v)
		if err != nil {
			return err
		}
		value = string(text)
	}
	_, err := tx.Exec(`INSERT OR IGNORE INTO asset_reference_meta (asset_reference_id, "key", ordinal, `+column+`) VALUES (?, ?, ?, ?)`, id, key, ordinal, value)
	return err
}

// metaValue is the column that a value stands in, and how.
func metaValue(v any) (column string, value any) {
	switch v := v.(type) {
	case bool:
		return "val_bool", v
	case string:
		return "val_str", v
	case int64:
		return "val_num", v
	case float64:
		if v != v { // SQLite keeps NaN as NULL, which no row may have alone
			return "val_str", "NaN"
		}
		return "val_num", v
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return "val_num", f
	}
	text, err := pyjson.Marshal(v)
	if err != nil {
		return "val_json", "null"
	}
	return "val_json", string(text)
}

// newReference is a row to be made.
type newReference struct {
	asset, name, owner, path, loader, preview, job string
	mtime                                          int64 // nanoseconds, only with a path
}

func insertReference(tx *sql.Tx, n newReference) (id string, made bool, err error) {
	id = uuid.NewString()
	t := now()
	var mtime any
	if n.path != "" {
		mtime = n.mtime
	}
	res, err := tx.Exec(`INSERT INTO asset_references (id, asset_id, file_path, loader_path, mtime_ns, owner_id, name, preview_id, job_id, created_at, updated_at, last_access_time)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (file_path) DO NOTHING`,
		id, n.asset, null(n.path), null(n.loader), mtime, n.owner, n.name, null(n.preview), null(n.job), t, t, t)
	if err != nil {
		return "", false, err
	}
	rows, err := res.RowsAffected()
	return id, rows > 0, err
}
