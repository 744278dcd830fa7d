// Package quant knows the formats of quantized matrices: their names, the blocks that they consist of, and the scales that
// belong to them. Their elements are decoded by what Use was given: the C code of engine/ort, which uses vector
// instructions. It knows nothing of files, graphs or models.
package quant

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Format is a way to store elements. Those below 100 are GGUF's block types by ggml's numbers.
type Format int

// The formats of safetensors files.
const (
	// E4M3, E5M2 and Int8 hold one element a byte.
	E4M3 Format = 100 + iota
	E5M2
	Int8
	// MXFP8 holds E4M3 elements with a power-of-two scale (E8M0) for each 32 of them.
	MXFP8
	// NVFP4 holds E2M1 elements, two per byte, with an E4M3 scale for each 16 of them.
	NVFP4
	// Int4 holds signed integers, two a byte, the first in the lower half.
	Int4
	// E5M2AsE4M3 and E4M3AsE5M2 hold one element per byte in the first type; its value is rounded and clamped to the second.
	E5M2AsE4M3
	E4M3AsE5M2
)

// Grouped begins the formats of four bits an element with an E4M3 for each group of 4, 8, … 128 elements: the four bits, the first
// element's in the lower half of a byte, choose one of 16 values, which times the E4M3 is rounded to a whole number of ±127.
const Grouped Format = 110

// Levels is the number of values of the elements of a grouped format. They are stored before the scales.
const Levels = 16

// GroupedName is the name of grouped formats in files. GroupedBy distinguishes them by the group size.
const GroupedName = "asym_w4a8_int8"

// GroupedBy returns the grouped format of groups of n elements; false for a size that no format has.
func GroupedBy(n int) (Format, bool) {
	for f := Grouped; formats[f].elements != 0; f++ {
		if formats[f].elements == n {
			return f, true
		}
	}
	return 0, false
}

// Grouped reports that the format is a grouped one.
func (f Format) Grouped() bool { return f >= Grouped }

// format holds the properties of a format.
type format struct {
	// name is the format's name as files spell it.
	name            string
	elements, bytes int
}

// formats lists all formats. The C code that decodes them has the same list.
var formats = map[Format]format{
	E4M3: {"float8_e4m3fn", 1, 1}, E5M2: {"float8_e5m2", 1, 1}, Int8: {"int8_tensorwise", 1, 1}, MXFP8: {"mxfp8", 32, 32}, NVFP4: {"nvfp4", 16, 8}, Int4: {"convrot_w4a4", 2, 1},
	E5M2AsE4M3: {"float8_e5m2 as float8_e4m3fn", 1, 1}, E4M3AsE5M2: {"float8_e4m3fn as float8_e5m2", 1, 1},
	Grouped: {GroupedName + "/4", 4, 2}, Grouped + 1: {GroupedName + "/8", 8, 4}, Grouped + 2: {GroupedName + "/16", 16, 8},
	Grouped + 3: {GroupedName + "/32", 32, 16}, Grouped + 4: {GroupedName + "/64", 64, 32}, Grouped + 5: {GroupedName + "/128", 128, 64},
	2: {"GGUF Q4_0", 32, 18}, 3: {"GGUF Q4_1", 32, 20}, 6: {"GGUF Q5_0", 32, 22}, 7: {"GGUF Q5_1", 32, 24}, 8: {"GGUF Q8_0", 32, 34},
	10: {"GGUF Q2_K", 256, 84}, 11: {"GGUF Q3_K", 256, 110}, 12: {"GGUF Q4_K", 256, 144}, 13: {"GGUF Q5_K", 256, 176}, 14: {"GGUF Q6_K", 256, 210},
	16: {"GGUF IQ2_XXS", 256, 66}, 17: {"GGUF IQ2_XS", 256, 74}, 18: {"GGUF IQ3_XXS", 256, 98}, 19: {"GGUF IQ1_S", 256, 50},
	20: {"GGUF IQ4_NL", 32, 18}, 21: {"GGUF IQ3_S", 256, 110}, 22: {"GGUF IQ2_S", 256, 82}, 23: {"GGUF IQ4_XS", 256, 136},
	29: {"GGUF IQ1_M", 256, 56}, 34: {"GGUF TQ1_0", 256, 54}, 35: {"GGUF TQ2_0", 256, 66}, 39: {"GGUF MXFP4", 32, 17}, 40: {"GGUF NVFP4", 64, 36},
}

var byName = func() map[string]Format {
	m := make(map[string]Format, len(formats))
	for f, d := range formats {
		m[d.name] = f
	}
	return m
}()

// Parse returns the format of a name as files spell it, such as "float8_e4m3fn", or "GGUF Q4_K" for a type of GGUF.
func Parse(name string) (Format, bool) {
	f, ok := byName[name]
	return f, ok
}

