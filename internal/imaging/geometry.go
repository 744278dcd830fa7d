package imaging

import (
	"fmt"

	"comfygo/engine/tensor"
)

// RotateClockwise turns t by quarter turns (0 to 3) in the plane of axis h and the axis after it, which count from 0. It copies nothing.
func RotateClockwise(t *tensor.View, h, quarters int) (*tensor.View, error) {
	if h < 0 || h+1 >= len(t.Shape()) {
		return nil, fmt.Errorf("rotating: the shape %v has no axes %d and %d", t.Shape(), h, h+1)
	}
	swapped, mirrored := quarters%2 == 1, []int(nil)
	switch quarters {
	case 1:
		mirrored = []int{h + 1}
	case 2:
		mirrored = []int{h, h + 1}
	case 3:
		mirrored = []int{h}
	}
	out, err := t, error(nil)
	if swapped {
		if out, err = out.Swap(h, h+1); err != nil {
			return nil, fmt.Errorf("rotating: %w", err)
		}
	}
	for _, axis := range mirrored {
		if out, err = out.Reverse(axis); err != nil {
			return nil, fmt.Errorf("rotating: %w", err)
		}
	}
	return out, nil
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
	out, err := CropView(tensor.ViewOf(t), h, y0, y1, x0, x1)
	if err != nil {
		return nil, err
	}
	return out.Dense(), nil
}

// CropView is Crop without a copy.
func CropView(t *tensor.View, h, y0, y1, x0, x1 int) (*tensor.View, error) {
	if s := t.Shape(); h < 0 || h+1 >= len(s) || y0 < 0 || x0 < 0 || y1 > s[h] || x1 > s[h+1] || y0 >= y1 || x0 >= x1 {
		return nil, fmt.Errorf("cropping: nothing of the shape %v lies in rows %d to %d, columns %d to %d", s, y0, y1, x0, x1)
	}
	out, err := t.Narrow(h, y0, y1)
	if err != nil {
		return nil, err
	}
	return out.Narrow(h+1, x0, x1)
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
