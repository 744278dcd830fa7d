package executor

import (
	"time"

	"comfygo/nodes"
	"comfygo/nodes/pyjson"
)

const (
	stateRunning  = "running"
	stateFinished = "finished"
)

// progressBoard is the state of all nodes of a run that have started.
type progressBoard struct {
	promptID string
	index    map[string]int
	rows     []*progressRow
}

// progressRow is one node's state. Rows are replaced, never changed, so that events can share them.
type progressRow struct {
	value, limit float64
	state        string
	counted      bool // figures that a node counted are written as they are; those of start and end are floats
	json         []byte
}

func newProgressBoard(promptID string) *progressBoard {
	return &progressBoard{promptID: promptID, index: map[string]int{}}
}

func (p *progressBoard) set(n *node, state string, value, limit float64) *pyjson.Object {
	i, ok := p.index[n.id]
	if !ok {
		i = len(p.rows)
		p.index[n.id] = i
		p.rows = append(p.rows, nil)
	}
	row := &progressRow{value: value, limit: limit, state: state, counted: limit != 1}
	row.encode(p, n)
	p.rows[i] = row
	return p.snapshot()
}

// finish sets a node to its end.
func (p *progressBoard) finish(n *node) *pyjson.Object {
	limit := 1.0
	if i, ok := p.index[n.id]; ok {
		limit = p.rows[i].limit
	}
	return p.set(n, stateFinished, limit, limit)
}

func (r *progressRow) encode(p *progressBoard, n *node) {
	o := pyjson.NewObject("value", r.figure(r.value), "max", r.figure(r.limit), "state", r.state).Merge(p.ids(n))
	b := pyjson.AppendString(nil, n.id)
	b = append(b, ": "...)
	b, err := pyjson.Append(b, o)
	if err != nil {
		b = append(b, "null"...) // cannot be: the object holds text and numbers only
	}
	r.json = b
}

func (r *progressRow) figure(f float64) any {
	if r.counted {
		return number(f)
	}
	return f
}

// ids are the names under which messages know a node.
func (p *progressBoard) ids(n *node) *pyjson.Object {
	return pyjson.NewObject("node_id", n.id, "prompt_id", p.promptID, "display_node_id", n.display,
		"parent_node_id", n.parentID(), "real_node_id", n.realID())
}

// snapshot is the data of a progress_state message. It shares the rows, so that a message costs little until somebody reads it.
func (p *progressBoard) snapshot() *pyjson.Object {
	return pyjson.NewObject("prompt_id", p.promptID, "nodes", progressRows(append([]*progressRow(nil), p.rows...)))
}

type progressRows []*progressRow

// AppendJSON implements pyjson.Appender.
func (rows progressRows) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, '{')
	for i, r := range rows {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, r.json...)
	}
	return append(b, '}'), nil
}

// Limits of how often progress is told: at least so long and so much of the whole between two messages.
const (
	throttleInterval = 100 * time.Millisecond
	throttleShare    = 0.005
)

// progressBar thins out the progress of one call. The first and the last figure and every preview are always told.
type progressBar struct {
	now  func() time.Time
	told bool
	last float64
	at   time.Time
}

func (b *progressBar) due(value, limit float64, p *nodes.Preview) bool {
	now := b.now()
	if b.told && value < b.last {
		b.told = false // another bar of the same node
	}
	if p == nil && b.told && value < limit {
		share := 1.0
		if limit > 0 {
			share = (value - b.last) / limit
		}
		if now.Sub(b.at) < throttleInterval || share < throttleShare {
			return false
		}
	}
	b.told, b.last, b.at = true, value, now
	return true
}
