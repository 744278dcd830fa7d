package executor

import (
	"time"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

const (
	stateRunning  = "running"
	stateFinished = "finished"
)

// chunk is the number of rows that are copied when one changes.
const chunk = 64

// progressBoard is the state of all nodes of a run that have started.
type progressBoard struct {
	promptID string
	index    map[string]int
	rows     progressRows
	count    int
}

// progressRow is one node's state. Rows are replaced, never changed, so that events can share them.
type progressRow struct {
	limit float64
	whole bool   // the figures count something; those that a node starts with are shares of 1
	names []byte // the part of the JSON that stays
	json  []byte
}

// progressRows are rows in chunks, so that a changed copy costs little.
type progressRows [][]*progressRow

func newProgressBoard(promptID string) *progressBoard {
	return &progressBoard{promptID: promptID, index: map[string]int{}}
}

func (p *progressBoard) row(id string) *progressRow {
	i, ok := p.index[id]
	if !ok {
		return nil
	}
	return p.rows[i/chunk][i%chunk]
}

func (p *progressBoard) set(n *node, state string, value, limit float64, whole bool) *pyjson.Object {
	row := &progressRow{limit: limit, whole: whole}
	if old := p.row(n.id); old != nil {
		row.names = old.names
	} else {
		row.names = p.names(n)
		p.index[n.id] = p.count
		p.count++
	}
	b := make([]byte, 0, len(row.names)+len(n.id)+64)
	b = pyjson.AppendString(b, n.id)
	b = append(b, `: {"value": `...)
	b = appendFigure(b, value, whole)
	b = append(b, `, "max": `...)
	b = appendFigure(b, limit, whole)
	b = append(b, `, "state": "`...)
	b = append(b, state...)
	b = append(b, '"', ',', ' ')
	row.json = append(b, row.names...)
	p.put(p.index[n.id], row)
	return pyjson.NewObject("prompt_id", p.promptID, "nodes", p.rows)
}

// put replaces a row in copies of what messages share.
func (p *progressBoard) put(i int, row *progressRow) {
	rows := append(make(progressRows, 0, len(p.rows)+1), p.rows...)
	if i/chunk == len(rows) {
		rows = append(rows, nil)
	}
	old := rows[i/chunk]
	fresh := append(make([]*progressRow, 0, len(old)+1), old...)
	if i%chunk == len(fresh) {
		fresh = append(fresh, nil)
	}
	fresh[i%chunk] = row
	rows[i/chunk] = fresh
	p.rows = rows
}

// limit returns the progress that a node has reached at its end; one that has not started counts as one of one.
func (p *progressBoard) limit(n *node) (limit float64, whole bool) {
	if row := p.row(n.id); row != nil {
		return row.limit, row.whole
	}
	return 1, true
}

// appendFigure writes a progress figure: counts without a point, shares of 1 with one.
func appendFigure(b []byte, f float64, whole bool) []byte {
	var v any = f
	if whole {
		v = number(f)
	}
	b, err := pyjson.Append(b, v)
	if err != nil {
		return append(b, "null"...) // cannot be: numbers have a form
	}
	return b
}

// names is the end of a row's JSON, the closing bracket included.
func (p *progressBoard) names(n *node) []byte {
	b, err := pyjson.Marshal(p.ids(n))
	if err != nil {
		return []byte("}") // cannot be: the object holds text only
	}
	return b[1:]
}

// ids are the names under which messages know a node.
func (p *progressBoard) ids(n *node) *pyjson.Object {
	return pyjson.NewObject("node_id", n.id, "prompt_id", p.promptID, "display_node_id", n.display,
		"parent_node_id", n.parentID(), "real_node_id", n.realID())
}

// AppendJSON implements pyjson.Appender.
func (rows progressRows) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, '{')
	for i, list := range rows {
		for j, r := range list {
			if i+j > 0 {
				b = append(b, ", "...)
			}
			b = append(b, r.json...)
		}
	}
	return append(b, '}'), nil
}

// Limits of progress messages: at least this time and this part of the whole between two of them.
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

func newBar() progressBar { return progressBar{now: time.Now} }

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
