package auth

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// longestName bounds the names of users, keys and roles, in runes.
const longestName = 128

// checkName refuses names that are empty, too long or would hide something.
func checkName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "" || strings.TrimSpace(name) != name:
		return fmt.Errorf("%w: a %s must not be empty nor have space around it", ErrInvalid, what)
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > longestName:
		return fmt.Errorf("%w: a %s has at most %d characters of UTF-8", ErrInvalid, what, longestName)
	case strings.IndexFunc(name, hidden) >= 0:
		return fmt.Errorf("%w: a %s has visible characters only", ErrInvalid, what)
	}
	return nil
}

// view is a key as it may be shown.
func (n *snapshot) view(k *keyRecord, now time.Time) Key {
	v := Key{
		ID: k.id, Name: k.name, Owner: k.owner, Role: k.role, Created: time.Unix(k.created, 0).UTC(), Expires: utc(k.expires),
		Revoked: utc(k.revoked), LastUsed: utc(k.used.Load()), State: "active", Mask: mask(k.id), Instead: k.from,
	}
	u := n.users[k.owner]
	if u != nil {
		v.User = u.Name
	}
	switch {
	case k.revoked != 0:
		v.State = "revoked"
	case u == nil || u.Disabled:
		v.State = "disabled"
	case expiredAt(k, now):
		v.State = "expired"
	}
	return v
}

// Keys lists all keys, the newest first.
func (s *Store) Keys(_ context.Context) ([]Key, error) {
	snap, now := s.snap.Load(), s.now()
	list := make([]Key, 0, len(snap.keys))
	for _, k := range snap.keys {
		list = append(list, snap.view(k, now))
	}
	slices.SortFunc(list, func(a, b Key) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// keyID takes what people copy for a key's ID: the ID, the mask, or the whole key.
func keyID(given string) string {
	id := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(given), keyPrefix), "…")
	id, _, _ = strings.Cut(id, "_")
	return id
}

// Key returns a key by its ID.
func (s *Store) Key(_ context.Context, id string) (Key, error) {
	snap := s.snap.Load()
	k := snap.keys[keyID(id)]
	if k == nil {
		return Key{}, fmt.Errorf("key %s: %w", short(keyID(id)), ErrNotFound)
	}
	return snap.view(k, s.now()), nil
}

// CreateKey makes a key. Its secret is in the answer, and nowhere else afterwards.
func (s *Store) CreateKey(ctx context.Context, by Actor, spec KeySpec) (Key, error) {
	snap := s.snap.Load()
	u := snap.user(spec.User)
	if u == nil {
		return Key{}, fmt.Errorf("user %s: %w", short(spec.User), ErrNotFound)
	}
	if err := checkName("key's name", spec.Name); err != nil {
		return Key{}, err
	}
	if spec.Role != "" && snap.roles[spec.Role] == nil {
		return Key{}, fmt.Errorf("role %s: %w", short(spec.Role), ErrNotFound)
	}
	if spec.Life < 0 {
		return Key{}, fmt.Errorf("%w: a key cannot have expired when it is made", ErrInvalid)
	}
	now := s.now()
	k := keyRecord{name: spec.Name, owner: u.ID, role: spec.Role, created: now.Unix()}
	if spec.Life > 0 {
		k.expires = now.Add(max(spec.Life, time.Second)).Unix()
	}
	made, err := s.addKey(ctx, by, k, nil)
	if err != nil {
		return Key{}, fmt.Errorf("making a key: %w", err)
	}
	return made, nil
}

