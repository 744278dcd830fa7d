package tensor

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// View is a tensor that reads the values of another one at strides: a crop, a rotation, a channel, a broadcast. Making one copies nothing; its
// values are laid out when they are first needed as a Tensor, once for all who need them. It may be used by several goroutines.
type View struct {
	shape []int

	mu      sync.Mutex
	source  []float32 // nil once dense is there
	first   int       // of source
	strides []int     // of source, by axis; negative or 0 where an axis runs backwards or repeats
	parts   []*View   // in place of source: one after another along the first axis
	dense   *Tensor
}

// ViewOf returns a view of all of t.
func ViewOf(t *Tensor) *View {
	if t == nil {
		return nil
	}
	return &View{shape: t.Shape, dense: t}
}

// Join returns the views one after another along the first axis. Their other axes must be equal; there must be at least one of at least one axis.
func Join(views ...*View) (*View, error) {
	j := &View{shape: append([]int(nil), views[0].shape...)}
	if len(j.shape) == 0 {
		return nil, errors.New("joining values without axes")
	}
	j.shape[0] = 0
	for _, v := range views {
		if len(v.shape) == 0 || !slices.Equal(v.shape[1:], j.shape[1:]) {
			return nil, fmt.Errorf("joining the shapes %v and %v: they differ beyond the first axis", views[0].shape, v.shape)
		}
		j.shape[0] += v.shape[0]
		j.parts = append(j.parts, v.joinedParts()...)
	}
	return j, nil
}

// joinedParts are the parts of a view that was joined and is not laid out, or v alone: what is joined again and again is copied once.
func (v *View) joinedParts() []*View {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dense == nil && v.parts != nil {
		return v.parts
	}
	return []*View{v}
}

// Shape returns the sizes of the axes, which the caller must not change.
func (v *View) Shape() []int {
	if v == nil {
		return nil
	}
	return v.shape
}

// Len returns the number of elements.
func (v *View) Len() int {
	if v == nil {
		return 0
	}
	return Count(v.shape)
}

// MemoryBytes returns the bytes that the values take, or will take once they are laid out.
func (v *View) MemoryBytes() int64 { return 4 * int64(v.Len()) }

// Dense returns the values as a tensor that must not be written to.
func (v *View) Dense() *Tensor {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dense == nil {
		v.dense = &Tensor{Shape: v.shape, Data: make([]float32, Count(v.shape))}
		v.layInto(v.dense.Data)
		v.source, v.strides, v.parts = nil, nil, nil
	}
	return v.dense
}

// layInto copies the values, which are not laid out yet.
func (v *View) layInto(out []float32) {
	if v.parts == nil {
		layOut(out, v.shape, v.source, v.first, v.strides)
		return
	}
	for _, p := range v.parts {
		p.mu.Lock()
		if p.dense != nil {
			copy(out, p.dense.Data)
		} else {
			p.layInto(out[:Count(p.shape)])
		}
		p.mu.Unlock()
		out = out[Count(p.shape):]
	}
}

// derived returns a view of what v reads, for the caller to change.
func (v *View) derived() *View {
	if v.joined() {
		v.Dense()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	d := &View{shape: append([]int(nil), v.shape...)}
	if v.dense == nil {
		d.source, d.first, d.strides = v.source, v.first, append([]int(nil), v.strides...)
		return d
	}
	d.source = v.dense.Data
	d.strides = make([]int, len(d.shape))
	for i, stride := len(d.shape)-1, 1; i >= 0; i-- {
		d.strides[i], stride = stride, stride*d.shape[i]
	}
	return d
}

func (v *View) joined() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.parts != nil
}

func (v *View) checkAxis(axis int) error {
	if axis < 0 || axis >= len(v.shape) {
		return fmt.Errorf("the shape %v has no axis %d", v.shape, axis)
	}
	return nil
}

// Narrow returns places [from,to) of an axis. They must be in range, and at least one.
func (v *View) Narrow(axis, from, to int) (*View, error) {
	if err := v.checkAxis(axis); err != nil {
		return nil, err
	}
	if from < 0 || to > v.shape[axis] || from >= to {
		return nil, fmt.Errorf("places %d to %d of axis %d lie outside of the shape %v", from, to, axis, v.shape)
	}
	if from == 0 && to == v.shape[axis] {
		return v, nil
	}
	d := v.derived()
	d.first += from * d.strides[axis]
	d.shape[axis] = to - from
	return d, nil
}

// Reverse returns v with an axis running backwards.
func (v *View) Reverse(axis int) (*View, error) {
	if err := v.checkAxis(axis); err != nil {
		return nil, err
	}
	d := v.derived()
	d.first += max(d.shape[axis]-1, 0) * d.strides[axis]
	d.strides[axis] = -d.strides[axis]
	return d, nil
}

