package weights

import (
	"fmt"
	"math"
	"sync"

	"comfygo/engine/quant"
	"comfygo/engine/torchrand"
)

// scaling reports which factors an encoding has.
type scaling int

const (
	unscaled scaling = iota // elements as they are: 8-bit floats alone
	whole                   // one factor for the matrix
	byRow                   // one for each row: Int8 alone
)

// encoding is how encode stores a matrix.
type encoding struct {
	format  quant.Format
	scaling scaling
}

// encodes reports whether encode can store matrices of rows of cols elements so.
func (e encoding) encodes(cols int) bool {
	switch e.format {
	case quant.E4M3, quant.E5M2:
		return e.scaling != byRow
	case quant.Int8:
		return e.scaling != unscaled
	case quant.MXFP8, quant.NVFP4:
		elements, _ := e.format.Block()
		return e.scaling == whole && cols > 0 && cols%elements == 0
	}
	return false
}

// encode stores values, a matrix with rows of cols elements, with scales made for its largest elements, and rounds at random by
// the words of g, as upstream stores a quantized weight again after a LoRA changed it. Values that are not finite give elements
// of no meaning. It fails for what encodes does not report. (Upstream: comfy/quant_ops.py, comfy/float.py; comfy-kitchen,
// stochastic_rounding_fp8 and quantize_int8_tensorwise.)
func (e encoding) encode(values []float32, cols int, g *torchrand.Generator) (quant.Matrix, error) {
	if !e.encodes(cols) || cols < 1 || len(values)%cols != 0 {
		return quant.Matrix{}, fmt.Errorf("encoding %d values in rows of %d as %s: there is no such encoding", len(values), cols, e.format)
	}
	m := quant.Matrix{Format: e.format, Rows: len(values) / cols, Cols: cols}
	switch e.format {
	case quant.Int8:
		m.Data, m.Scales = encodeInts(values, cols, e.scaling == byRow, g)
	case quant.MXFP8:
		m.Data, m.Blocks = encodeMX(values, m, g)
	case quant.NVFP4:
		m.Data, m.Blocks, m.Scales = encodeNV(values, m, g)
	default:
		if e.scaling == whole {
			m.Scales = []float32{largest(values) / float32(eightBit[e.format].largest)}
		}
		m.Data = encodeFloats(e.format, values, m.Scales, g)
	}
	return m, nil
}

func largest(v []float32) float32 {
	var most float32
	for _, x := range v {
		most = max(most, x, -x)
	}
	return most
}

// floatType describes an 8-bit float: explicit mantissa bits, exponent bias, number of exponents and largest value.
type floatType struct {
	mantissa, bias, exponents int
	largest                   float64
}

var eightBit = map[quant.Format]floatType{quant.E4M3: {3, 7, 16, 448}, quant.E5M2: {2, 15, 32, 57344}}

// roundings are what each float16 becomes: one of two neighbours, the upper one when a random byte is at least from.
type rounding struct {
	low, high byte
	from      uint16
}

var roundings = map[quant.Format]func() *[1 << 15]rounding{
	quant.E4M3: sync.OnceValue(func() *[1 << 15]rounding { return roundingsOf(quant.E4M3) }),
	quant.E5M2: sync.OnceValue(func() *[1 << 15]rounding { return roundingsOf(quant.E5M2) }),
}

func roundingsOf(f quant.Format) *[1 << 15]rounding {
	t, codes := eightBit[f], codesOf(f)
	out := new([1 << 15]rounding)
	for h := range out {
		x := F16ToF32(uint16(h))
		at := func(random int) byte { return codes[t.round(x, float32(random))] }
		r := rounding{low: at(0), high: at(255), from: 256}
		if r.low != r.high {
			lo, hi := 0, 255 // the first byte that gives the upper neighbour is in (lo, hi]
			for hi-lo > 1 {
				if mid := (lo + hi) / 2; at(mid) == r.low {
					lo = mid
				} else {
					hi = mid
				}
			}
			r.from = uint16(hi)
		}
		out[h] = r
	}
	return out
}

