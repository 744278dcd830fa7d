package patch

import (
	"fmt"
	"slices"

	"comfygo/engine/tensor"
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

// blend returns the weight mixed with another.
func (r region) blend(a *Blend) weights.Entry {
	cols, keep := columns(a.Other.Shape), float32(a.Keep)
	return r.compute(a.Form(), a.Entries(), func(dst []float32, row, col int) error {
		other := make([]float32, len(dst))
		if err := weights.Range(other, a.Other, row*cols+col); err != nil {
			return err
		}
		for i := range dst {
			dst[i] *= keep
		}
		vec.AddScaled(dst, other, float32(a.Add))
		return nil
	})
}

// NewFile returns a file of patches that were not read from one: path names them in errors.
func NewFile(path string, patches []Patch) *File { return &File{path: path, patches: patches} }

// Whole returns src, the tensors of the part of a model whose keys start with prefix, with all changes of the stack
// computed, those among them that Part has as branches.
func (s Stack) Whole(prefix string, src weights.Source) (weights.Source, error) {
	return computed(src, s.byName(prefix))
}

// columns is the number of elements in a row of a weight.
func columns(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return tensor.Count(shape[1:])
}
