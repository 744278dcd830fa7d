package assets

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// How a tag came to a reference.
const (
	byHand   = "manual"
	byPath   = "automatic"
	byUpload = "upload"
)

// missingTag marks references whose content has no file any more.
const missingTag = "missing"

// CleanTags trims tags and drops empty ones and repetitions.
func CleanTags(tags []string) []string {
	out := []string{}
	seen := map[string]bool{}
	for _, t := range tags {
		if t = strings.TrimSpace(t); t != "" && !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

// maxNewTags is the number of tags that one request may name.
const maxNewTags = 10_000

func checkTags(tags []string) error {
	if len(tags) > maxNewTags {
		return problem(Invalid, "there are %d tags; the maximum is %d", len(tags), maxNewTags)
	}
	return nil
}

func tagsOf(tx *sql.Tx, id string) ([]string, error) {
	tags, err := column(tx, `SELECT tag_name FROM asset_reference_tags WHERE asset_reference_id = ? ORDER BY tag_name`, id)
	if tags == nil {
		tags = []string{}
	}
	return tags, err
}

func addTags(tx *sql.Tx, id string, tags []string, origin string) error {
	t := now()
	for _, tag := range tags {
		if _, err := tx.Exec(`INSERT OR IGNORE INTO tags (name) VALUES (?)`, tag); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT OR IGNORE INTO asset_reference_tags (asset_reference_id, tag_name, origin, added_at) VALUES (?, ?, ?, ?)`, id, tag, origin, t); err != nil {
			return err
		}
	}
	return nil
}

// TagChange is the result of changing a reference's tags: Done were added or removed, Idle were present already or were
// not present, Total are the current ones. All are sorted.
type TagChange struct{ Done, Idle, Total []string }

// AddTags gives a reference tags.
func (l *Library) AddTags(ctx context.Context, id, owner string, tags []string) (TagChange, error) {
	return l.changeTags(ctx, id, owner, tags, func(tx *sql.Tx, tags []string) error { return addTags(tx, id, tags, byHand) }, false)
}

// RemoveTags takes tags from a reference.
func (l *Library) RemoveTags(ctx context.Context, id, owner string, tags []string) (TagChange, error) {
	return l.changeTags(ctx, id, owner, tags, func(tx *sql.Tx, tags []string) error {
		return inChunks(tags, func(marks string, args []any) error {
			_, err := tx.Exec(`DELETE FROM asset_reference_tags WHERE asset_reference_id = ? AND tag_name IN (`+marks+`)`, append([]any{id}, args...)...)
			return err
		})
	}, true)
}

// changeTags calls do with those of the tags that the reference has, or has not.
func (l *Library) changeTags(ctx context.Context, id, owner string, tags []string, do func(*sql.Tx, []string) error, present bool) (TagChange, error) {
	c := TagChange{Done: []string{}, Idle: []string{}}
	tags = CleanTags(tags)
	if err := checkTags(tags); err != nil {
		return c, err
	}
	err := l.tx(ctx, func(tx *sql.Tx) error {
		if _, err := owned(ctx, tx, id, owner); err != nil {
			return err
		}
		have, err := tagsOf(tx, id)
		if err != nil {
			return err
		}
		for _, t := range tags {
			if _, has := slices.BinarySearch(have, t); has == present { // both are in the order of bytes
				c.Done = append(c.Done, t)
			} else {
				c.Idle = append(c.Idle, t)
			}
		}
		slices.Sort(c.Done)
		slices.Sort(c.Idle)
		if err := do(tx, c.Done); err != nil {
			return err
		}
		c.Total, err = tagsOf(tx, id)
		return err
	})
	return c, wrap("changing tags", err)
}

// TagQuery chooses tags.
type TagQuery struct {
	Owner, Prefix string
	Limit, Offset int64
	// ByName sorts by name; otherwise those that are used most come first.
	ByName bool
	// Unused lists tags that no reference has, too.
	Unused bool
}

// TagCount is a tag and how many references have it.
type TagCount struct {
	Name  string
	Count int64
}

// Tags lists tags, and how many there are altogether.
func (l *Library) Tags(ctx context.Context, q TagQuery) (list []TagCount, total int64, err error) {
	from := ` FROM tags t LEFT JOIN (SELECT rt.tag_name, count(*) n FROM asset_reference_tags rt JOIN asset_references r ON r.id = rt.asset_reference_id
		WHERE ` + visibleIn(ctx) + ` AND (r.is_missing = 0 OR rt.tag_name = 'missing') GROUP BY rt.tag_name) c ON c.tag_name = t.name
		WHERE substr(t.name, 1, ?) = ?`
	args := []any{q.Owner, len([]rune(q.Prefix)), q.Prefix}
	if !q.Unused {
		from += ` AND c.n > 0`
	}
	order := ` ORDER BY coalesce(c.n, 0) DESC, t.name`
	if q.ByName {
		order = ` ORDER BY t.name`
	}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRow(`SELECT count(*)`+from, args...).Scan(&total); err != nil {
			return err
		}
		list, err = readCounts(tx, `SELECT t.name, coalesce(c.n, 0)`+from+order+` LIMIT ? OFFSET ?`, append(args, q.Limit, q.Offset)...)
		return err
	})
	return list, total, wrap("listing tags", err)
}

func readCounts(tx *sql.Tx, query string, args ...any) (list []TagCount, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t TagCount
		if err := rows.Scan(&t.Name, &t.Count); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// TagsOf counts the tags of the references that a filter lets through, the most used first.
func (l *Library) TagsOf(ctx context.Context, f Filter, limit int64) (list []TagCount, err error) {
	where, args, err := f.where(ctx)
	if err != nil {
		return nil, err
	}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		list, err = readCounts(tx, `SELECT rt.tag_name, count(*) n FROM asset_reference_tags rt WHERE rt.asset_reference_id IN (SELECT r.id FROM asset_references r WHERE `+
			where+`) GROUP BY rt.tag_name ORDER BY n DESC, rt.tag_name LIMIT ?`, append(args, limit)...)
		return err
	})
	return list, wrap("counting tags", err)
}
