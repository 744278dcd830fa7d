package patch

import (
	"fmt"
	"slices"

	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// Blend mixes a weight with that of another model: Keep times the weight and Add times the other. Upstream: add_patches
// with another model's weight.
type Blend struct {
	Other     weights.Entry
	Keep, Add float64
}

// Form implements Adapter.
func (a *Blend) Form() string { return fmt.Sprintf("blend %g with %g", a.Keep, a.Add) }

// Entries implements Adapter.
func (a *Blend) Entries() []weights.Entry { return []weights.Entry{a.Other} }

// Check implements Adapter.
func (a *Blend) Check(shape []int) error {
	if !slices.Equal(a.Other.Shape, shape) {
		return misfit(a, shape)
	}
	return nil
}

// blend returns the step that mixes the weight with another.
func (r region) blend(a *Blend) step {
	keep, add := float32(a.Keep), float32(a.Add)
	return func(w []float32) error {
		return r.spread(r.of(w), func(dst []float32, row int) error {
			vec.Scale(dst, dst, keep)
			return addEntry(dst, a.Other, row*r.cols, add)
		})
	}
}

// NewFile returns a file of patches that were not read from one: path names them in errors.
func NewFile(path string, patches []Patch) *File { return &File{path: path, patches: patches} }

// Whole returns src, the tensors of the part of a model whose keys start with prefix, with all changes of the stack
// computed, including those that Part has as branches.
func (s Stack) Whole(prefix string, src weights.Source) (weights.Source, error) {
	return computed(src, s.byName(prefix))
}
