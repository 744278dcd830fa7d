package weights_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// half is a slow, obviously right reading of IEEE half precision.
func half(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, man := int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(man/1024, -14)
	case 31:
		if man != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1+man/1024, exp-15)
}

func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func TestHalfEveryValue(t *testing.T) {
	t.Parallel()
	for i := range 1 << 16 {
		h := uint16(i)
		want := half(h)
		if got := float64(weights.F16ToF32(h)); !same(got, want) {
			t.Fatalf("half %#04x is %g, want %g", h, got, want)
		}
		if math.IsNaN(want) {
			continue
		}
		if back := weights.F32ToF16(float32(want)); back != h {
			t.Fatalf("half %#04x came back as %#04x from float32", h, back)
		}
		if back := weights.F64ToF16(want); back != h {
			t.Fatalf("half %#04x came back as %#04x from float64", h, back)
		}
	}
}

// TestHalfBulk converts every half in one call, in an order that mixes special values among the others, and compares
// with the scalar form.
func TestHalfBulk(t *testing.T) {
	t.Parallel()
	const n = 1<<16 + 3
	b := make([]byte, 0, 2*n)
	for i := range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(i*40503))
	}
	for from := range 4 { // all alignments within a group of four
		got := make([]float32, n-from)
		if err := weights.ToFloat32(got, entry(dtype.F16, b[2*from:], n-from)); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			h := uint16((i + from) * 40503)
			if want := weights.F16ToF32(h); math.Float32bits(v) != math.Float32bits(want) {
				t.Fatalf("half %#04x is %#08x, want %#08x", h, math.Float32bits(v), math.Float32bits(want))
			}
		}
	}
}

// TestHalfRounding walks the midpoints of neighbouring halves: exactly there the even one wins, a hair beside it the
// nearer one.
func TestHalfRounding(t *testing.T) {
	t.Parallel()
	for i := range 0x7c00 {
		lo, hi := uint16(i), uint16(i+1)
		a, b := half(lo), half(hi)
		if hi == 0x7c00 {
			b = 65536 // where the next half would be
		}
		mid, even := (a+b)/2, lo
		if lo&1 == 1 {
			even = hi
		}
		for _, c := range []struct {
			v    float64
			want uint16
		}{{mid, even}, {math.Nextafter(mid, 0), lo}, {math.Nextafter(mid, 1e9), hi}} {
			if got := weights.F64ToF16(c.v); got != c.want {
				t.Fatalf("float64 %.20g became half %#04x, want %#04x", c.v, got, c.want)
			}
			if got := weights.F64ToF16(-c.v); got != c.want|0x8000 {
				t.Fatalf("float64 %.20g became half %#04x, want %#04x", -c.v, got, c.want|0x8000)
			}
		}
		m := float32(mid) // exact
		for _, c := range []struct {
			v    float32
			want uint16
		}{{m, even}, {math.Nextafter32(m, 0), lo}, {math.Nextafter32(m, 1e9), hi}, {-m, even | 0x8000}} {
			if got := weights.F32ToF16(c.v); got != c.want {
				t.Fatalf("float32 %.12g became half %#04x, want %#04x", c.v, got, c.want)
			}
		}
	}
	for _, v := range []float64{math.Inf(1), 1e300, 65520} {
		if got := weights.F64ToF16(v); got != 0x7c00 {
			t.Errorf("%g became half %#04x", v, got)
		}
	}
	if got := half(weights.F32ToF16(float32(math.NaN()))); !math.IsNaN(got) {
		t.Errorf("NaN became half %g", got)
	}
	if got := half(weights.F64ToF16(math.NaN())); !math.IsNaN(got) {
		t.Errorf("NaN became half %g", got)
	}
}