// codesOf maps the values of an 8-bit float that are not negative to its bytes.
func codesOf(f quant.Format) map[float32]byte {
	t, out := eightBit[f], map[float32]byte{}
	for code := range 128 {
		man, exp := code&(1<<t.mantissa-1), code>>t.mantissa
		v := math.Ldexp(1+math.Ldexp(float64(man), -t.mantissa), exp-t.bias)
		if exp == 0 {
			v = math.Ldexp(float64(man), 1-t.bias-t.mantissa)
		}
		if v <= t.largest {
			out[float32(v)] = byte(code)
		}
	}
	return out
}

// round rounds x, a float16 that is not negative, up or down by a random number of 256. As in upstream all steps are rounded to
// float16, which shows next to powers of two.
func (t floatType) round(x, random float32) float32 {
	if x-x != 0 {
		return float32(t.largest)
	}
	exponent := -1 << 10
	if x > 0 {
		exponent = int(math.Floor(float64(asHalf(float32(math.Log2(float64(x)))))))
	}
	exponent = min(max(exponent+t.bias, 0), t.exponents-1)
	steps := float32(int(1) << t.mantissa)
	power := float32(math.Ldexp(1, exponent-t.bias))
	var scaled float32
	if exponent > 0 {
		scaled = asHalf(asHalf(asHalf(x/power)-1) * steps)
	} else {
		scaled = asHalf(x / float32(math.Ldexp(1, 1-t.bias-t.mantissa)))
	}
	man := float32(math.Floor(float64(asHalf(scaled+asHalf(random/256))))) / steps
	y := power * (1 + man)
	if exponent == 0 {
		y = float32(math.Ldexp(1, 1-t.bias)) * man
	}
	return min(y, float32(t.largest))
}

// asHalf rounds to float16.
func asHalf(v float32) float32 { return F16ToF32(F32ToF16(v)) }

// encodeFloats stores values, divided by a scale when there is one, as 8-bit floats.
func encodeFloats(f quant.Format, values, scale []float32, g *torchrand.Generator) []byte {
	factor := float32(1)
	if len(scale) == 1 && scale[0] > 0 {
		factor = 1 / scale[0]
	}
	table, out := roundings[f](), make([]byte, len(values))
	for i, v := range values {
		h := F32ToF16(v * factor)
		r := table[h&0x7fff]
		code := r.low
		if uint16(g.Uint32()&0xff) >= r.from {
			code = r.high
		}
		if code != 0 {
			code |= byte(h >> 8 & 0x80)
		}
		out[i] = code
	}
	return out
}

// encodeInts stores values as integers of ±127 times a scale.
func encodeInts(values []float32, cols int, rows bool, g *torchrand.Generator) (data []byte, scales []float32) {
	data = make([]byte, len(values))
	group := len(values)
	if rows {
		group = cols
	}
	random := make([]float32, min(cols, len(values)))
	for from := 0; from < len(values); from += group {
		scale := max(largest(values[from:from+group])/127, 1e-30)
		scales = append(scales, scale)
		for at := from; at < from+group; at += cols {
			g.Uniform(random)
			for i, u := range random {
				v := math.Floor(float64(values[at+i]/scale + u))
				data[at+i] = byte(int8(max(-128, min(127, v))))
			}
		}
	}
	return data, scales
}

// place returns the index of a block's scale in a tiled format; see quant.Format.Tiled.
func place(m quant.Matrix, row, block int) int {
	elements, _ := m.Format.Block()
	across := (m.Cols/elements + 3) / 4
	return (row/128*across+block/4)*512 + row%32*16 + row%128/32*4 + block%4
}

