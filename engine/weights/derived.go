package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/tensor"
)

// Computation describes how the elements of an entry follow from other entries.
type Computation struct {
	// Op names the computation together with all of its parameters: with the same parts it gives the same elements.
	Op string
	// DType is the element type that holds the results exactly; Invalid means float32.
	DType dtype.DType
	// Parts are the entries that are read; there is at least one, and they may come from several files.
	Parts []Entry
	// Read computes len(dst) elements, in row-major order, from index from on. Both are within the entry. It may be called
	// from several goroutines.
	Read func(dst []float32, from int) error
	// Copy, when set, is Read for elements that are only moved: it writes them in DType, as a file stores them.
	Copy func(dst []byte, from int) error
}

type computation struct {
	key   string
	parts []Entry // stored ones
	read  func(dst []float32, from int) error
	copy  func(dst []byte, from int) error
}

// Compute returns an entry whose elements are computed while they are read, such as a weight that an adapter
// changes. It has no bytes of its own (Data is nil); File is that of the first part.
func Compute(name string, shape []int, c Computation) Entry {
	e := Entry{Name: name, DType: c.DType, Shape: shape, File: c.Parts[0].File, Offset: -1}
	if e.DType == dtype.Invalid {
		e.DType = dtype.F32
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s%s%v", c.Op, e.DType, shape)
	e.computed = &computation{read: c.Read, copy: c.Copy}
	for _, p := range c.Parts {
		fmt.Fprintf(h, "\x00%s", p.Key())
		e.computed.parts = append(e.computed.parts, p.Parts()...)
		e.variable = e.variable || p.variable
	}
	e.computed.key = hex.EncodeToString(h.Sum(nil)[:20])
	return e
}

// Computed reports that the entry's elements are computed from other entries: it has no bytes of its own.
func (e Entry) Computed() bool { return e.computed != nil }

// Described reports that no more than the entry's name, type and shape are known, as in a list of what a file would have: it has no elements to
// read. A computed entry has no bytes of its own and yet has elements.
func (e Entry) Described() bool { return e.Data == nil && !e.Computed() }

// Parts lists the stored entries that the entry's elements come from; of a stored entry it is the entry itself.
func (e Entry) Parts() []Entry {
	if e.computed != nil {
		return e.computed.parts
	}
	return []Entry{e}
}

// Key identifies the entry's elements among those of all files; the state of a file at the time of opening is part of it.
func (e Entry) Key() string {
	if e.computed != nil {
		return e.computed.key
	}
	origin := e.origin
	if origin == "" {
		origin = e.File
	}
	return fmt.Sprintf("%s|%s|%s%v", origin, e.Name, e.typeName(), e.Shape)
}

// Reshape returns the entry under another shape of the same number of elements.
func (e Entry) Reshape(shape ...int) (Entry, error) {
	if tensor.Count(shape) != e.Count() {
		return Entry{}, fmt.Errorf("reshaping %v of %s: %v has another number of elements", e, e.File, shape)
	}
	e.Shape = shape
	if e.computed != nil {
		c := *e.computed
		c.key = fmt.Sprintf("%s%v", c.key, shape)
		e.computed = &c
	}
	return e, nil
}

// Rows returns rows [from, from+n) of the first axis, such as the query part of a fused query-key-value weight. The rows
// of a stored entry are stored ones themselves.
func (e Entry) Rows(from, n int) (Entry, error) {
	if len(e.Shape) == 0 || from < 0 || n < 1 || from+n > e.Shape[0] {
		return Entry{}, fmt.Errorf("taking rows %d to %d of %v of %s: there are not so many", from, from+n, e, e.File)
	}
	if n == e.Shape[0] {
		return e, nil
	}
	size := e.Count() / e.Shape[0]
	shape := append([]int{n}, e.Shape[1:]...)
	name := fmt.Sprintf("%s[%d:%d]", e.Name, from, from+n)
	if e.computed != nil {
		whole := e
		return Compute(name, shape, Computation{Op: fmt.Sprintf("rows %d", from), DType: e.DType, Parts: []Entry{e}, Read: func(dst []float32, at int) error {
			return Range(dst, whole, from*size+at)
		}}), nil
	}
	if len(e.Data) == 0 && e.Scheme == nil { // only described: reading the rows is an error
		e.Name, e.Shape = name, shape
		return e, nil
	}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("taking rows of %v of %s: %w", e, e.File, err)
	}
	width := size * e.DType.Size()
	if e.Scheme != nil {
		scheme := *e.Scheme
		if size%scheme.Cols != 0 {
			return Entry{}, fmt.Errorf("taking rows of %v of %s: a row of %d elements is no multiple of the stored ones of %d", e, e.File, size, scheme.Cols)
		}
		width = len(e.Data) / e.Shape[0]
		scheme.First += from * (size / scheme.Cols)
		e.Scheme = &scheme
	}
	e.Name, e.Shape, e.Data = name, shape, e.Data[from*width:(from+n)*width:(from+n)*width]
	if e.Offset >= 0 {
		e.Offset += int64(from * width)
	}
	return e, nil
}

