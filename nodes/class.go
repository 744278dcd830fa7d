package nodes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
)

// Class is a registered node class: the Spec and what was read from the struct's tags.
type Class struct {
	Spec
	typ      reflect.Type // nil for a class of another process
	foreign  *Definition
	fields   *fieldSet
	dynamic  bool
	resolved []Resolved
	byName   map[string]*Input

	validates, fingerprints, lazies bool
}

// NewClass reads a node's struct. prototype is a pointer to a struct; only its type and Spec are used.
func NewClass(prototype Node) (*Class, error) {
	typ := reflect.TypeOf(prototype)
	if typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("registering node: %s is no pointer to a struct", typ)
	}
	c := &Class{typ: typ.Elem(), byName: map[string]*Input{}}
	zero := c.New()
	c.Spec = zero.Spec()
	if c.Name == "" {
		return nil, fmt.Errorf("registering node: %s has no name", typ)
	}
	for i, kind := range c.Hidden {
		c.Hidden[i] = strings.ToUpper(kind)
		if hiddenNames[c.Hidden[i]] == "" {
			return nil, fmt.Errorf("registering node %s: there is no hidden input %s", c.Name, kind)
		}
	}
	var err error
	if c.fields, err = readFields(c.typ, zero, c.V3); err != nil {
		return nil, fmt.Errorf("registering node %s: %w", c.Name, err)
	}
	_, c.validates = zero.(Validator)
	_, c.fingerprints = zero.(Fingerprinter)
	_, c.lazies = zero.(LazyInputs)
	if c.validates != (len(c.Validates) > 0) {
		return nil, fmt.Errorf("registering node %s: ValidateInputs and Spec.Validates go together", c.Name)
	}
	c.dynamic = c.fields.dynamic()
	for _, in := range c.fields.inputs {
		c.byName[in.Name] = in
	}
	if !c.dynamic {
		c.resolved = c.fields.resolve(nil, "", nil)
	}
	return c, nil
}

// New returns a new zero node of the class.
func (c *Class) New() Node {
	if c.foreign != nil {
		return c.foreign.Make()
	}
	return reflect.New(c.typ).Interface().(Node)
}

// Inputs returns the declared inputs in order, hidden ones included. The slice must not be changed.
func (c *Class) Inputs() []*Input { return c.fields.inputs }

// Input returns a declared input by name.
func (c *Class) Input(name string) (*Input, bool) {
	in, ok := c.byName[name]
	return in, ok
}

// Lookup returns the input that a key of a prompt's inputs belongs to, dynamic inputs resolved for the given values, or nil.
func (c *Class) Lookup(key string, live *pyjson.Object) *Input {
	if in, ok := c.byName[key]; ok && (in.Hidden != "" || !c.dynamic) {
		return in
	}
	if !c.dynamic {
		return nil
	}
	for _, r := range c.Resolve(live) {
		if r.Key == key {
			return r.Input
		}
	}
	return nil
}

// HasValidator reports whether the class has a ValidateInputs method.
func (c *Class) HasValidator() bool { return c.validates }

// HasFingerprint reports whether the class has a Fingerprint method.
func (c *Class) HasFingerprint() bool { return c.fingerprints }

// IsLazy reports whether the class has a CheckLazy method.
func (c *Class) IsLazy() bool { return c.lazies }

// WorksAhead reports whether the node's work may begin before its turn: output nodes are run for their effect, lazy ones have to be asked, and
// async ones look after themselves.
func (c *Class) WorksAhead() bool {
	return c.Uses != UsesUnknown && !c.OutputNode && !c.Async && !c.lazies
}

// WantsID reports whether the node's own id counts as one of its inputs, so that equal nodes do not share results. As
// upstream has it, only v1 classes with a hidden UNIQUE_ID do.
func (c *Class) WantsID() bool {
	if c.V3 {
		return false
	}
	for _, in := range c.fields.inputs {
		if in.Hidden == "UNIQUE_ID" {
			return true
		}
	}
	return false
}

// TakesHidden reports whether values of the executor count among the inputs: as upstream has it, those of v1 classes do.
func (c *Class) TakesHidden() bool {
	return !c.V3 && slices.ContainsFunc(c.fields.inputs, func(in *Input) bool { return IsHiddenKind(in.Hidden) })
}

// IsDynamic reports whether the class has v3 dynamic inputs.
func (c *Class) IsDynamic() bool { return c.dynamic }

// OutputType returns the type of an output: a string, or the list of choices.
func (c *Class) OutputType(slot int) any {
	if o := c.Outputs[slot]; o.Choices != nil {
		return o.Choices
	}
	return c.Outputs[slot].Type
}
