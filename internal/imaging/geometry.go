package imaging

import (
	"fmt"

	"comfygo/engine/tensor"
)

// RotateClockwise turns t by quarter turns (0 to 3) in the plane of axis h and the axis after it, which count from 0.
// It returns t itself for no turn.
func RotateClockwise(t *tensor.Tensor, h, quarters int) (*tensor.Tensor, error) {
	if h < 0 || h+1 >= len(t.Shape) {
		return nil, fmt.Errorf("rotating: the shape %v has no axes %d and %d", t.Shape, h, h+1)
	}
	if quarters == 0 {
		return t, nil
	}
	rows, cols := t.Shape[h], t.Shape[h+1]
	shape := append([]int(nil), t.Shape...)
	if quarters%2 == 1 {
		shape[h], shape[h+1] = cols, rows
	}
	switch quarters {
	case 1:
		return gather(t, h, shape, (rows-1)*cols, 1, -cols), nil
	case 2:
		return gather(t, h, shape, rows*cols-1, -cols, -1), nil
	}
	return gather(t, h, shape, cols-1, -1, cols), nil
}

// gather fills a tensor of the given shape in the plane of axes h and h+1: position (y, x) comes from place start + y*stepY + x*stepX of
// the plane of t. It goes tile by tile, so that lines of the source that lie far apart stay in the cache until all of them is taken.
func gather(t *tensor.Tensor, h int, shape []int, start, stepY, stepX int) *tensor.Tensor {
	const tile = 16
	out := tensor.New(shape...)
	inner := tensor.Count(shape[h+2:])
	rows, cols := shape[h], shape[h+1]
	parallel(tensor.Count(shape[:h])*rows, cols*inner*2, func(from, to int) {
		for top := from; top < to; {
			n := top / rows
			bottom := min(top+tile, to, (n+1)*rows)
			plane := t.Data[n*rows*cols*inner:][:rows*cols*inner]
			for left := 0; left < cols; left += tile {
				width := min(tile, cols-left)
				for r := top; r < bottom; r++ {
					first := start + (r-n*rows)*stepY + left*stepX
					takeEvery(out.Data[(r*cols+left)*inner:][:width*inner], plane, first*inner, stepX*inner, inner)
				}
			}
			top = bottom
		}
	})
	return out
}

// takeEvery fills to with runs of from that begin at first and lie step apart.
func takeEvery(to, from []float32, first, step, run int) {
	switch run {
	case 1:
		for i := range to {
			to[i] = from[first]
			first += step
		}
	case 3:
		for len(to) >= 3 {
			v := from[first:][:3]
			to[0], to[1], to[2] = v[0], v[1], v[2]
			to, first = to[3:], first+step
		}
	default:
		for ; len(to) > 0; to = to[run:] {
			copy(to[:run], from[first:])
			first += step
		}
	}
}

// Flip mirrors t along an axis, which counts from 0.
func Flip(t *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	if axis < 0 || axis >= len(t.Shape) {
		return nil, fmt.Errorf("flipping: the shape %v has no axis %d", t.Shape, axis)
	}
	out := tensor.New(t.Shape...)
	n, inner := t.Shape[axis], tensor.Count(t.Shape[axis+1:])
	for o := range tensor.Count(t.Shape[:axis]) {
		for i := range n {
			copy(out.Data[(o*n+i)*inner:][:inner], t.Data[(o*n+n-1-i)*inner:][:inner])
		}
	}
	return out, nil
}

// Crop cuts the box [y0,y1) x [x0,x1) out of the plane of axis h and the axis after it. The box must lie inside.
func Crop(t *tensor.Tensor, h, y0, y1, x0, x1 int) (*tensor.Tensor, error) {
	if h < 0 || h+1 >= len(t.Shape) || y0 < 0 || x0 < 0 || y1 > t.Shape[h] || x1 > t.Shape[h+1] || y0 >= y1 || x0 >= x1 {
		return nil, fmt.Errorf("cropping: nothing of the shape %v lies in rows %d to %d, columns %d to %d", t.Shape, y0, y1, x0, x1)
	}
	shape := append([]int(nil), t.Shape...)
	shape[h], shape[h+1] = y1-y0, x1-x0
	out := tensor.New(shape...)
	outer, inner := tensor.Count(shape[:h]), tensor.Count(shape[h+2:])
	line := (x1 - x0) * inner
	for n := range outer {
		for y := y0; y < y1; y++ {
			src := ((n*t.Shape[h]+y)*t.Shape[h+1] + x0) * inner
			copy(out.Data[(n*(y1-y0)+y-y0)*line:][:line], t.Data[src:src+line])
		}
	}
	return out, nil
}

// Concat joins tensors along an axis, which counts from 0; the other axes must be equal.
func Concat(axis int, parts ...*tensor.Tensor) (*tensor.Tensor, error) {
	shape := append([]int(nil), parts[0].Shape...)
	if axis < 0 || axis >= len(shape) {
		return nil, fmt.Errorf("joining: the shape %v has no axis %d", shape, axis)
	}
	shape[axis] = 0
	for _, p := range parts {
		if len(p.Shape) != len(shape) {
			return nil, fmt.Errorf("joining: the shapes %v and %v differ", parts[0].Shape, p.Shape)
		}
		for i, d := range p.Shape {
			if i != axis && d != shape[i] {
				return nil, fmt.Errorf("joining along axis %d: the shapes %v and %v differ", axis, parts[0].Shape, p.Shape)
			}
		}
		shape[axis] += p.Shape[axis]
	}
	if err := CheckSize(fmt.Sprintf("a batch of shape %v", shape), shape...); err != nil {
		return nil, err
	}
	out := tensor.New(shape...)
	inner, at := tensor.Count(shape[axis+1:]), 0
	for o := range tensor.Count(shape[:axis]) {
		for _, p := range parts {
			run := p.Shape[axis] * inner
			at += copy(out.Data[at:], p.Data[o*run:(o+1)*run])
		}
	}
	return out, nil
}

// RepeatBatch makes the first axis n long: it is repeated as often as needed and cut.
func RepeatBatch(t *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if t.Shape[0] == 0 || n < 0 {
		return nil, fmt.Errorf("repeating a batch of shape %v to %d", t.Shape, n)
	}
	if n <= t.Shape[0] {
		return t.Slice(0, n), nil
	}
	shape := append([]int{n}, t.Shape[1:]...)
	if err := CheckSize(fmt.Sprintf("a batch of %d", n), shape...); err != nil {
		return nil, err
	}
	out := tensor.New(shape...)
	for at := 0; at < len(out.Data); {
		at += copy(out.Data[at:], t.Data)
	}
	return out, nil
}
