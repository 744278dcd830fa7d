package ort

import (
	"math"
	"testing"

	"comfygo/engine/quant"
	"comfygo/tests/golden"
)

// TestBlockSizes checks that Go and C agree on the formats.
func TestBlockSizes(t *testing.T) {
	t.Parallel()
	for _, f := range quant.All() {
		e, b := f.Block()
		if ce, cb := blockSize(f); ce != e || cb != b {
			t.Errorf("%s: blocks of %d elements in %d bytes, in C %d in %d", f, e, b, ce, cb)
		}
		if got, ok := quant.Parse(f.String()); !ok || got != f {
			t.Errorf("%s is read as %v", f, got)
		}
	}
}

// Not parallel: the instruction set is the process's.
func TestGGUFBlocksEqualGolden(t *testing.T) {
	defer limitVectors(0)
	var doc struct {
		Types map[string]struct {
			ID       int `json:"id"`
			Elements int `json:"elements"`
			Bytes    int `json:"bytes"`
		} `json:"types"`
	}
	stored := golden.Load(t, "quant/gguf", &doc)
	if len(doc.Types) != 23 {
		t.Fatalf("%d types", len(doc.Types))
	}
	for name, d := range doc.Types {
		f, ok := quant.GGUF(d.ID)
		if e, b := f.Block(); !ok || f.String() != "GGUF "+name || e != d.Elements || b != d.Bytes {
			t.Errorf("%s is %s, blocks of %d elements in %d bytes", name, f, e, b)
			continue
		}
		raw, want := stored.Get(t, name+"/raw"), stored.Get(t, name+"/value")
		data := make([]byte, len(raw.Data))
		for i, v := range raw.Data {
			data[i] = byte(v)
		}
		m := quant.Matrix{Format: f, Rows: want.Dim(0), Cols: want.Dim(1), Data: data}
		for _, level := range []int{1, 0} {
			limitVectors(level)
			got := make([]float32, len(want.Data))
			if err := m.Decode(got, 0, m.Rows); err != nil {
				t.Fatal(err)
			}
			// gguf-py computes the same products in float32 in the same order; one rounding may differ.
			golden.Compare(t, name, got, want.Data, golden.Tolerance{RMSRel: 1e-7, MaxAbs: 1e-6 * float64(largest(want.Data))})
			part := make([]float32, m.Cols)
			if err := m.Decode(part, 1, 1); err != nil || part[m.Cols-1] != got[2*m.Cols-1] {
				t.Errorf("%s: row 1 alone ends in %v, %v, want %v", name, part[m.Cols-1], err, got[2*m.Cols-1])
			}
		}
	}
}

func largest(v []float32) float32 {
	var m float32
	for _, x := range v {
		m = max(m, float32(math.Abs(float64(x))))
	}
	return m
}

// TestBytes decodes every byte in the formats of one byte an element.
func TestBytes(t *testing.T) {
	t.Parallel()
	data := make([]byte, 512)
	for i := range data {
		data[i] = byte(i)
	}
	for f, value := range map[quant.Format]func(b byte) float64{
		quant.Int8:       func(b byte) float64 { return float64(int8(b)) },
		quant.E4M3:       func(b byte) float64 { return small(b, 3, 7, false) },
		quant.E5M2:       func(b byte) float64 { return small(b, 2, 15, true) },
		quant.E5M2AsE4M3: func(b byte) float64 { return nearest(small(b, 2, 15, true), 3, -6, 448) },
		quant.E4M3AsE5M2: func(b byte) float64 { return nearest(small(b, 3, 7, false), 2, -14, 57344) },
	} {
		m := quant.Matrix{Format: f, Rows: 2, Cols: 256, Data: data, First: 1, Scales: []float32{9, 1, -3}}
		got := make([]float32, 512)
		if err := m.Decode(got, 0, 2); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if want := float32(value(byte(i))) * m.Scales[1+i/256]; !same(v, want) {
				t.Fatalf("%s: byte %d in row %d is %v, want %v", f, i%256, i/256, v, want)
			}
		}
	}
}

