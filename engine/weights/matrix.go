package weights

import (
	"fmt"
	"math"
	"runtime"

	"comfygo/engine/dtype"
	"comfygo/engine/quant"
)

// narrowFormats are the formats of plain elements that take one byte.
var narrowFormats = map[dtype.DType]quant.Format{dtype.F8E4M3: quant.E4M3, dtype.F8E5M2: quant.E5M2}

// Quantized reports that the entry is a stored matrix whose elements a decoder of package quant makes: one of a
// quantization scheme, or of 8-bit floats. Matrix describes it.
func (e Entry) Quantized() bool {
	_, narrow := narrowFormats[e.DType]
	return e.computed == nil && (e.Scheme != nil || narrow && len(e.Shape) > 0)
}

// Scales returns the tensor of factors that the elements of a quantized matrix are multiplied by, one or one per row, or false
// if the matrix has no such factors.
func (e Entry) Scales() (Entry, bool) {
	if e.Scheme == nil {
		return Entry{}, false
	}
	name := "weight_scale"
	switch f, _ := quant.Parse(e.Scheme.Format); {
	case f.Tiled():
		name = "weight_scale_2"
	case e.Scheme.Format == quant.GroupedName:
		name = "weight_s_channel"
	}
	c, ok := e.Scheme.Companions[name]
	return c, ok
}

// Blocks returns the tensor of block scales of a quantized matrix, uint8, or false if its format has none.
func (e Entry) Blocks() (Entry, bool) {
	if e.Scheme == nil {
		return Entry{}, false
	}
	name := "weight_scale"
	switch f, _ := quant.Parse(e.Scheme.Format); {
	case e.Scheme.Format == quant.GroupedName:
		name = "weight_s_rel"
	case !f.Tiled():
		return Entry{}, false
	}
	c, ok := e.Scheme.Companions[name]
	return c, ok
}

// Levels returns the values that the elements of a matrix in a grouped format are chosen from; nil for other matrices.
func (e Entry) Levels() ([]float32, error) {
	if e.Scheme == nil || e.Scheme.Format != quant.GroupedName {
		return nil, nil
	}
	c, ok := e.Scheme.Companions["weight_codebook"]
	if ok {
		return Float32s(c)
	}
	out := make([]float32, quant.Levels)
	for i := range out {
		out[i] = float32(i - quant.Levels/2)
	}
	return out, nil
}

// grouped returns the format of a matrix in a grouped format.
func (e Entry) grouped() (quant.Format, error) {
	size := 16.0
	if n, ok := e.Scheme.Option("group_size").(float64); ok {
		size = n
	}
	if f, ok := quant.GroupedBy(int(size)); ok && size == math.Trunc(size) {
		return f, nil
	}
	return 0, fmt.Errorf("its groups of %g elements cannot be computed with; 4, 8, 16, 32, 64 and 128 can", size)
}

// Matrix describes a quantized matrix, whose rows are those of the last axis that the file stores. Scales are not read: see
// Scales. The error states what does not fit.
func (e Entry) Matrix() (quant.Matrix, error) {
	m := quant.Matrix{Data: e.Data}
	if e.Scheme == nil {
		f, ok := narrowFormats[e.DType]
		if !ok || e.computed != nil || len(e.Shape) == 0 {
			return m, fmt.Errorf("%v is no quantized matrix", e)
		}
		m.Format, m.Cols = f, e.Shape[len(e.Shape)-1]
		m.Rows = e.Count() / max(m.Cols, 1)
		return m, nil
	}
	f, ok := quant.Parse(e.Scheme.Format)
	if e.Scheme.Format == quant.GroupedName {
		var err error
		if f, err = e.grouped(); err != nil {
			return m, err
		}
		ok = true
	}
	if !ok {
		return m, &SchemeError{File: e.File, Tensor: e.Name, Format: e.Scheme.Format}
	}
	if (f == quant.E4M3 || f == quant.E5M2) && e.Scheme.Stored != dtype.Invalid {
		// A file may state one 8-bit float and hold the other: its elements are rounded to the stated one, as upstream does.
		held, known := narrowFormats[e.Scheme.Stored]
		switch {
		case !known && e.Scheme.Stored != dtype.U8:
			return m, fmt.Errorf("its description says %s and its elements are %s", e.Scheme.Format, e.Scheme.Stored)
		case f == quant.E4M3 && held == quant.E5M2:
			f = quant.E5M2AsE4M3
		case f == quant.E5M2 && held == quant.E4M3:
			f = quant.E4M3AsE5M2
		}
	}
	m.Format, m.Cols, m.First = f, e.Scheme.Cols, e.Scheme.First
	if m.Cols < 1 || e.Count()%m.Cols != 0 {
		return m, fmt.Errorf("%d elements do not make rows of %d", e.Count(), m.Cols)
	}
	m.Rows = e.Count() / m.Cols
	return m, e.checkCompanions(&m)
}

