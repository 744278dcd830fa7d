package sampling

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// Cond is one entry of a conditioning: a prompt with the area and the time range in which it acts. Pointers are nil where
// upstream's dictionary lacks the key.
type Cond struct {
	// Tokens is the text encoding [B,tokens,width]; Pooled the pooled one [B,width] or nil.
	Tokens, Pooled *tensor.Tensor
	// Area, when set, is the part of the image that the entry acts on.
	Area *Area
	// Strength is its weight among entries of the same place; nil counts as 1.
	Strength *float64
	// Mask, when set, is [B,H,W] or [H,W] in 0…1 at any size; MaskStrength multiplies it.
	Mask         *tensor.Tensor
	MaskStrength *float64
	// MaskBounds limits the area to the mask's bounding box.
	MaskBounds bool
	// StartPercent and EndPercent bound the time at which the entry acts, as shares of the way from noise to image.
	StartPercent, EndPercent *float64
	// Default makes the entry fill whatever the others leave uncovered.
	Default bool
	// Control, when set, is another network that steers the prediction: a pointer that Inputs passes to the Network. Entries
	// run in one batch only with others that have the same one.
	Control any
	// ControlForAll lends the control to entries of the other sides that have none.
	ControlForAll bool
	// Hooks change the network's weights while the entry is sampled.
	Hooks WeightHooks
	// Values holds everything else upstream keeps in the entry, for Params.Inputs.
	Values map[string]any

	// read are the keys of Values that were read, nil for an entry that is not watched.
	read map[string]bool
}

// Area is a box: Size and Offset have one value for each axis after the channels (height and width for images), in latent
// cells, or as shares of the image when Percent is set.
type Area struct {
	Size, Offset []float64
	Percent      bool
}

// region is a resolved area: a box inside a latent.
type region struct {
	size, offset []int
}

// entry is a conditioning entry prepared for one run.
type entry struct {
	cond   *Cond
	area   *region        // nil: everywhere
	mask   *tensor.Tensor // [B,axes…] in the latent's size, or nil
	start  *float32       // the entry acts at levels from start…
	end    *float32       // …down to end
	inputs []Input
	// control is the entry's own or one that was lent to it; see Cond.Control.
	control any
}

// active reports whether the entry acts at a sigma.
func (e *entry) active(sigma float32) bool {
	return (e.start == nil || sigma <= *e.start) && (e.end == nil || sigma >= *e.end)
}

// resolveAll prepares a conditioning for latents of the given shape [B,C,axes…].
func resolveAll(m *ModelSampling, conds []Cond, shape []int) ([]*entry, error) {
	out := make([]*entry, 0, len(conds))
	for i := range conds {
		e := &entry{cond: &conds[i], control: conds[i].Control}
		if err := e.resolveArea(shape[2:]); err != nil {
			return nil, fmt.Errorf("reading conditioning entry %d: %w", i, err)
		}
		if err := e.resolveMask(shape[2:]); err != nil {
			return nil, fmt.Errorf("reading conditioning entry %d: %w", i, err)
		}
		e.start = levelOf(m, conds[i].StartPercent)
		e.end = levelOf(m, conds[i].EndPercent)
		out = append(out, e)
	}
	return out, nil
}

func levelOf(m *ModelSampling, percent *float64) *float32 {
	if percent == nil {
		return nil
	}
	s := float32(m.PercentToSigma(*percent))
	return &s
}