// Columns returns columns [from, from+n) of an entry whose axes after the first count as columns of its rows: [N,n].
func (e Entry) Columns(from, n int) (Entry, error) {
	rows := 0
	if len(e.Shape) > 0 {
		rows = e.Shape[0]
	}
	cols := e.Count() / max(rows, 1)
	if rows == 0 || from < 0 || n < 1 || from+n > cols {
		return Entry{}, fmt.Errorf("taking columns %d to %d of %v of %s: there are not so many", from, from+n, e, e.File)
	}
	name := fmt.Sprintf("%s[:,%d:%d]", e.Name, from, from+n)
	return Compute(name, []int{rows, n}, Computation{Op: fmt.Sprintf("columns %d", from), DType: e.DType, Parts: []Entry{e}, Read: func(dst []float32, at int) error {
		return eachRow(dst, at, n, func(row, col int, part []float32) error { return Range(part, e, row*cols+from+col) })
	}}), nil
}

// Transpose returns the entry [K,N] of an entry [N,K].
func (e Entry) Transpose() (Entry, error) {
	if len(e.Shape) != 2 {
		return Entry{}, fmt.Errorf("transposing %v of %s: it does not have two axes", e, e.File)
	}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("transposing %v of %s: %w", e, e.File, err)
	}
	n, k := e.Shape[0], e.Shape[1]
	return Compute(e.Name+".T", []int{k, n}, Computation{Op: "transpose", DType: e.DType, Parts: []Entry{e}, Read: func(dst []float32, from int) error {
		if len(dst) == 0 {
			return nil
		}
		// A block of rows is read at a time: each gives a short piece of many result rows.
		first, last := from/n, (from+len(dst)-1)/n
		buf := make([]float32, last-first+1)
		for row := range n {
			if err := Range(buf, e, row*k+first); err != nil {
				return err
			}
			for i, v := range buf {
				if at := (first+i)*n + row - from; at >= 0 && at < len(dst) {
					dst[at] = v
				}
			}
		}
		return nil
	}}), nil
}

// Place returns an entry of two axes [rows,cols] that holds e, whose further axes count as columns of its rows, from row
// and column on, and zeros elsewhere.
func (e Entry) Place(rows, cols, row, col int) (Entry, error) {
	if len(e.Shape) == 0 {
		return Entry{}, fmt.Errorf("placing %v of %s: it has no axes", e, e.File)
	}
	n := e.Shape[0]
	k := e.Count() / max(n, 1)
	if row < 0 || col < 0 || row+n > rows || col+k > cols {
		return Entry{}, fmt.Errorf("placing %v of %s at %d,%d of [%d %d]: it does not fit", e, e.File, row, col, rows, cols)
	}
	if rows == n && cols == k {
		return e.Reshape(rows, cols)
	}
	op := fmt.Sprintf("place %d %d", row, col)
	return Compute(e.Name, []int{rows, cols}, Computation{Op: op, DType: e.DType, Parts: []Entry{e}, Read: func(dst []float32, from int) error {
		return eachRow(dst, from, cols, func(r, c int, part []float32) error {
			clear(part)
			lo, hi := max(c, col), min(c+len(part), col+k)
			if r < row || r >= row+n || lo >= hi {
				return nil
			}
			return Range(part[lo-c:hi-c], e, (r-row)*k+lo-col)
		})
	}}), nil
}

// eachRow cuts a range of a matrix into its pieces of rows of cols columns: f gets row, first column and piece.
func eachRow(dst []float32, from, cols int, f func(row, col int, part []float32) error) error {
	for len(dst) > 0 {
		row, col := from/cols, from%cols
		n := min(cols-col, len(dst))
		if err := f(row, col, dst[:n]); err != nil {
			return err
		}
		dst, from = dst[n:], from+n
	}
	return nil
}

// Concat joins entries of two axes along axis 0 or 1.
func Concat(axis int, es ...Entry) (Entry, error) {
	if len(es) == 0 {
		return Entry{}, errors.New("joining no entries")
	}
	if len(es) == 1 {
		return es[0], nil
	}
	var names []string
	total := 0
	for _, e := range es {
		if len(e.Shape) != 2 || axis < 0 || axis > 1 || e.Shape[1-axis] != es[0].Shape[1-axis] {
			return Entry{}, fmt.Errorf("joining %v of %s to %v along axis %d: the shapes do not fit", e, e.File, es[0], axis)
		}
		names = append(names, e.Name)
		total += e.Shape[axis]
	}
	shape := []int{es[0].Shape[0], es[0].Shape[1]}
	shape[axis] = total
	read := func(dst []float32, from int) error {
		return eachRow(dst, from, shape[1], func(r, c int, part []float32) error {
			at := 0 // of the entry's first row or column
			for _, e := range es {
				switch {
				case axis == 0 && r >= at && r < at+e.Shape[0]:
					return Range(part, e, (r-at)*shape[1]+c)
				case axis == 1:
					lo, hi := max(c, at), min(c+len(part), at+e.Shape[1])
					if lo >= hi {
						break
					}
					if err := Range(part[lo-c:hi-c], e, r*e.Shape[1]+lo-at); err != nil {
						return err
					}
				}
				at += e.Shape[axis]
			}
			return nil
		})
	}
	return Compute(strings.Join(names, "+"), shape, Computation{Op: fmt.Sprintf("concat %d", axis), DType: common(es), Parts: es, Read: read}), nil
}

// common returns the element type of all entries, Invalid when they differ.
func common(es []Entry) dtype.DType {
	for _, e := range es {
		if e.DType != es[0].DType {
			return dtype.Invalid
		}
	}
	return es[0].DType
}
