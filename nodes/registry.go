package nodes

import (
	"fmt"
	"slices"
)

// Registry is an ordered set of node classes. It is a value to pass around: Add is for setting one up, With and Without make changed copies.
// A Registry that is being read must not be added to.
type Registry struct {
	order  []string
	byName map[string]*Class
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{byName: map[string]*Class{}} }

var standard = NewRegistry()

// Default returns the registry that Register fills; package nodes/all brings in every family.
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
	return c, ok
}

// Len returns the number of classes.
func (r *Registry) Len() int { return len(r.order) }

// Walk calls visit for each class in the order of registration until it returns false.
func (r *Registry) Walk(visit func(*Class) bool) {
	for _, name := range r.order {
		if !visit(r.byName[name]) {
			return
		}
	}
}

// Names returns the class names in order.
func (r *Registry) Names() []string { return slices.Clone(r.order) }

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
