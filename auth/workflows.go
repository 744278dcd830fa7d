package auth

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of registered workflows.
const (
	longestWorkflowName = 64
	mostGraphBytes      = 4 << 20
)

// Workflows lists the registered workflows that p may run, by name.
func (s *Store) Workflows(_ context.Context, p Principal) ([]Workflow, error) {
	snap := s.snap.Load()
	list := []Workflow{}
	for _, w := range snap.sortedWorkflows() {
		if s.Allow(p, Access{Method: "POST", Route: "/workflows/:name/run", Workflow: w.Name}) == nil {
			list = append(list, w.Workflow)
		}
	}
	return list, nil
}

func (n *snapshot) sortedWorkflows() []*workflowRecord {
	var list []*workflowRecord
	for _, w := range n.workflows {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *workflowRecord) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Workflow returns a registered workflow.
func (s *Store) Workflow(_ context.Context, name string) (Workflow, error) {
	w := s.snap.Load().workflows[name]
	if w == nil {
		return Workflow{}, fmt.Errorf("workflow %s: %w", short(name), ErrNotFound)
	}
	return w.Workflow, nil
}

// PutWorkflow registers a workflow or changes it. Created and Changed are set by the store. A free input has to be in
// the graph, and must not be a link there.
func (s *Store) PutWorkflow(ctx context.Context, by Actor, w Workflow) (Workflow, error) {
	w, err := checkWorkflow(w)
	if err != nil {
		return Workflow{}, err
	}
	free, err := json.Marshal(w.Free)
	if err != nil {
		return Workflow{}, err
	}
	now := s.now().Unix()
	err = s.change(ctx, by, ActionWorkflow, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = w.Name, fmt.Sprintf("registered, public: %t, free: %s", w.Public, freeNames(w.Free))
		_, err := tx.ExecContext(ctx, `INSERT INTO workflows (name, title, public, free, graph, created, changed) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET title = excluded.title, public = excluded.public, free = excluded.free, graph = excluded.graph, changed = excluded.changed`,
			w.Name, w.Title, w.Public, string(free), string(w.Graph), now, now)
		return err
	})
	if err != nil {
		return Workflow{}, fmt.Errorf("registering the workflow %s: %w", w.Name, err)
	}
	return s.Workflow(ctx, w.Name)
}

