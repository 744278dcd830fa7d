package webp

import (
	"encoding/binary"
	"fmt"
	"math"
)

// steps are the quantizer steps of one kind of block: for the first coefficient and for the others.
type steps struct{ dc, ac int32 }

// macroblock holds the coded data of a macroblock: its modes and its quantized coefficients.
type macroblock struct {
	modeY, modeC int
	skip         bool      // no coefficient is coded
	y2           block     // the DC coefficients of the luma blocks, transformed once more
	blocks       [24]block // 16 of luma without DC, 4 of each chroma
}

// modes are the first partition's data of a macroblock.
type modes struct {
	y, c uint8
	skip bool
}

type encoder struct {
	// pixels are the image. Each macroblock is replaced by its decoded form once it is coded, as prediction reads
	// coded neighbors only.
	pixels     *planes
	y1, y2, uv steps
	mbs        []modes
}

// encodeFrame returns a VP8 key frame. It uses up the planes.
func encodeFrame(source *planes, img Rows, quality int) ([]byte, error) {
	index := quantizer(quality)
	e := newEncoder(source, index)
	tokens := newTokens(source.mbw)
	for my := range source.mbh {
		for mx := range source.mbw {
			mb := e.macroblock(mx, my)
			tokens.add(&mb, mx)
			e.mbs = append(e.mbs, modes{uint8(mb.modeY), uint8(mb.modeC), mb.skip}) //nolint:gosec // four modes
		}
	}
	first, second := e.modes(index), tokens.coder.finish()
	if len(first) >= 1<<19 {
		return nil, fmt.Errorf("%d macroblocks are too many for the format", len(e.mbs))
	}
	tag := uint32(len(first))<<5 | 1<<4 // key frame, version 0, shown
	out := []byte{byte(tag), byte(tag >> 8), byte(tag >> 16), 0x9d, 0x01, 0x2a}
	out = binary.LittleEndian.AppendUint16(out, uint16(img.Width))  //nolint:gosec // at most 16383
	out = binary.LittleEndian.AppendUint16(out, uint16(img.Height)) //nolint:gosec // at most 16383
	return append(append(out, first...), second...), nil
}

// quantizer maps quality to an index; the curve is libwebp's.
func quantizer(quality int) int {
	q := float64(min(max(quality, 1), 100)) / 100
	linear := 2*q - 1
	if q < 0.75 {
		linear = q * 2 / 3
	}
	return int(math.Round(127 * (1 - math.Cbrt(linear))))
}

func newEncoder(source *planes, index int) *encoder {
	return &encoder{
		pixels: source, mbs: make([]modes, 0, source.mbw*source.mbh),
		y1: steps{dcSteps[index], acSteps[index]},
		y2: steps{2 * dcSteps[index], max(8, acSteps[index]*155/100)},
		uv: steps{dcSteps[min(index, 117)], acSteps[index]},
	}
}

// macroblock chooses modes, quantizes and reconstructs one macroblock.
func (e *encoder) macroblock(mx, my int) macroblock {
	var mb macroblock
	luma := square{e.pixels.y, e.pixels.strideY(), 16, 16 * mx, 16 * my}
	pred := make([]uint8, 256)
	mb.modeY = best(pred, []square{luma}, [][]uint8{e.pixels.y})
	e.luma(&mb, &luma, pred)

	u := square{e.pixels.u, e.pixels.strideC(), 8, 8 * mx, 8 * my}
	v := u
	v.pix = e.pixels.v
	mb.modeC = best(make([]uint8, 64), []square{u, v}, [][]uint8{e.pixels.u, e.pixels.v})
	e.chroma(&mb, 16, &u, e.pixels.u)
	e.chroma(&mb, 20, &v, e.pixels.v)

	mb.skip = mb.y2 == block{}
	for i := range mb.blocks {
		mb.skip = mb.skip && mb.blocks[i] == block{}
	}
	return mb
}

// best returns the mode that comes nearest to the image in all planes together, and leaves the prediction for the
// last plane in pred.
func best(pred []uint8, squares []square, want [][]uint8) int {
	mode, least := modeDC, int64(math.MaxInt64)
	for _, m := range squares[0].modes() {
		d := int64(0)
		for i := range squares {
			squares[i].predict(m, pred)
			d += squares[i].distance(want[i], pred)
		}
		if d < least {
			mode, least = m, d
		}
	}
	squares[len(squares)-1].predict(mode, pred)
	return mode
}

// difference returns what prediction leaves of the block at bx, by of a square.
func difference(s *square, want, pred []uint8, bx, by int) (d block) {
	for y := range 4 {
		for x := range 4 {
			px, py := 4*bx+x, 4*by+y
			d[4*y+x] = int32(want[(s.y+py)*s.stride+s.x+px]) - int32(pred[py*s.size+px])
		}
	}
	return d
}

// put writes prediction plus differences into the reconstruction.
func put(s *square, pred []uint8, d *block, bx, by int) {
	for y := range 4 {
		for x := range 4 {
			px, py := 4*bx+x, 4*by+y
			s.pix[(s.y+py)*s.stride+s.x+px] = clip8(int32(pred[py*s.size+px]) + d[4*y+x])
		}
	}
}

func (e *encoder) luma(mb *macroblock, s *square, pred []uint8) {
	var dcs block
	for i := range 16 {
		d := difference(s, e.pixels.y, pred, i%4, i/4)
		c := forwardDCT(&d)
		dcs[i] = c[0]
		c[0] = 0
		mb.blocks[i] = quantize(&c, e.y1)
	}
	wht := forwardWHT(&dcs)
	mb.y2 = quantize(&wht, e.y2)
	back := dequantize(&mb.y2, e.y2)
	dcs = inverseWHT(&back)
	for i := range 16 {
		c := dequantize(&mb.blocks[i], e.y1)
		c[0] = dcs[i]
		d := inverseDCT(&c)
		put(s, pred, &d, i%4, i/4)
	}
}

func (e *encoder) chroma(mb *macroblock, from int, s *square, want []uint8) {
	pred := make([]uint8, 64)
	s.predict(mb.modeC, pred)
	for i := range 4 {
		d := difference(s, want, pred, i%2, i/2)
		c := forwardDCT(&d)
		mb.blocks[from+i] = quantize(&c, e.uv)
		back := dequantize(&mb.blocks[from+i], e.uv)
		d = inverseDCT(&back)
		put(s, pred, &d, i%2, i/2)
	}
}

// maxLevel is the largest number that a token can say.
const maxLevel = 2047

func quantize(c *block, q steps) (out block) {
	for i, v := range c {
		step, bias := q.ac, int32(108) // a little below half, in 1/256: small coefficients cost more than they give
		if i == 0 {
			step, bias = q.dc, 128
		}
		level := min((max(v, -v)*256+step*bias)/(step*256), maxLevel)
		if v < 0 {
			level = -level
		}
		out[i] = level
	}
	return out
}

func dequantize(c *block, q steps) (out block) {
	for i, v := range c {
		out[i] = v * q.ac
	}
	out[0] = c[0] * q.dc
	return out
}
