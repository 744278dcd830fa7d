package weights

import (
	"errors"
	"fmt"
	"math/bits"

	"comfygo/engine/dtype"
)

// entry turns a tensor of the pickle into an Entry: a window on the file where the elements lie in row-major order,
// a private copy otherwise.
func (f *torchFile) entry(name string, t *torchTensor) (Entry, error) {
	e := Entry{Name: name, DType: t.dtype, TypeName: t.dtype.String(), Shape: t.shape, File: f.m.Path(), Offset: -1, origin: f.m.ID()}
	size := uint64(t.dtype.Size())
	if t.dtype == dtype.Invalid || t.s.dtype != dtype.Invalid && t.s.dtype != t.dtype {
		return e, errors.New("element type is not known")
	}
	count, err := product(t.shape)
	if err != nil {
		return e, err
	}
	if count == 0 {
		return e, nil
	}
	first, last, err := t.span()
	if err != nil {
		return e, err
	}
	if have := uint64(len(t.s.data)) / size; last >= have {
		return e, fmt.Errorf("reaches element %d of storage %q, which has %d", last, t.s.key, have)
	}
	if t.contiguous() {
		e.Data = t.s.data[first*size : (first+count)*size : (first+count)*size]
		if t.s.owner != nil {
			e.Offset, e.owner = t.s.offset+int64(first*size), t.s.owner
		}
		return e, nil
	}
	if count > 1<<62/size {
		return e, fmt.Errorf("shape %v overflows", t.shape)
	}
	if err := f.spend(count * size); err != nil {
		return e, err
	}
	e.Data = make([]byte, count*size)
	t.copyTo(e.Data, int(size))
	return e, nil
}

func product(shape []int) (uint64, error) {
	n := uint64(1)
	for _, d := range shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > 1<<62 {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		n = lo
	}
	return n, nil
}

// span returns the indexes of the first and the last element within the storage.
func (t *torchTensor) span() (first, last uint64, err error) {
	first, last = t.offset, t.offset
	for i, d := range t.shape {
		hi, lo := bits.Mul64(uint64(d-1), uint64(t.stride[i]))
		var carry uint64
		last, carry = bits.Add64(last, lo, 0)
		if hi != 0 || carry != 0 {
			return 0, 0, fmt.Errorf("strides %v overflow", t.stride)
		}
	}
	return first, last, nil
}

// contiguous reports whether the elements lie in row-major order without gaps; strides of axes of one element do not
// matter.
func (t *torchTensor) contiguous() bool {
	want := 1
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != want {
			return false
		}
		want *= t.shape[i]
	}
	return true
}

// copyTo gathers the elements in row-major order.
func (t *torchTensor) copyTo(dst []byte, size int) {
	index := make([]int, len(t.shape))
	at := int(t.offset)
	for {
		copy(dst[:size], t.s.data[at*size:])
		dst = dst[size:]
		axis := len(index) - 1
		for ; axis >= 0; axis-- {
			index[axis]++
			at += t.stride[axis]
			if index[axis] < t.shape[axis] {
				break
			}
			at -= t.stride[axis] * t.shape[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}