// checkCompanions adds the block scales to m and fails when scales are missing or do not fit.
func (e Entry) checkCompanions(m *quant.Matrix) error {
	if m.Format.Tiled() {
		b, ok := e.Blocks()
		if !ok {
			return fmt.Errorf("its block scales weight_scale are missing")
		}
		if size := m.Format.TiledSize(m.First+m.Rows, m.Cols); b.Count() < size || b.DType.Size() != 1 {
			return fmt.Errorf("its block scales are %v, wanted %d bytes", b, size)
		}
		m.Blocks = b.Data
	}
	if m.Format.Grouped() {
		b, ok := e.Blocks()
		elements, _ := m.Format.Block()
		if size := (m.First + m.Rows) * (m.Cols / elements); !ok || m.Cols%elements != 0 || b.Count() < size || b.DType.Size() != 1 {
			return fmt.Errorf("its group scales weight_s_rel are %v, wanted %d bytes", b, size)
		}
		m.Blocks = b.Data
		if c, ok := e.Scheme.Companions["weight_codebook"]; ok && (c.Count() != quant.Levels || !c.DType.IsFloat()) {
			return fmt.Errorf("its weight_codebook is %v, wanted %d numbers", c, quant.Levels)
		}
	}
	s, ok := e.Scales()
	switch n := s.Count(); {
	case !ok && (m.Format == quant.Int8 || m.Format == quant.NVFP4 || m.Format == quant.Int4 || m.Format.Grouped()):
		return fmt.Errorf("its scale is missing")
	case ok && (!s.DType.IsFloat() || (n != 1 || m.Format.Grouped()) && n < m.First+m.Rows):
		return fmt.Errorf("its scales are %v, wanted one or one for each of %d rows", s, m.First+m.Rows)
	}
	return e.checkOptions(m)
}

// checkOptions fails for options of a scheme that are not known.
func (e Entry) checkOptions(m *quant.Matrix) error {
	if g, rotated := e.rotation(); rotated && (g < 4 || g > maxRotation || g != math.Trunc(g) || m.Cols%int(g) != 0 || !powerOfFour(int(g))) {
		return fmt.Errorf("its rotation in groups of %g does not fit rows of %d; groups of 4, 16, 64 and 256 that divide the rows can be computed", g, m.Cols)
	}
	if s, ok := e.Scheme.Companions["pre_quant_scale"]; ok && (s.Count() != m.Cols || !s.DType.IsFloat()) {
		return fmt.Errorf("its pre_quant_scale is %v, wanted one factor for each of %d columns", s, m.Cols)
	}
	return nil
}

// decode writes the len(dst) elements of a quantized matrix from index from on.
func (e Entry) decode(dst []float32, from int) error {
	m, err := e.Matrix()
	if err != nil {
		return err
	}
	if s, ok := e.Scales(); ok {
		if m.Scales, err = Float32s(s); err != nil {
			return err
		}
	}
	levels, err := e.Levels()
	if err != nil {
		return err
	}
	m.Scales = append(levels, m.Scales...)
	if b, ok := e.Blocks(); ok {
		if err := b.Probe(0, len(b.Data)); err != nil {
			return err
		}
	}
	if err := m.Check(); err != nil {
		return err
	}
	row := len(m.Data) / max(m.Rows, 1)
	first, last := from/m.Cols, (from+len(dst)+m.Cols-1)/m.Cols
	if err := e.Probe(first*row, last*row); err != nil {
		return err
	}
	whole := dst
	if len(dst) != (last-first)*m.Cols {
		whole = make([]float32, (last-first)*m.Cols)
	}
	if err := m.Decode(whole, first, last-first); err != nil {
		return err
	}
	runtime.KeepAlive(e.owner)
	if err := e.undo(whole, m.Cols); err != nil {
		return err
	}
	if len(whole) != len(dst) {
		copy(dst, whole[from-first*m.Cols:])
	}
	return nil
}

