package queue

import (
	"sync"
	"time"
)

// record is the part of a finished job that the queue keeps in memory; its text is in the store.
type record struct {
	id, owner  string
	seq, place int64
	finished   time.Time
	shared     bool
	tail       int64 // the log's entry with the job's end; 0 in a Store

	once sync.Once
	memo any
}

// Row is a finished job as history shows it.
type Row struct {
	ID string
	// Owner is the owner of the job.
	Owner string
	// Shared: its owner lets others read it.
	Shared bool

	rec  *record
	text func() []byte
}

// Text is the JSON value that /history has for the id, {} when it has been forgotten meanwhile. The bytes must not be
// changed.
func (r *Row) Text() []byte {
	if b := r.text(); b != nil {
		return b
	}
	return []byte("{}")
}

// Memo returns what f made of the row the first time, so that lists need not read Text again and again.
func (r *Row) Memo(f func(*Row) any) any {
	r.rec.once.Do(func() { r.rec.memo = f(r) })
	return r.rec.memo
}

// pageSize is the number of texts of a listing that are read at a time.
const pageSize = 256

// pager reads the texts of a listing page by page, on demand.
type pager struct {
	recs []*record
	read func(recs []*record) [][]byte

	mu    sync.Mutex
	start int
	texts [][]byte
}

func (p *pager) text(i int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i < p.start || i >= p.start+len(p.texts) {
		p.start, p.texts = i, p.read(p.recs[i:min(i+pageSize, len(p.recs))])
	}
	if i-p.start >= len(p.texts) {
		return nil
	}
	return p.texts[i-p.start]
}

// rowsOf makes rows of records; read fetches their texts.
func rowsOf(recs []*record, read func(recs []*record) [][]byte) []*Row {
	p := &pager{recs: recs, read: read}
	rows := make([]*Row, len(recs))
	for i, r := range recs {
		rows[i] = &Row{ID: r.id, Owner: r.owner, Shared: r.shared, rec: r, text: func() []byte { return p.text(i) }}
	}
	return rows
}

// history is an ordered map of finished jobs with a limit. Removing leaves holes that are closed now and then, so that
// every operation costs the same however long the history is.
type history struct {
	rows  []*record // nil: removed
	front int       // everything before is nil
	index map[string]int
	limit int
}

func newHistory(limit int) *history {
	return &history{index: map[string]int{}, limit: limit}
}

func (h *history) len() int { return len(h.index) }

// displaced returns the row that a new one with the id replaces, and the row that has to be removed to make room for
// it.
func (h *history) displaced(id string) (replaced, evicted *record) {
	if old := h.find(id); old != nil {
		return old, nil
	}
	if len(h.index) >= h.limit {
		return nil, h.oldest()
	}
	return nil, nil
}

// add puts a row at the end; one with a known id takes the old one's place, as in a Python dict.
func (h *history) add(r *record) {
	if i, ok := h.index[r.id]; ok {
		h.rows[i] = r
		return
	}
	h.index[r.id] = len(h.rows)
	h.rows = append(h.rows, r)
}

func (h *history) oldest() *record {
	for ; h.front < len(h.rows); h.front++ {
		if r := h.rows[h.front]; r != nil {
			return r
		}
	}
	return nil
}

func (h *history) remove(id string) bool {
	i, ok := h.index[id]
	if !ok {
		return false
	}
	h.rows[i] = nil
	delete(h.index, id)
	if len(h.rows) > 2*len(h.index)+64 {
		h.compact()
	}
	return true
}

func (h *history) compact() {
	rows := make([]*record, 0, len(h.index)+64)
	for _, r := range h.rows {
		if r != nil {
			h.index[r.id] = len(rows)
			rows = append(rows, r)
		}
	}
	h.rows, h.front = rows, 0
}

func (h *history) find(id string) *record {
	if i, ok := h.index[id]; ok {
		return h.rows[i]
	}
	return nil
}

// slice returns up to limit rows of a scope from offset on, oldest first; limit below 0 means all.
func (h *history) slice(s Scope, offset, limit int) []*record {
	out := []*record{}
	i := 0
	for _, r := range h.rows {
		if r == nil || !s.sees(r) {
			continue
		}
		if limit >= 0 && len(out) >= limit {
			break
		}
		if i >= offset {
			out = append(out, r)
		}
		i++
	}
	return out
}

// before returns the rows of jobs that finished before the time.
func (h *history) before(t time.Time) []*record {
	var out []*record
	for _, r := range h.rows[min(h.front, len(h.rows)):] {
		if r != nil && r.finished.Before(t) {
			out = append(out, r)
		}
	}
	return out
}