// resolveArea turns the area into latent cells that lie inside a latent with the given axes. Axes the area does not know,
// such as time, are taken whole. Upstream: resolve_areas_and_cond_masks_multidim, add_area_dims.
func (e *entry) resolveArea(dims []int) error {
	a := e.cond.Area
	if a == nil {
		return nil
	}
	if len(a.Size) != len(a.Offset) || len(a.Size) == 0 {
		return fmt.Errorf("an area has %d sizes and %d offsets", len(a.Size), len(a.Offset))
	}
	r := &region{size: slices.Clone(dims), offset: make([]int, len(dims))}
	skip := max(len(dims)-len(a.Size), 0)
	for i := skip; i < len(dims); i++ {
		size, offset := a.Size[i-skip], a.Offset[i-skip]
		if a.Percent {
			size, offset = max(1, math.RoundToEven(size*float64(dims[i]))), math.RoundToEven(offset*float64(dims[i]))
		}
		if !(offset >= 0 && offset < float64(dims[i]) && size >= 1) {
			return fmt.Errorf("an area of size %v at %v lies outside of a latent of size %v", a.Size, a.Offset, dims)
		}
		r.offset[i] = int(offset)
		r.size[i] = int(min(size, float64(dims[i]-r.offset[i])))
	}
	e.area = r
	return nil
}

// resolveMask scales the mask to the latent and, on request, limits the area to its bounds.
func (e *entry) resolveMask(dims []int) error {
	mask := e.cond.Mask
	if mask == nil {
		return nil
	}
	if len(dims) != 2 || len(mask.Shape) < 2 || len(mask.Shape) > 4 {
		return fmt.Errorf("a mask of shape %v does not fit latents with axes %v", mask.Shape, dims)
	}
	h, w := mask.Dim(-2), mask.Dim(-1)
	planes, err := mask.Reshape(-1, 1, h, w)
	if err != nil {
		return fmt.Errorf("reading a mask: %w", err)
	}
	if h != dims[0] || w != dims[1] {
		if planes, err = imaging.Upscale(planes, dims[1], dims[0], "bilinear", "disabled"); err != nil {
			return fmt.Errorf("scaling a mask: %w", err)
		}
	}
	if e.cond.MaskBounds {
		e.area = boundsOf(planes)
	}
	e.mask, err = planes.Reshape(-1, dims[0], dims[1])
	return err
}

// boundsOf returns the box around all that is not zero in masks [B,1,H,W], at least 8 cells in each direction where there
// is room. Upstream: get_mask_aabb.
func boundsOf(masks *tensor.Tensor) *region {
	h, w := masks.Dim(2), masks.Dim(3)
	top, left, bottom, right := h, w, -1, -1
	for i, v := range masks.Data {
		if v != 0 {
			y, x := i/w%h, i%w
			top, bottom, left, right = min(top, y), max(bottom, y), min(left, x), max(right, x)
		}
	}
	if bottom < 0 {
		return &region{size: []int{min(8, h), min(8, w)}, offset: []int{0, 0}}
	}
	return &region{
		size:   []int{min(max(8, bottom-top+1), h-top), min(max(8, right-left+1), w-left)},
		offset: []int{top, left},
	}
}

// matchAreas gives each side an entry for each area of the others, so that all predictions cover the same boxes: the other
// side's area, weight and mask with the inputs of the smallest entry around it. Upstream:
// create_cond_with_same_area_if_none.
func matchAreas(sides [][]*entry) {
	for k := range sides {
		for i := 0; i < len(sides[k]); i++ {
			for other := range sides {
				if other != k {
					sides[other] = withSameArea(sides[other], sides[k][i])
				}
			}
		}
	}
}

func withSameArea(side []*entry, e *entry) []*entry {
	if e.area == nil {
		return side
	}
	var smallest *entry
	for _, s := range side {
		switch {
		case s.area == nil:
			if smallest == nil {
				smallest = s
			}
		case !e.area.inside(s.area):
		case smallest == nil || smallest.area == nil || smallest.area.cells() > s.area.cells():
			smallest = s
		}
	}
	if smallest == nil || smallest.area != nil && smallest.area.equal(e.area) {
		return side
	}
	copied := *e
	copied.inputs = smallest.inputs
	return append(side, &copied)
}

func (r *region) cells() int { return tensor.Count(r.size) }

func (r *region) equal(o *region) bool {
	return slices.Equal(r.size, o.size) && slices.Equal(r.offset, o.offset)
}

func (r *region) inside(o *region) bool {
	for i := range r.size {
		if r.offset[i] < o.offset[i] || r.size[i]+r.offset[i] > o.size[i]+o.offset[i] {
			return false
		}
	}
	return true
}