func freeNames(free []FreeInput) string {
	names := make([]string, len(free))
	for i, f := range free {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// checkWorkflow fills in what may be left out and refuses what can't be run.
func checkWorkflow(w Workflow) (Workflow, error) {
	if !isWord(w.Name) {
		return w, fmt.Errorf("%w: a workflow's name has 1 to %d letters, digits, '-', '_' and '.', and begins with a letter or digit", ErrInvalid, longestWorkflowName)
	}
	w.Title = or(strings.TrimSpace(w.Title), w.Name)
	if err := checkName("title", w.Title); err != nil {
		return w, err
	}
	if len(w.Graph) > mostGraphBytes {
		return w, fmt.Errorf("%w: the graph has more than %d bytes", ErrInvalid, mostGraphBytes)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, w.Graph); err != nil {
		return w, fmt.Errorf("%w: the graph is no JSON: %w", ErrInvalid, err)
	}
	w.Graph = compact.Bytes()
	g, err := parseGraph(w.Graph)
	if err != nil {
		return w, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(g.nodes) == 0 {
		return w, fmt.Errorf("%w: the graph has no node", ErrInvalid)
	}
	for id, n := range g.nodes {
		if n.class == "" {
			return w, fmt.Errorf("%w: node %s has no class_type: the graph must be in API form", ErrInvalid, short(id))
		}
	}
	w.Free, err = checkFree(w.Free, g)
	return w, err
}

func checkFree(given []FreeInput, g *graph) ([]FreeInput, error) {
	names, places := map[string]bool{}, map[[2]string]bool{}
	free := []FreeInput{}
	for _, f := range given {
		f.Name = or(f.Name, f.Node+"."+f.Input)
		if err := checkName("free input's name", f.Name); err != nil {
			return nil, err
		}
		value, ok := g.nodes[f.Node].inputs[f.Input]
		switch place := [2]string{f.Node, f.Input}; {
		case !ok:
			return nil, fmt.Errorf("%w: the graph has no input %s of node %s", ErrInvalid, short(f.Input), short(f.Node))
		case kindOf(value) == "link":
			return nil, fmt.Errorf("%w: input %s of node %s is a link and cannot be free", ErrInvalid, short(f.Input), short(f.Node))
		case names[f.Name] || places[place]:
			return nil, fmt.Errorf("%w: the free input %s is there twice", ErrInvalid, short(f.Name))
		default:
			names[f.Name], places[place] = true, true
		}
		free = append(free, f)
	}
	return free, nil
}

// isWord reports whether a text can stand in an address as one part, and as an argument of a command.
func isWord(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= longestWorkflowName
}

// DeleteWorkflow takes a workflow out of the register.
func (s *Store) DeleteWorkflow(ctx context.Context, by Actor, name string) error {
	return s.change(ctx, by, ActionWorkflow, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = name, "deleted"
		done, err := tx.ExecContext(ctx, "DELETE FROM workflows WHERE name = ?", name)
		return oneRow(done, err, "workflow "+short(name))
	})
}

// Fill is the graph of a registered workflow with the given free inputs, by their names; those that are not given stay as
// they were registered. Each has to be of the same kind as the registered value.
func (s *Store) Fill(name string, inputs map[string]json.RawMessage) (json.RawMessage, error) {
	w := s.snap.Load().workflows[name]
	if w == nil {
		return nil, fmt.Errorf("workflow %s: %w", short(name), ErrNotFound)
	}
	chosen := map[[2]string]json.RawMessage{}
	for _, f := range w.Free {
		if v, ok := inputs[f.Name]; ok {
			chosen[[2]string{f.Node, f.Input}] = v
		}
	}
	if len(chosen) != len(inputs) {
		for given := range inputs {
			if !slices.ContainsFunc(w.Free, func(f FreeInput) bool { return f.Name == given }) {
				return nil, fmt.Errorf("%w: %s is no free input of workflow %s, which has: %s", ErrInvalid, short(given), name, freeNames(w.Free))
			}
		}
	}
	filled, err := w.fill(chosen)
	if err != nil {
		return nil, err
	}
	g, err := parseGraph(filled)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if n, first := w.compare(g); n > 0 {
		return nil, fmt.Errorf("%w: %s", ErrInvalid, first)
	}
	return filled, nil
}

// fill writes values into the graph and leaves everything else as it was registered, the order of nodes too.
func (w *workflowRecord) fill(chosen map[[2]string]json.RawMessage) (json.RawMessage, error) {
	return rewrite(w.Graph, func(id string, node json.RawMessage) (json.RawMessage, error) {
		return rewrite(node, func(part string, value json.RawMessage) (json.RawMessage, error) {
			if part != "inputs" {
				return value, nil
			}
			return rewrite(value, func(input string, value json.RawMessage) (json.RawMessage, error) {
				v, ok := chosen[[2]string{id, input}]
				if !ok {
					return value, nil
				}
				if !json.Valid(v) {
					return nil, fmt.Errorf("%w: the value for input %s of node %s is no JSON", ErrInvalid, short(input), short(id))
				}
				return v, nil
			})
		})
	})
}

// rewrite makes an object anew, each value as change says.
func rewrite(object json.RawMessage, change func(string, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	list, err := members(object)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBufferString("{")
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := change(m.name, m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// utc is a time of the file.
func utc(seconds int64) *time.Time {
	if seconds == 0 {
		return nil
	}
	t := time.Unix(seconds, 0).UTC()
	return &t
}