// encodeMX stores blocks of 32 8-bit floats with a power of two each.
func encodeMX(values []float32, m quant.Matrix, g *torchrand.Generator) (data, blocks []byte) {
	const size, bias = 32, 127
	blocks = make([]byte, m.Format.TiledSize(m.Rows, m.Cols))
	scaled := make([]float32, len(values))
	for from := 0; from < len(values); from += size {
		most := largest(values[from : from+size])
		if most == 0 {
			continue
		}
		need := max(most/float32(eightBit[quant.E4M3].largest), 0x1p-127)
		exp := min(max(int(math.Ceil(float64(float32(math.Log2(float64(need))))))+bias, 0), 254)
		blocks[place(m, from/m.Cols, from%m.Cols/size)] = byte(exp)
		by := math.Float32frombits(uint32(exp) << 23)
		for i, v := range values[from : from+size] {
			scaled[from+i] = v / by
		}
	}
	return encodeFloats(quant.E4M3, scaled, nil, g), blocks
}

// encodeNV stores blocks of 16 four-bit floats, the first of two in the upper half of a byte, with an 8-bit float each and a factor
// for all.
func encodeNV(values []float32, m quant.Matrix, g *torchrand.Generator) (data, blocks []byte, scales []float32) {
	const size, beyond = 16, 6
	scale := largest(values) / float32(eightBit[quant.E4M3].largest*beyond)
	data, blocks = make([]byte, len(values)/2), make([]byte, m.Format.TiledSize(m.Rows, m.Cols))
	codes := nearestCodes()
	random := make([]float32, size)
	for from := 0; from < len(values); from += size {
		block := values[from : from+size]
		stored := codes.of(min(largest(block)/beyond/scale, float32(eightBit[quant.E4M3].largest)))
		blocks[place(m, from/m.Cols, from%m.Cols/size)] = stored.code
		g.Uniform(random)
		by := scale * stored.value
		for i, v := range block {
			x := v / by
			if x != x { // zero by zero
				x = 0
			}
			data[(from+i)/2] |= fourBits(x, random[i]) << (4 * ((i + 1) % 2))
		}
	}
	return data, blocks, []float32{scale}
}

// fourBits rounds x to a float of two exponent bits and one of mantissa, by a random number.
func fourBits(x, random float32) byte {
	exponent := func(v, add float32) int {
		if v = v * float32(math.Copysign(1, float64(v))); v == 0 {
			return 0
		}
		e := math.Floor(float64(float32(math.Log2(float64(v))) + add))
		return int(max(0, min(3, e)))
	}
	var sign byte
	if math.Signbit(float64(x)) {
		sign = 1
	}
	x += (random - 0.5) * float32(math.Ldexp(1, exponent(x, 1)-2)) * 1.25
	x = float32(math.Abs(float64(x)))
	exp := exponent(x, 1.1925)
	man := x * 2
	if exp > 0 {
		man = (x/float32(math.Ldexp(1, exp-1)) - 1) * 2
	}
	return sign<<3 | byte(exp)<<1 | byte(int(math.RoundToEven(float64(man))))
}

// coded is an E4M3 value with its byte.
type coded struct {
	value float32
	code  byte
}

// nearest lists the E4M3 values that are not negative, in order.
type nearest []coded

var nearestCodes = sync.OnceValue(func() nearest {
	byValue := codesOf(quant.E4M3)
	out := make(nearest, len(byValue))
	for v, c := range byValue {
		out[c] = coded{v, c}
	}
	return out
})

// of returns the value that is next to v, the even one of two.
func (n nearest) of(v float32) coded {
	lo, hi := 0, len(n)-1
	if !(v > 0) {
		return n[0]
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; n[mid].value <= v {
			lo = mid
		} else {
			hi = mid
		}
	}
	below, above := float64(v)-float64(n[lo].value), float64(n[hi].value)-float64(v)
	if above < below || above == below && n[hi].code%2 == 0 {
		return n[hi]
	}
	return n[lo]
}