// undo converts whole stored rows to rows of the layer's weight: it rotates them back and applies the factors of the layer's
// input.
func (e Entry) undo(rows []float32, cols int) error {
	if g := e.Rotation(); g > 0 {
		for at := 0; at < len(rows); at += g {
			rotate(rows[at : at+g])
		}
	}
	s, ok := e.inputFactors()
	if !ok {
		return nil
	}
	factors, err := Float32s(s)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i] *= factors[i%cols]
	}
	return nil
}

func (e Entry) inputFactors() (Entry, bool) {
	if e.Scheme == nil {
		return Entry{}, false
	}
	s, ok := e.Scheme.Companions["pre_quant_scale"]
	return s, ok
}

// InputFactors returns the factors [cols] that the input of a quantized layer is multiplied by; false for none.
func (e Entry) InputFactors() (Entry, bool) { return e.inputFactors() }

// maxRotation is the largest supported rotation group, the one of all known files: a description may state any number.
const maxRotation = 256

// Rotation returns the size of the groups of columns in which the rows of a quantized matrix, and the input of its layer,
// are rotated (ConvRot); 0 for none. RotationMatrix is the matrix.
func (e Entry) Rotation() int {
	g, rotated := e.rotation()
	if !rotated {
		return 0
	}
	return int(g)
}

// rotation is Rotation as the file states it, and whether the matrix is rotated.
func (e Entry) rotation() (group float64, rotated bool) {
	if e.Scheme == nil {
		return 0, false
	}
	if on, _ := e.Scheme.Option("convrot").(bool); !on && e.Scheme.Format != quant.Int4.String() && e.Scheme.Format != quant.GroupedName {
		return 0, false
	}
	if n, ok := e.Scheme.Option("convrot_groupsize").(float64); ok {
		return n, true
	}
	return maxRotation, true
}

func powerOfFour(n int) bool {
	for n > 1 && n%4 == 0 {
		n /= 4
	}
	return n == 1
}

// rotate multiplies v, whose length is a power of four, by the orthogonal matrix that is the Kronecker power of
// ½[[1 1 1 -1][1 1 -1 1][1 -1 1 1][-1 1 1 1]], which is its own inverse. (Source: comfy-kitchen, tensor/int8_utils.py.)
func rotate(v []float32) {
	for step := 1; step < len(v); step *= 4 {
		for at := 0; at < len(v); at += 4 * step {
			for i := at; i < at+step; i++ {
				a, b, c, d := v[i], v[i+step], v[i+2*step], v[i+3*step]
				v[i], v[i+step], v[i+2*step], v[i+3*step] = (a+b+c-d)/2, (a+b-c+d)/2, (a-b+c+d)/2, (b+c+d-a)/2
			}
		}
	}
}

// RotationMatrix returns the matrix [n,n] by which groups of n elements are rotated, row-major. It is symmetric.
func RotationMatrix(n int) []float32 {
	out := make([]float32, n*n)
	for i := range n {
		out[i*n+i] = 1
		rotate(out[i*n : (i+1)*n])
	}
	return out
}

// Reordered returns the entry with the rows of its first axis in another order: row i is row order[i] of e. The rows are
// copied to private memory in their stored form. It fails for computed entries and for block scales, which belong to rows.
func (e Entry) Reordered(order []int) (Entry, error) {
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("ordering the rows of %v of %s: %w", e, e.File, err)
	}
	_, scaled := e.Scales()
	_, tiled := e.Blocks()
	if e.computed != nil || len(e.Shape) == 0 || len(order) != e.Shape[0] || scaled || tiled {
		return Entry{}, fmt.Errorf("ordering the rows of %v of %s: it is computed, has scales or not %d rows", e, e.File, len(order))
	}
	width := len(e.Data) / max(e.Shape[0], 1)
	data := make([]byte, len(e.Data))
	if err := e.Probe(0, len(e.Data)); err != nil {
		return Entry{}, err
	}
	for i, from := range order {
		if from < 0 || from >= e.Shape[0] {
			return Entry{}, fmt.Errorf("ordering the rows of %v of %s: there is no row %d", e, e.File, from)
		}
		copy(data[i*width:(i+1)*width], e.Data[from*width:])
	}
	runtime.KeepAlive(e.owner)
	e.origin += " in another order"
	e.Data, e.Offset, e.owner = data, -1, nil
	return e, nil
}
