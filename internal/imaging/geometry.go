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
	return gather(t, h, shape, func(y, x int) (int, int) {
		switch quarters {
		case 1:
			return rows - 1 - x, y
		case 2:
			return rows - 1 - y, cols - 1 - x
		}
		return x, cols - 1 - y
	}), nil
}

// gather fills a tensor of the given shape in the plane of axes h and h+1 from where at says.
func gather(t *tensor.Tensor, h int, shape []int, at func(y, x int) (int, int)) *tensor.Tensor {
	out := tensor.New(shape...)
	outer, inner := tensor.Count(shape[:h]), tensor.Count(shape[h+2:])
	plane, cols := shape[h]*shape[h+1], shape[h+1]
	parallel(outer*shape[h], cols*inner*2, func(from, to int) {
		for r := from; r < to; r++ {
			n, y := r/shape[h], r%shape[h]
			for x := range cols {
				sy, sx := at(y, x)
				src := (n*plane + sy*t.Shape[h+1] + sx) * inner
				copy(out.Data[(r*cols+x)*inner:][:inner], t.Data[src:src+inner])
			}
		}
	})
	return out
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
