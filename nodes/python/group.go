package python

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Group keeps a registry's foreign classes those of several hosts: one for all packs, or one for each.
type Group struct {
	registry *nodes.Registry
	log      *slog.Logger
	// Changed, if set, is called when classes have come, gone or changed.
	Changed func()

	mu      sync.Mutex
	bridges []*Bridge
}

var (
	_ nodes.Source    = (*Group)(nil)
	_ nodes.Elsewhere = (*Group)(nil)
)

// NewGroup makes a group and makes the registry ask it.
func NewGroup(registry *nodes.Registry, log *slog.Logger) *Group {
	g := &Group{registry: registry, log: log}
	registry.SetSource(g)
	return g
}

// Set puts the bridges of the group, in the order in which their packs come, in place of those before. Classes of a bridge that has left go.
func (g *Group) Set(bridges []*Bridge) {
	g.mu.Lock()
	g.bridges = slices.Clone(bridges)
	g.mu.Unlock()
	for _, b := range bridges {
		b.mu.Lock()
		b.changed = g.update
		b.mu.Unlock()
	}
	g.update()
}

func (g *Group) all() []*Bridge {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bridges
}

// update updates the registry. Of two packs with a class of one name the later one has it, as upstream has it.
func (g *Group) update() {
	g.mu.Lock()
	var list []*nodes.Class
	at := map[string]int{}
	for _, b := range g.bridges {
		for _, c := range b.offered() {
			if i, ok := at[c.Name]; ok {
				list[i] = c
				continue
			}
			at[c.Name] = len(list)
			list = append(list, c)
		}
	}
	g.registry.SetForeign(list)
	g.mu.Unlock()
	if g.Changed != nil {
		g.Changed()
	}
}

// each calls f for all bridges at once and waits.
func (g *Group) each(f func(*Bridge)) {
	var w sync.WaitGroup
	for _, b := range g.all() {
		w.Go(func() { f(b) })
	}
	w.Wait()
}

// Refresh implements nodes.Source.
func (g *Group) Refresh(ctx context.Context) { g.each(func(b *Bridge) { b.Refresh(ctx) }) }

// Wait implements nodes.Source.
func (g *Group) Wait(ctx context.Context) { g.each(func(b *Bridge) { b.Wait(ctx) }) }

// Pending implements nodes.Source.
func (g *Group) Pending() string {
	for _, b := range g.all() {
		if text := b.pending(); text != "" {
			return text
		}
	}
	return ""
}

// Instead implements nodes.Elsewhere: the class in the process that has one of the values.
func (g *Group) Instead(name string, values *pyjson.Object) (*nodes.Class, bool) {
	bridges := g.all()
	for _, v := range values.All() {
		h := firstHandle(v)
		if h == nil {
			continue
		}
		for _, b := range bridges {
			if b.Current() == h.session {
				return b.Instead(name)
			}
		}
	}
	for _, b := range bridges {
		if c, ok := b.Instead(name); ok {
			return c, true
		}
	}
	return nil, false
}

// firstHandle finds a value that exists in Python only, else any value of Python, in lists too.
func firstHandle(v any) *Handle {
	var found *Handle
	switch v := v.(type) {
	case *Handle:
		return v
	case []any:
		for _, e := range v {
			h := firstHandle(e)
			if h != nil && h.Kind == kindObject {
				return h
			}
			if found == nil {
				found = h
			}
		}
	}
	return found
}

// Free releases the models that Python holds, within a bound in time.
func (g *Group) Free(ctx context.Context) { g.each(func(b *Bridge) { b.Free(ctx) }) }

// Sessions are the lives of now of the processes that run.
func (g *Group) Sessions() []*pyhost.Session {
	var out []*pyhost.Session
	for _, b := range g.all() {
		if s := b.Current(); s != nil {
			out = append(out, s)
		}
	}
	return out
}

// Prompt lets the prompt handlers of packs look at a request for a job and change it. A handler that fails, or does not end in time, changes
// nothing.
func (g *Group) Prompt(ctx context.Context, request *pyjson.Object) *pyjson.Object {
	for _, b := range g.all() {
		request = b.prompt(ctx, request)
	}
	return request
}