// addKey makes the secret of a key and stores the key; also does what belongs into the same transaction.
func (s *Store) addKey(ctx context.Context, by Actor, k keyRecord, also func(*sql.Tx, int64) error) (Key, error) {
	text, id := newKeyText()
	release, err := s.hasher.take(ctx)
	if err != nil {
		return Key{}, err
	}
	k.hash = s.hasher.hash(text)
	release()
	k.id = id
	err = s.change(ctx, by, ActionKey, func(tx *sql.Tx, generation int64, e *Event) error {
		e.Target, e.Detail = id, keyDetail(k)
		_, err := tx.ExecContext(ctx, `INSERT INTO keys (id, name, owner, role, created, expires, rotated_from, salt, hash, passes, memory, threads, changed)
			VALUES (?, ?, ?, ?, ?, nullif(?, 0), nullif(?, ''), ?, ?, ?, ?, ?, ?)`, id, k.name, k.owner, k.role, k.created, k.expires, k.from,
			k.hash.salt, k.hash.hash, k.hash.params.Passes, k.hash.params.Memory, k.hash.params.Threads, generation)
		if err != nil || also == nil {
			return err
		}
		return also(tx, generation)
	})
	if err != nil {
		return Key{}, err
	}
	// The maker of a key does not pay for its first check.
	s.verified.accept(s.verified.digest(text), goodEntry{key: id, until: s.now().Add(verifiedLife)})
	v, err := s.Key(ctx, id)
	v.Secret = text
	return v, err
}

func keyDetail(k keyRecord) string {
	text := "created for " + k.owner
	if k.from != "" {
		text = "created for " + k.owner + " in place of " + k.from
	}
	if k.role != "" {
		text += ", role " + k.role
	}
	if k.expires != 0 {
		text += ", until " + utc(k.expires).Format(time.RFC3339)
	}
	return text
}

// RevokeKey ends a key, its tokens, sessions and sockets. Revoking one that has been revoked changes nothing.
func (s *Store) RevokeKey(ctx context.Context, by Actor, id string) (Key, error) {
	id = keyID(id)
	if k := s.snap.Load().keys[id]; k == nil {
		return Key{}, fmt.Errorf("key %s: %w", short(id), ErrNotFound)
	}
	err := s.change(ctx, by, ActionKey, func(tx *sql.Tx, generation int64, e *Event) error {
		e.Target, e.Detail = id, "revoked"
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE key = ?", id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE keys SET revoked = coalesce(revoked, ?), changed = ? WHERE id = ?", s.now().Unix(), generation, id)
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("revoking the key %s: %w", id, err)
	}
	return s.Key(ctx, id)
}

// RotateKey makes a key in place of another, with its name, owner, role and as long a life. The old one stays good for
// overlap, which may be 0.
func (s *Store) RotateKey(ctx context.Context, by Actor, id string, overlap time.Duration) (Key, error) {
	id = keyID(id)
	now := s.now()
	snap := s.snap.Load()
	old := snap.keys[id]
	switch {
	case old == nil:
		return Key{}, fmt.Errorf("key %s: %w", short(id), ErrNotFound)
	case overlap < 0:
		return Key{}, fmt.Errorf("%w: the overlap is negative", ErrInvalid)
	case old.revoked != 0 || snap.users[old.owner] == nil:
		return Key{}, fmt.Errorf("%w: the key %s has been revoked; make a new one", ErrInvalid, id)
	}
	k := keyRecord{name: old.name, owner: old.owner, role: old.role, created: now.Unix(), from: id}
	if old.expires != 0 {
		k.expires = now.Unix() + max(1, old.expires-old.created)
	}
	made, err := s.addKey(ctx, by, k, func(tx *sql.Tx, generation int64) error {
		query, at := "UPDATE keys SET expires = min(coalesce(expires, ?1), ?1), changed = ?2 WHERE id = ?3", now.Add(overlap).Unix()
		if overlap == 0 {
			query = "UPDATE keys SET revoked = ?1, changed = ?2 WHERE id = ?3"
		}
		_, err := tx.ExecContext(ctx, query, at, generation, id)
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("rotating the key %s: %w", id, err)
	}
	return made, nil
}

// storeHash replaces the hash of a key by one with the parameters of now.
func (s *Store) storeHash(ctx context.Context, id string, h hashed) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		generation, err := bump(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE keys SET salt = ?, hash = ?, passes = ?, memory = ?, threads = ?, changed = ? WHERE id = ?",
			h.salt, h.hash, h.params.Passes, h.params.Memory, h.params.Threads, generation, id)
		return err
	})
	if err != nil {
		return err
	}
	return s.reload(ctx)
}
