package assets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"comfygo/internal/pyjson"
)

const (
	stubsAtOnce  = 100 // of one transaction, which blocks readers
	lookIntoMany = 100
	// tellEvery is the time between two reports of a scan's progress.
	tellEvery = time.Second
)

// Levels of the knowledge about a file.
const (
	levelEntered = iota
	levelDescribed
	levelHashed
)

// tally counts the results of a scan.
type tally struct{ created, enriched, skipped, total int64 }

// run does one scan and then the one that waits for it.
func (s *seeder) run(ctx context.Context, o order) {
	start := time.Now()
	var t tally
	err := s.scan(ctx, o, &t)
	elapsed := math.Round(time.Since(start).Seconds()*1000) / 1000
	switch {
	case err == nil:
		s.lib.log.Info(fmt.Sprintf("Scan(%s, %s) done %.3fs: created=%d enriched=%d skipped=%d", list(o.roots), o.phase, elapsed, t.created, t.enriched, t.skipped))
		s.emit("completed", pyjson.NewObject("phase", string(o.phase), "total", t.total, "created", t.created, "enriched", t.enriched,
			"skipped", t.skipped, "elapsed", elapsed))
	case ctx.Err() != nil:
		scanned := s.status().Progress.Scanned
		s.emit("cancelled", pyjson.NewObject("scanned", scanned, "total", t.total, "created", t.created))
	default:
		s.fail("Scan failed: " + err.Error())
		s.lib.log.Error("scanning for assets", "error", err)
		s.emit("error", pyjson.NewObject("message", err.Error()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest()
	if next := s.waiting; next != nil {
		s.waiting = nil
		s.startLocked(*next)
	}
}

func list(roots []Root) []any {
	out := make([]any, len(roots))
	for i, r := range roots {
		out[i] = string(r)
	}
	return out
}

func (s *seeder) scan(ctx context.Context, o order, t *tally) error {
	if o.prune {
		if _, err := s.lib.markOutside(ctx); err != nil {
			return err
		}
		if _, err := s.lib.reconcile(ctx, []string{s.lib.cfg.Folders.Temp()}, false); err != nil {
			return err
		}
	}
	if o.phase == fullPhase {
		if err := s.enter(ctx, o, t); err != nil {
			return err
		}
		s.emit("fast_complete", pyjson.NewObject("roots", list(o.roots), "created", t.created, "skipped", t.skipped, "total", t.total))
	}
	if err := s.enrich(ctx, o, t); err != nil {
		return err
	}
	s.emit("enrich_complete", pyjson.NewObject("roots", list(o.roots), "enriched", t.enriched))
	return nil
}

// enter enters the files that are not in the catalogue yet.
func (s *seeder) enter(ctx context.Context, o order, t *tally) error {
	known := map[string]bool{}
	for _, root := range o.roots {
		if err := s.checkpoint(ctx, nil); err != nil {
			return err
		}
		there, err := s.lib.reconcile(ctx, s.lib.rootDirs(root), true)
		if err != nil {
			return err
		}
		for path := range there {
			known[path] = true
		}
	}
	paths := s.lib.collect(ctx, o.roots)
	t.total = int64(len(paths))
	s.count(func(p *Progress) { p.Total = t.total })
	s.emit("started", pyjson.NewObject("roots", list(o.roots), "total", t.total, "phase", "fast"))
	var fresh []string
	for _, p := range paths {
		if known[p] {
			t.skipped++
			continue
		}
		fresh = append(fresh, p)
	}
	s.count(func(p *Progress) { p.Skipped = t.skipped })
	told := time.Now()
	for done := 0; done < len(fresh); {
		if err := s.checkpoint(ctx, nil); err != nil {
			return err
		}
		n := min(stubsAtOnce, len(fresh)-done)
		made, err := s.lib.enterAll(ctx, fresh[done:done+n])
		if err != nil {
			return fmt.Errorf("entering files: %w", err)
		}
		done += n
		t.created += made
		s.count(func(p *Progress) { p.Scanned, p.Created = int64(done), t.created })
		if time.Since(told) >= tellEvery {
			told = time.Now()
			s.emit("progress", pyjson.NewObject("phase", "fast", "scanned", done, "total", len(fresh), "created", t.created))
		}
	}
	return s.checkpoint(ctx, nil)
}

// enterAll enters files, empty ones left out, and returns how many were new.
func (l *Library) enterAll(ctx context.Context, paths []string) (made int64, err error) {
	var stubs []stub
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			continue
		}
		st := l.stub(p, info, "")
		st.contentType = "" // set when the file is read
		stubs = append(stubs, st)
	}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		for _, st := range stubs {
			fresh, err := insertStub(tx, st)
			if err != nil {
				return err
			}
			if fresh {
				made++
			}
		}
		return nil
	})
	return made, err
}