// Swap returns v with two axes exchanged.
func (v *View) Swap(a, b int) (*View, error) {
	for _, axis := range []int{a, b} {
		if err := v.checkAxis(axis); err != nil {
			return nil, err
		}
	}
	d := v.derived()
	d.shape[a], d.shape[b] = d.shape[b], d.shape[a]
	d.strides[a], d.strides[b] = d.strides[b], d.strides[a]
	return d, nil
}

// Select returns place i of an axis, which is removed.
func (v *View) Select(axis, i int) (*View, error) {
	if err := v.checkAxis(axis); err != nil {
		return nil, err
	}
	if i < 0 || i >= v.shape[axis] {
		return nil, fmt.Errorf("place %d of axis %d lies outside of the shape %v", i, axis, v.shape)
	}
	d := v.derived()
	d.first += i * d.strides[axis]
	d.shape = append(d.shape[:axis], d.shape[axis+1:]...)
	d.strides = append(d.strides[:axis], d.strides[axis+1:]...)
	return d, nil
}

// Repeat returns v with an axis of n equal places after the others.
func (v *View) Repeat(n int) *View {
	d := v.derived()
	d.shape, d.strides = append(d.shape, n), append(d.strides, 0)
	return d
}

// layOut copies the values of a view to out.
func layOut(out []float32, shape []int, source []float32, first int, strides []int) {
	if len(out) == 0 {
		return
	}
	shape, strides = joined(shape, strides)
	for len(shape) < 3 { // outer axes of one place
		shape, strides = append([]int{1}, shape...), append([]int{0}, strides...)
	}
	planes := len(shape) - 3
	p := plane{sizes: [3]int(shape[planes:]), strides: [3]int(strides[planes:])}
	n := p.sizes[0] * p.sizes[1] * p.sizes[2]
	place := make([]int, planes)
	for at := 0; at < len(out); at += n {
		p.copy(out[at:at+n], source, first)
		for i := planes - 1; i >= 0; i-- { // as an odometer counts
			place[i]++
			first += strides[i]
			if place[i] < shape[i] {
				break
			}
			first -= shape[i] * strides[i]
			place[i] = 0
		}
	}
}

// joined drops axes of length one and merges neighbouring axes that are contiguous in the source.
func joined(shape, strides []int) (sizes, steps []int) {
	for i, n := range shape {
		if n == 1 {
			continue
		}
		last := len(sizes) - 1
		if last >= 0 && steps[last] == n*strides[i] {
			sizes[last], steps[last] = sizes[last]*n, strides[i]
			continue
		}
		sizes, steps = append(sizes, n), append(steps, strides[i])
	}
	return sizes, steps
}

// plane is the innermost three axes: rows, columns and the values of one column.
type plane struct{ sizes, strides [3]int }

// copy fills to from the source at first. Where columns lie farther apart in the source than rows it goes tile by tile, so that lines of the
// source stay in the cache until all of them is taken.
func (p plane) copy(to, from []float32, first int) {
	rows, cols, run := p.sizes[0], p.sizes[1], p.sizes[2]
	high, wide := rows, cols
	if abs(p.strides[1]) > abs(p.strides[0]) && p.strides[0] != 0 {
		high, wide = 16, 16
	}
	for top := 0; top < rows; top += high {
		for left := 0; left < cols; left += wide {
			width := min(wide, cols-left)
			for y := top; y < min(top+high, rows); y++ {
				line := to[(y*cols+left)*run:][:width*run]
				takeEvery(line, from, first+y*p.strides[0]+left*p.strides[1], p.strides[1], run, p.strides[2])
			}
		}
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// takeEvery fills to with groups of run values, stride apart in from; the groups begin at first and lie step apart.
func takeEvery(to, from []float32, first, step, run, stride int) {
	switch {
	case run == 1:
		for i := range to {
			to[i] = from[first]
			first += step
		}
	case run == 3 && stride == 1:
		for len(to) >= 3 {
			v := from[first:][:3]
			to[0], to[1], to[2] = v[0], v[1], v[2]
			to, first = to[3:], first+step
		}
	case run == 3 && stride == 0:
		for len(to) >= 3 {
			v := from[first]
			to[0], to[1], to[2] = v, v, v
			to, first = to[3:], first+step
		}
	case stride == 1:
		for ; len(to) > 0; to = to[run:] {
			copy(to[:run], from[first:])
			first += step
		}
	default:
		for ; len(to) > 0; to = to[run:] {
			for i, at := 0, first; i < run; i, at = i+1, at+stride {
				to[i] = from[at]
			}
			first += step
		}
	}
}
