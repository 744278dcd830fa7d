package queue

// history is an ordered map of finished jobs with a limit. Removing leaves holes that are closed now and then, so that
// every operation costs the same however long the history is.
type history struct {
	rows  []*Row // nil: removed
	index map[string]int
	limit int
}

func newHistory(limit int) *history {
	return &history{index: map[string]int{}, limit: limit}
}

func (h *history) len() int { return len(h.index) }

// add puts a row at the end; one with a known id takes the old one's place, as a Python dict has it. It returns the id
// of the row that had to go, "" if none had.
func (h *history) add(r *Row) (evicted string) {
	if i, ok := h.index[r.ID]; ok {
		h.rows[i] = r
		return ""
	}
	if len(h.index) >= h.limit {
		evicted = h.oldest()
		h.remove(evicted)
	}
	h.index[r.ID] = len(h.rows)
	h.rows = append(h.rows, r)
	return evicted
}

func (h *history) oldest() string {
	for _, r := range h.rows {
		if r != nil {
			return r.ID
		}
	}
	return ""
}

func (h *history) remove(id string) bool {
	i, ok := h.index[id]
	if !ok {
		return false
	}
	h.rows[i] = nil
	delete(h.index, id)
	if i == 0 || len(h.rows) > 2*len(h.index)+64 {
		h.compact()
	}
	return true
}

// compact closes holes: those at the front by slicing, all of them when they are the most.
func (h *history) compact() {
	front := 0
	for front < len(h.rows) && h.rows[front] == nil {
		front++
	}
	if front < 64 && len(h.rows) <= 2*len(h.index)+64 {
		return
	}
	rows := make([]*Row, 0, len(h.index)+64)
	for _, r := range h.rows {
		if r != nil {
			h.index[r.ID] = len(rows)
			rows = append(rows, r)
		}
	}
	h.rows = rows
}

func (h *history) find(id string) *Row {
	if i, ok := h.index[id]; ok {
		return h.rows[i]
	}
	return nil
}

// slice returns up to limit rows from offset on, oldest first; limit below 0 means all.
func (h *history) slice(offset, limit int) []*Row {
	out := []*Row{}
	i := 0
	for _, r := range h.rows {
		if r == nil {
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

func (h *history) clear() {
	h.rows, h.index = nil, map[string]int{}
}
