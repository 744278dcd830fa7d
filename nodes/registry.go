package nodes

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
)

// Registry is an ordered set of node classes. It is a value to pass around: Add is for setting one up, With and Without make changed copies.
// A Registry that is being read must not be added to.
type Registry struct {
	order  []string
	byName map[string]*Class
	// foreign are the classes of other processes, which come and go while the registry is read; changes counts how often.
	foreign atomic.Pointer[Registry]
	changes atomic.Uint64
	source  atomic.Pointer[Source]
}

// Source supplies classes of another process.
type Source interface {
	// Refresh updates the descriptions, within a bound in time.
	Refresh(ctx context.Context)
	// Wait waits until the classes are there, within a bound in time.
	Wait(ctx context.Context)
	// Pending explains in a sentence for users why classes of the source may still be missing, or returns "" if all are there.
	Pending() string
}

// SetSource sets the source of foreign classes.
func (r *Registry) SetSource(s Source) { r.source.Store(&s) }

// Stamp updates the descriptions of foreign classes and returns a number that changes whenever one of them does.
func (r *Registry) Stamp(ctx context.Context) uint64 {
	if s := r.source.Load(); s != nil {
		(*s).Refresh(ctx)
	}
	return r.changes.Load()
}

// Wait waits until the classes of other processes are there, within their source's bound in time.
func (r *Registry) Wait(ctx context.Context) {
	if s := r.source.Load(); s != nil {
		(*s).Wait(ctx)
	}
}

// Pending explains why classes of other processes may still be missing, or returns "" if all are there.
func (r *Registry) Pending() string {
	if s := r.source.Load(); s != nil {
		return (*s).Pending()
	}
	return ""
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{byName: map[string]*Class{}} }

var standard = NewRegistry()

// Default returns the registry that Register fills; package nodes/all links every family.
func Default() *Registry { return standard }

// Register adds a class to the default registry, from an init function. A class that contradicts itself
// is a mistake in the source and panics with the reason.
func Register(prototypes ...Node) {
	for _, p := range prototypes {
		if err := standard.Add(p); err != nil {
			panic(err)
		}
	}
}

// Add puts a class at the end. It fails when the name is taken or the struct contradicts itself.
func (r *Registry) Add(prototype Node) error {
	c, err := NewClass(prototype)
	if err != nil {
		return err
	}
	if _, taken := r.byName[c.Name]; taken {
		return fmt.Errorf("registering node %s: the name is taken", c.Name)
	}
	r.byName[c.Name] = c
	r.order = append(r.order, c.Name)
	return nil
}

// Get returns a class by name.
func (r *Registry) Get(name string) (*Class, bool) {
	c, ok := r.byName[name]
	if f := r.foreign.Load(); !ok && f != nil {
		c, ok = f.byName[name]
	}
	return c, ok
}

// SetForeign puts classes of other processes behind the registry's own, in place of those set before. A class of the
// registry's own with the same name is the one that is found. It may be called while the registry is read; copies made before do not see it.
func (r *Registry) SetForeign(classes []*Class) {
	f := NewRegistry()
	for _, c := range classes {
		if r.byName[c.Name] == nil && f.byName[c.Name] == nil {
			f.byName[c.Name] = c
			f.order = append(f.order, c.Name)
		}
	}
	r.foreign.Store(f)
	r.changes.Add(1)
}

// Len returns the number of classes.
func (r *Registry) Len() int {
	n := len(r.order)
	if f := r.foreign.Load(); f != nil {
		n += len(f.order)
	}
	return n
}

// Walk calls visit for each class in the order of registration until it returns false.
func (r *Registry) Walk(visit func(*Class) bool) {
	for _, name := range r.order {
		if !visit(r.byName[name]) {
			return
		}
	}
	if f := r.foreign.Load(); f != nil {
		f.Walk(visit)
	}
}

// Names returns the class names in order.
func (r *Registry) Names() []string {
	names := slices.Clone(r.order)
	if f := r.foreign.Load(); f != nil {
		names = append(names, f.order...)
	}
	return names
}

// With returns a copy that has these classes too; classes of the same name are replaced.
func (r *Registry) With(prototypes ...Node) (*Registry, error) {
	n := r.Without()
	for _, p := range prototypes {
		c, err := NewClass(p)
		if err != nil {
			return nil, err
		}
		if _, there := n.byName[c.Name]; !there {
			n.order = append(n.order, c.Name)
		}
		n.byName[c.Name] = c
	}
	return n, nil
}

// Without returns a copy that lacks the named classes.
func (r *Registry) Without(names ...string) *Registry {
	n := NewRegistry()
	for _, name := range r.order {
		if !slices.Contains(names, name) {
			n.order = append(n.order, name)
			n.byName[name] = r.byName[name]
		}
	}
	return n
}

// Arranged returns a copy with the named classes first, in the order of the names; the others follow in their own.
func (r *Registry) Arranged(names []string) *Registry {
	n := NewRegistry()
	for _, name := range slices.Concat(names, r.order) {
		if c, there := r.byName[name]; there && n.byName[name] == nil {
			n.order = append(n.order, name)
			n.byName[name] = c
		}
	}
	return n
}
