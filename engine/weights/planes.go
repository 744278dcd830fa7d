package weights

import (
	"fmt"
	"runtime"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
)

// Plane returns plane k of the third of five axes, [O,I,h,w] of a weight [O,I,T,h,w], such as one tap of a convolution over time. It is computed
// from the entry; the elements of an entry without a scheme are copied as they are stored.
func (e Entry) Plane(name string, k int) (Entry, error) {
	s := e.Shape
	if len(s) != 5 || k < 0 || k >= s[2] {
		return Entry{}, fmt.Errorf("taking plane %d of %v of %s: wanted five axes, the third of more than %d", k, e, e.File, k)
	}
	shape := []int{s[0], s[1], s[3], s[4]}
	if e.Described() {
		e.Name, e.Shape = name, shape
		return e, nil
	}
	size, planes := s[3]*s[4], s[2]
	c := Computation{Op: fmt.Sprintf("tap %d", k), DType: e.DType, Parts: []Entry{e}, Read: func(dst []float32, from int) error {
		for len(dst) > 0 {
			group, at := from/size, from%size
			n := min(len(dst), size-at)
			if err := Range(dst[:n], e, (group*planes+k)*size+at); err != nil {
				return err
			}
			dst, from = dst[n:], from+n
		}
		return nil
	}}
	width := e.DType.Size()
	if e.computed == nil && e.Scheme == nil && width > 0 && len(e.Data) == e.Count()*width {
		c.Copy = func(dst []byte, from int) error { return e.copyPlane(dst, from*width, size*width, planes, k) }
	}
	return Compute(name, shape, c), nil
}

// copyPlane copies len(dst) bytes from byte from on of plane k of groups of planes, each of the given number of bytes.
func (e Entry) copyPlane(dst []byte, from, bytes, planes, k int) error {
	err := filemap.Guard(func() error {
		for len(dst) > 0 {
			group, at := from/bytes, from%bytes
			begin := (group*planes+k)*bytes + at
			n := copy(dst[:min(len(dst), bytes-at)], e.Data[begin:])
			dst, from = dst[n:], from+n
		}
		return nil
	})
	runtime.KeepAlive(e.owner)
	if err != nil {
		return fmt.Errorf("reading %v of %s: %w", e, e.File, err)
	}
	return nil
}

// Copies reports that Copy serves e in elements of type t: a computed entry whose elements are only moved.
func (e Entry) Copies(t dtype.DType) bool {
	return e.computed != nil && e.computed.copy != nil && e.DType == t
}

// Copy writes the elements of e from index from on to dst as stored in a file; see Copies.
func Copy(dst []byte, e Entry, from int) error {
	width := e.DType.Size()
	if !e.Copies(e.DType) || from < 0 || len(dst)%width != 0 || from+len(dst)/width > e.Count() {
		return fmt.Errorf("copying %v of %s: %d bytes from element %d on wanted", e, e.File, len(dst), from)
	}
	return e.computed.copy(dst, from)
}