// GGUF returns the format of a block type of GGUF by ggml's number.
func GGUF(number int) (Format, bool) {
	f := Format(number)
	_, ok := formats[f]
	return f, ok && f < E4M3
}

// All lists the formats.
func All() []Format {
	out := make([]Format, 0, len(formats))
	for f := range formats {
		out = append(out, f)
	}
	return out
}

// String returns the name.
func (f Format) String() string { return formats[f].name }

// Block returns the numbers of elements and bytes of a block; 0 for an unknown format.
func (f Format) Block() (elements, bytes int) { return formats[f].elements, formats[f].bytes }

// Tiled reports that the format has block scales stored in tiles of 128 rows and 4 blocks.
func (f Format) Tiled() bool { return f == MXFP8 || f == NVFP4 }

// TiledSize returns the number of block scales of a matrix, with those that fill the last tiles.
func (f Format) TiledSize(rows, cols int) int {
	elements, _ := f.Block()
	return (rows + 127) / 128 * 128 * ((cols/elements + 3) / 4 * 4)
}

// Matrix is a quantized matrix [Rows,Cols].
type Matrix struct {
	Format     Format
	Rows, Cols int
	// Data holds the rows' blocks.
	Data []byte
	// Blocks holds the block scales of a tiled or grouped format, those of the matrix of which Data are the rows from First on.
	Blocks []byte
	First  int
	// Scales, when set, is one factor for all elements, or one for each row of the whole matrix. Those of a grouped format are its
	// levels, alone or followed by a factor for each row.
	Scales []float32
}

// Check fails for a matrix with inconsistent parts.
func (m Matrix) Check() error {
	elements, size := m.Format.Block()
	switch {
	case elements == 0:
		return fmt.Errorf("the format %d is not known", int(m.Format))
	case m.Rows < 0 || m.First < 0 || m.Cols < 0 || m.Cols%elements != 0:
		return fmt.Errorf("rows of %d elements do not consist of blocks of %d, as %s has them", m.Cols, elements, m.Format)
	case len(m.Data) != m.Rows*(m.Cols/elements)*size:
		return fmt.Errorf("%d bytes, wanted %d for %d rows of %d elements in %s", len(m.Data), m.Rows*(m.Cols/elements)*size, m.Rows, m.Cols, m.Format)
	case m.Format.Tiled() && len(m.Blocks) < m.Format.TiledSize(m.First+m.Rows, m.Cols):
		return fmt.Errorf("%d block scales, wanted %d for %d rows of %d elements in %s", len(m.Blocks), m.Format.TiledSize(m.First+m.Rows, m.Cols), m.First+m.Rows, m.Cols, m.Format)
	case m.Format.Grouped() && len(m.Blocks) < (m.First+m.Rows)*(m.Cols/elements):
		return fmt.Errorf("%d group scales, wanted %d for %d rows of %d elements in %s", len(m.Blocks), (m.First+m.Rows)*(m.Cols/elements), m.First+m.Rows, m.Cols, m.Format)
	case m.Format.Grouped() && len(m.Scales) != 0 && len(m.Scales) != Levels && len(m.Scales) < Levels+m.First+m.Rows:
		return fmt.Errorf("%d levels and scales for %d rows", len(m.Scales), m.First+m.Rows)
	case len(m.Scales) > 1 && len(m.Scales) < m.First+m.Rows && !m.Format.Grouped():
		return fmt.Errorf("%d scales for %d rows", len(m.Scales), m.First+m.Rows)
	}
	return nil
}

// Decoder writes rows from to from+n-1 of a checked matrix to dst, float32 [n,Cols].
type Decoder func(m Matrix, from, n int, dst []float32)

var decoder atomic.Pointer[Decoder]

// Use sets the decoder of the process. A program has one as soon as it links engine/ort.
func Use(d Decoder) { decoder.Store(&d) }

// Decode writes rows from to from+n-1 of m to dst, float32 [n,Cols]. Reading a mapped file that was truncated ends the
// process: the caller has to check the bytes first.
func (m Matrix) Decode(dst []float32, from, n int) error {
	if err := m.Check(); err != nil {
		return err
	}
	if from < 0 || n < 0 || from+n > m.Rows || len(dst) != n*m.Cols {
		return fmt.Errorf("decoding rows %d to %d of %d to %d values", from, from+n, m.Rows, len(dst))
	}
	if m.Format.Grouped() && len(m.Scales) == 0 {
		return fmt.Errorf("decoding %s: the levels are missing", m.Format)
	}
	d := decoder.Load()
	if d == nil {
		return errors.New("decoding a quantized matrix: the program links no decoder (comfygo/engine/ort)")
	}
	if n > 0 && m.Cols > 0 {
		(*d)(m, from, n, dst)
	}
	return nil
}
