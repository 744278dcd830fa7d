package assets

import (
	"context"
	"database/sql"
	"math/big"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// Filter chooses references. The zero value chooses all references without an owner.
type Filter struct {
	Owner string
	// All must be among a reference's tags, Any at least one of them, None none.
	All, Any, None []string
	// NameContains is a part of the name, whatever the case of ASCII letters.
	NameContains string
	// Metadata has values that the metadata must have; a list means one of them, null that the key is absent.
	Metadata *pyjson.Object
}

// maxConditions bounds the conditions of one filter; SQLite's own limits are higher.
const maxConditions = 250

// where is the filter as a condition on r, with its values.
func (f Filter) where(ctx context.Context) (string, []any, error) {
	conds := []string{visibleIn(ctx), `r.is_missing = 0`}
	args := []any{f.Owner}
	add := func(cond string, values ...any) {
		conds = append(conds, cond)
		args = append(args, values...)
	}
	if f.NameContains != "" {
		add(`r.name LIKE ? ESCAPE '!'`, "%"+likeEscaped(f.NameContains)+"%")
	}
	const has = `EXISTS (SELECT 1 FROM asset_reference_tags rt WHERE rt.asset_reference_id = r.id AND rt.tag_name IN (`
	for _, t := range f.All {
		add(has+`?))`, t)
	}
	if len(f.Any) > 0 {
		add(has+marks(len(f.Any))+`))`, anys(f.Any)...)
	}
	if len(f.None) > 0 {
		add(`NOT `+has+marks(len(f.None))+`))`, anys(f.None)...)
	}
	for key, v := range f.Metadata.All() {
		values, isList := v.([]any)
		if !isList {
			values = []any{v}
		}
		var ors []string
		for _, v := range values {
			cond, value := metaCondition(key, v)
			ors = append(ors, cond)
			args = append(args, value...)
		}
		if len(ors) > 0 {
			conds = append(conds, "("+strings.Join(ors, " OR ")+")")
		}
	}
	if len(args) > maxConditions+3*maxTags {
		return "", nil, problem(Invalid, "the filter has too many conditions")
	}
	return strings.Join(conds, " AND "), args, nil
}

// maxTags is the maximum number of tags in each list of a filter; callers must enforce it.
const maxTags = 100

func metaCondition(key string, v any) (string, []any) {
	const row = `EXISTS (SELECT 1 FROM asset_reference_meta m WHERE m.asset_reference_id = r.id AND m."key" = ?`
	if v == nil {
		return `NOT ` + row + `)`, []any{key}
	}
	if n, ok := v.(*big.Int); ok {
		f, _ := new(big.Float).SetInt(n).Float64()
		v = f
	}
	column, value := metaValue(v)
	return row + ` AND m.` + column + ` = ?)`, []any{key, value}
}

// Page chooses a part of a list.
type Page struct {
	Filter
	// Sort is created_at, updated_at, name, size or last_access_time.
	Sort string
	Asc  bool
	// Limit and Offset are a number of references; with After, which continues at a cursor, Offset does not count.
	Limit, Offset int64
	After         *string
}

func (p Page) order() string {
	if p.Asc {
		return "asc"
	}
	return "desc"
}

// Listing is a page: its references, how many the filter lets through altogether, and the cursor of the next page, ""
// after the last one and for lists sorted by last_access_time.
type Listing struct {
	Items []Item
	Total int64
	Next  string
}

var sortColumns = map[string]string{
	"created_at": "r.created_at", "updated_at": "r.updated_at", "name": "r.name", "size": "a.size_bytes", "last_access_time": "r.last_access_time",
}

// List returns a page. The error is a Problem for a cursor that does not fit.
func (l *Library) List(ctx context.Context, p Page) (out Listing, err error) {
	column := sortColumns[p.Sort]
	where, args, err := p.where(ctx)
	if err != nil {
		return out, err
	}
	page, pageArgs := "", []any{}
	compare, direction := "<", "DESC"
	if p.Asc {
		compare, direction = ">", "ASC"
	}
	if p.After != nil {
		value, id, err := p.position()
		if err != nil {
			return out, err
		}
		page = ` AND (` + column + ` ` + compare + ` ? OR ` + column + ` = ? AND r.id ` + compare + ` ?)`
		pageArgs = append(pageArgs, value, value, id)
	}
	page += ` ORDER BY ` + column + ` ` + direction + `, r.id ` + direction + ` LIMIT ?`
	pageArgs = append(pageArgs, p.Limit+1) // one more tells whether there is a next page
	if p.After == nil {
		page += ` OFFSET ?`
		pageArgs = append(pageArgs, p.Offset)
	}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRow(`SELECT count(*) FROM asset_references r WHERE `+where, args...).Scan(&out.Total); err != nil {
			return err
		}
		if out.Items, err = readItems(tx, `SELECT `+itemColumns+` WHERE `+where+page, append(args, pageArgs...)...); err != nil {
			return err
		}
		if int64(len(out.Items)) > p.Limit {
			out.Items = out.Items[:p.Limit]
			out.Next = p.cursor(out.Items[p.Limit-1])
		}
		for i := range out.Items {
			if out.Items[i].Tags, err = tagsOf(tx, out.Items[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, wrap("listing assets", err)
}

func readItems(tx *sql.Tx, query string, args ...any) (list []Item, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		it, err := readItem(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, it)
	}
	return list, rows.Err()
}

// sortValue returns a cursor's value for the last reference of a page.
func (p Page) sortValue(it Item) string {
	switch p.Sort {
	case "name":
		return it.Name
	case "size":
		return strconv.FormatInt(it.Asset.Size, 10)
	case "created_at":
		return it.Created.micros()
	}
	return it.Updated.micros()
}