func TestBFloat16(t *testing.T) {
	t.Parallel()
	for i := range 1 << 16 {
		h := uint16(i)
		v := weights.BF16ToF32(h)
		if math.IsNaN(float64(v)) {
			if !math.IsNaN(float64(weights.BF16ToF32(weights.F32ToBF16(v)))) {
				t.Fatalf("NaN %#04x did not stay NaN", h)
			}
			continue
		}
		if back := weights.F32ToBF16(v); back != h {
			t.Fatalf("bfloat16 %#04x came back as %#04x", h, back)
		}
	}
	for _, c := range []struct {
		bits uint32
		want uint16
	}{{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, {0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0x00008000, 0}, {0x00018000, 2}} {
		if got := weights.F32ToBF16(math.Float32frombits(c.bits)); got != c.want {
			t.Errorf("%#08x became %#04x, want %#04x", c.bits, got, c.want)
		}
	}
}

func entry(d dtype.DType, data []byte, shape ...int) weights.Entry {
	return weights.Entry{Name: "x", DType: d, Shape: shape, Data: data, File: "test"}
}

func TestToFloat32Types(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	nan := float32(math.NaN())
	for _, c := range []struct {
		d    dtype.DType
		data []byte
		want []float32
	}{
		{dtype.F64, le.AppendUint64(nil, math.Float64bits(1+0x1p-24+0x1p-50)), []float32{1 + 0x1p-23}},
		{dtype.F32, le.AppendUint32(nil, math.Float32bits(-2.5)), []float32{-2.5}},
		{dtype.F16, []byte{0, 0x3c, 0, 0xfc, 1, 0, 0, 0x80, 0xff, 0x7b}, []float32{1, float32(math.Inf(-1)), 0x1p-24, float32(math.Copysign(0, -1)), 65504}},
		{dtype.BF16, []byte{0x80, 0x3f, 0xc0, 0x7f}, []float32{1, nan}},
		{dtype.F8E4M3, []byte{0x00, 0x01, 0x08, 0x38, 0x7e, 0x7f, 0xb8, 0xff, 0x80}, []float32{0, 0x1p-9, 0x1p-6, 1, 448, nan, -1, nan, float32(math.Copysign(0, -1))}},
		{dtype.F8E5M2, []byte{0x01, 0x3c, 0x7b, 0x7c, 0x7e, 0xbc}, []float32{0x1p-16, 1, 57344, float32(math.Inf(1)), nan, -1}},
		{dtype.I64, le.AppendUint64(nil, uint64(1<<24+1)), []float32{1 << 24}},
		{dtype.I32, le.AppendUint32(nil, math.MaxUint32), []float32{-1}},
		{dtype.I16, []byte{0xfe, 0xff, 0, 0x80}, []float32{-2, -32768}},
		{dtype.I8, []byte{0x80, 0x7f}, []float32{-128, 127}},
		{dtype.U8, []byte{0, 255}, []float32{0, 255}},
		{dtype.Bool, []byte{0, 1, 7}, []float32{0, 1, 1}},
	} {
		t.Run(c.d.String(), func(t *testing.T) {
			t.Parallel()
			got := make([]float32, len(c.want))
			if err := weights.ToFloat32(got, entry(c.d, c.data, len(c.want))); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !same(float64(got[i]), float64(c.want[i])) {
					t.Errorf("element %d is %g, want %g", i, got[i], c.want[i])
				}
			}
		})
	}
}

func TestToFloat32Refuses(t *testing.T) {
	t.Parallel()
	e := weights.Entry{Name: "scale", TypeName: "F8_E8M0", Shape: []int{4}, Data: make([]byte, 4), File: "f.safetensors"}
	if err := weights.ToFloat32(make([]float32, 4), e); err == nil {
		t.Error("an element type that cannot be computed with was converted")
	}
	if err := weights.ToFloat32(make([]float32, 3), entry(dtype.F16, make([]byte, 4), 2)); err == nil {
		t.Error("more elements than there are were converted")
	}
	if err := weights.ToFloat32(make([]float32, 2), entry(dtype.F16, make([]byte, 2), 2)); err == nil {
		t.Error("an entry whose data does not fill its shape was converted")
	}
	if _, err := weights.Float32s(e); err == nil {
		t.Error("an element type that cannot be computed with was converted")
	}
}

func TestFloat32sParallel(t *testing.T) {
	t.Parallel()
	n := 1<<20 + 13
	b := make([]byte, 2*n)
	for i := range n {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(i%0x7c00))
	}
	got, err := weights.Float32s(entry(dtype.F16, b, n))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != weights.F16ToF32(uint16(i%0x7c00)) {
			t.Fatalf("element %d is %g", i, v)
		}
	}
}

func TestFromFloat32(t *testing.T) {
	t.Parallel()
	src := []float32{1, -0.1, 65504, 1e-7}
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		b := make([]byte, len(src)*d.Size())
		if err := weights.FromFloat32(b, src, d); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(src))
		if err := weights.ToFloat32(got, entry(d, b, len(src))); err != nil {
			t.Fatal(err)
		}
		for i := range src {
			limit := map[dtype.DType]float64{dtype.F32: 0, dtype.F16: 0x1p-11, dtype.BF16: 0x1p-8}[d]
			if e := math.Abs(float64(got[i] - src[i])); e > limit*math.Abs(float64(src[i])) && e > 0x1p-25 {
				t.Errorf("%s: %g became %g", d, src[i], got[i])
			}
		}
	}
	if err := weights.FromFloat32(make([]byte, 4), src, dtype.I8); err == nil {
		t.Error("encoding as I8 succeeded")
	}
}

func BenchmarkToFloat32(b *testing.B) {
	const n = 1 << 20
	dst := make([]float32, n)
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16, dtype.F8E4M3, dtype.F64} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			src := make([]byte, n*d.Size())
			for i := range src {
				src[i] = byte(i*7) & 0x3f
			}
			b.SetBytes(4 * n)
			for b.Loop() {
				if err := weights.ToFloat32(dst, entry(d, src, n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