// nearest rounds a number to a type with the given explicit mantissa bits and smallest normal exponent, as torch does: larger numbers
// become the largest value.
func nearest(v float64, mantissa, least int, largest float64) float64 {
	if v == 0 || math.IsNaN(v) {
		return v
	}
	step := math.Ldexp(1, max(math.Ilogb(v), least)-mantissa)
	if math.IsInf(v, 0) {
		step = 1
	}
	return math.Copysign(min(math.Abs(math.RoundToEven(v/step)*step), largest), v)
}

// small is the value of an 8-bit float, from its definition; ieee has infinities.
func small(b byte, mantissa, bias int, ieee bool) float64 {
	man, exp := float64(int(b)&(1<<mantissa-1)), int(b&0x7f)>>mantissa
	v := math.Ldexp(1+math.Ldexp(man, -mantissa), exp-bias)
	switch last := 1<<(7-mantissa) - 1; {
	case exp == 0:
		v = math.Ldexp(man, 1-bias-mantissa)
	case ieee && exp == last && man == 0:
		v = math.Inf(1)
	case exp == last && (ieee || int(man) == 1<<mantissa-1):
		v = math.NaN()
	}
	return math.Copysign(v, 1-float64(b>>7)*2)
}

// TestTiledScales decodes rows with block scales in several tiles.
func TestTiledScales(t *testing.T) {
	t.Parallel()
	const rows, blocks = 200, 6
	place := func(r, b int) int { return (r/128*2+b/4)*512 + r%32*16 + r%128/32*4 + b%4 }
	for f, one := range map[quant.Format]byte{quant.MXFP8: 0x38, quant.NVFP4: 0x22} { // both are elements of one
		elements, size := f.Block()
		m := quant.Matrix{Format: f, Rows: rows - 7, Cols: blocks * elements, First: 7, Blocks: make([]byte, f.TiledSize(rows, blocks*elements)), Scales: []float32{0.5}}
		m.Data = make([]byte, m.Rows*blocks*size)
		for i := range m.Data {
			m.Data[i] = one
		}
		for r := range rows {
			for b := range blocks {
				m.Blocks[place(r, b)] = byte(0x30 + (r+b)%16)
			}
		}
		got := make([]float32, m.Rows*m.Cols)
		if err := m.Decode(got, 0, m.Rows); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			code := byte(0x30 + (i/m.Cols+7+i%m.Cols/elements)%16)
			want := float32(math.Ldexp(1, int(code)-127))
			if f == quant.NVFP4 {
				want = float32(small(code, 3, 7, false)) * 0.5
			}
			if v != want {
				t.Fatalf("%s: element %d of row %d is %v, want %v", f, i%m.Cols, i/m.Cols, v, want)
			}
		}
	}
}

func TestMatrixRefusals(t *testing.T) {
	t.Parallel()
	ok := quant.Matrix{Format: quant.E4M3, Rows: 1, Cols: 4, Data: make([]byte, 4)}
	for name, change := range map[string]func(*quant.Matrix){
		"unknown format": func(m *quant.Matrix) { m.Format = 1 },
		"short data":     func(m *quant.Matrix) { m.Data = m.Data[:3] },
		"broken blocks":  func(m *quant.Matrix) { m.Format = quant.MXFP8 },
		"few scales":     func(m *quant.Matrix) { m.Scales, m.Rows, m.Data = make([]float32, 2), 3, make([]byte, 12) },
		"no tiles":       func(m *quant.Matrix) { m.Format, m.Cols, m.Data = quant.MXFP8, 32, make([]byte, 32) },
	} {
		m := ok
		change(&m)
		if err := m.Decode(make([]float32, m.Rows*m.Cols), 0, m.Rows); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := ok.Decode(make([]float32, 4), 1, 1); err == nil {
		t.Error("a row that is not there: no error")
	}
}