// entry is a reference to be looked into.
type entry struct {
	id, asset, path, hash string
	level                 int
	mtime                 int64
}

// enrich looks into the files that have been entered.
func (s *seeder) enrich(ctx context.Context, o order, t *tally) error {
	s.emit("started", pyjson.NewObject("roots", list(o.roots), "phase", "enrich"))
	var dirs []string
	for _, r := range o.roots {
		dirs = append(dirs, s.lib.rootDirs(r)...)
	}
	below := levelEntered
	if o.hashes {
		below = levelDescribed
	}
	told, after := time.Now(), ""
	for {
		list, err := s.lib.entered(ctx, dirs, below, after)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		for _, e := range list {
			if err := s.checkpoint(ctx, nil); err != nil {
				return err
			}
			after = e.id // what fails is not tried again by this scan
			better, err := s.lookInto(ctx, e, o.hashes)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				s.lib.log.Warn("looking into an asset", "file", e.path, "error", err)
			case better:
				t.enriched++
			}
			if time.Since(told) >= tellEvery {
				told = time.Now()
				s.emit("progress", pyjson.NewObject("phase", "enrich", "enriched", t.enriched))
			}
		}
	}
}

// entered returns references whose level is below the wanted one, in the order of their ids.
func (l *Library) entered(ctx context.Context, dirs []string, level int, after string) (out []entry, err error) {
	cond, args := inDirs(dirs)
	args = append(args, level, after, lookIntoMany)
	err = l.tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT r.id, r.asset_id, r.file_path, r.enrichment_level, coalesce(r.mtime_ns, -1), coalesce(a.hash, '')
			FROM asset_references r JOIN assets a ON a.id = r.asset_id
			WHERE `+cond+` AND r.deleted_at IS NULL AND r.is_missing = 0 AND r.enrichment_level <= ? AND r.id > ? ORDER BY r.id LIMIT ?`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e entry
			if err := rows.Scan(&e.id, &e.asset, &e.path, &e.level, &e.mtime, &e.hash); err != nil {
				return err
			}
			out = append(out, e)
		}
		return rows.Err()
	})
	return out, err
}

// lookInto reads the metadata of a file and, if requested, hashes it; it returns true if more is known than before.
func (s *seeder) lookInto(ctx context.Context, e entry, hashes bool) (bool, error) {
	info, err := os.Stat(e.path)
	if err != nil || !info.Mode().IsRegular() {
		return false, errors.Join(err, ifNot(err, fs.ErrInvalid))
	}
	meta, contentType := s.lib.describe(e.path, info)
	level, hash := levelDescribed, e.hash
	if hashes {
		if hash == "" || info.ModTime().UnixNano() != e.mtime {
			if hash, err = hashFile(ctx, e.path, func(pause func()) error { return s.checkpoint(ctx, pause) }); err != nil {
				return false, err
			}
		}
		level = levelHashed
	}
	stored := false
	err = s.lib.tx(ctx, func(tx *sql.Tx) (err error) {
		stored, err = store(tx, e, info.ModTime().UnixNano(), meta, contentType, hash, level)
		return err
	})
	return stored && level > e.level, err
}

// ifNot returns other when err is nil.
func ifNot(err, other error) error {
	if err == nil {
		return other
	}
	return nil
}

// store enters what was found in a file, unless the reference has changed meanwhile. Content that the catalogue has
// already is shared.
func store(tx *sql.Tx, e entry, mtime int64, meta *pyjson.Object, contentType, hash string, level int) (bool, error) {
	it, err := readItem(tx.QueryRow(`SELECT `+itemColumns+` WHERE r.id = ? AND r.mtime_ns = ? AND r.asset_id = ?`, e.id, mtime, e.asset))
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := setMetadata(tx, e.id, it.User, meta); err != nil {
		return false, err
	}
	asset := e.asset
	if hash != "" && hash != it.Asset.Hash {
		same, err := column(tx, `SELECT id FROM assets WHERE hash = ?`, hash)
		if err != nil {
			return false, err
		}
		if len(same) > 0 {
			asset = same[0]
		} else if _, err := tx.Exec(`UPDATE assets SET hash = ? WHERE id = ?`, hash, asset); err != nil {
			return false, err
		}
	}
	if _, err := tx.Exec(`UPDATE assets SET mime_type = ? WHERE id = ? AND mime_type IS NULL`, null(contentType), asset); err != nil {
		return false, err
	}
	if _, err := tx.Exec(`UPDATE asset_references SET asset_id = ?, enrichment_level = ? WHERE id = ?`, asset, level, e.id); err != nil {
		return false, err
	}
	return true, dropStub(tx, e.asset)
}
