package webp

// modes codes the frame's header and the modes of its macroblocks: the first partition.
func (e *encoder) modes(index int) []byte {
	c := newBoolCoder()
	c.number(0, 2)                  // colour space, clamping needed
	c.number(0, 1)                  // no segments
	c.number(0, 1)                  // normal loop filter
	c.number(filterLevel(index), 6) // its level
	c.number(0, 3)                  // its sharpness
	c.number(0, 1)                  // no adjustments by mode
	c.number(0, 2)                  // one partition of tokens
	c.number(uint32(index), 7)      //nolint:gosec // 0…127
	c.number(0, 5)                  // the five other quantizers are the same
	c.number(0, 1)                  // probabilities hold for this frame
	for i := range updateProbs {    // none is changed
		for j := range updateProbs[i] {
			for k := range updateProbs[i][j] {
				for _, p := range updateProbs[i][j][k] {
					c.bit(p, false)
				}
			}
		}
	}
	skip := e.skipProb()
	c.number(1, 1) // macroblocks say whether they have coefficients
	c.number(uint32(skip), 8)
	for i := range e.mbs {
		mb := &e.mbs[i]
		c.bit(skip, mb.skip)
		codeModeY(c, int(mb.y))
		codeModeC(c, int(mb.c))
	}
	return c.finish()
}

// filterLevel smooths block edges the more the coarser the quantizer.
func filterLevel(index int) uint32 {
	if index < 16 {
		return 0
	}
	return min(63, uint32(index)/3) //nolint:gosec // 0…127
}

// skipProb is the probability, of 256, that a macroblock has coefficients.
func (e *encoder) skipProb() uint8 {
	full := 0
	for i := range e.mbs {
		if !e.mbs[i].skip {
			full++
		}
	}
	return uint8(min(max(full*256/len(e.mbs), 1), 255)) //nolint:gosec // clipped
}

// codeModeY codes a luma mode by the tree of key frames (RFC 6386, section 11.2).
func codeModeY(c *boolCoder, mode int) {
	c.bit(145, true) // not block by block
	c.bit(156, mode >= modeH)
	if mode < modeH {
		c.bit(163, mode == modeV)
	} else {
		c.bit(128, mode == modeTM)
	}
}

func codeModeC(c *boolCoder, mode int) {
	c.bit(142, mode != modeDC)
	if mode == modeDC {
		return
	}
	c.bit(114, mode != modeV)
	if mode != modeV {
		c.bit(183, mode == modeTM)
	}
}

// nonzero remembers which blocks at the edge of a macroblock had coefficients: 4 of luma, 2 of each chroma, and the
// block of DCs.
type nonzero struct {
	y    [4]uint8
	u, v [2]uint8
	y2   uint8
}

// tokens codes the coefficients of macroblocks in their order: the second partition.
type tokens struct {
	coder *boolCoder
	above []nonzero
	left  nonzero
}

func newTokens(mbw int) *tokens { return &tokens{coder: newBoolCoder(), above: make([]nonzero, mbw)} }

// add codes the macroblock of column mx.
func (t *tokens) add(mb *macroblock, mx int) {
	if mx == 0 {
		t.left = nonzero{}
	}
	if mb.skip {
		t.left, t.above[mx] = nonzero{}, nonzero{}
		return
	}
	codeMacroblock(t.coder, mb, &t.above[mx], &t.left)
}

// Planes of token probabilities.
const (
	planeY1 = iota // luma without DC
	planeY2
	planeUV
)

func codeMacroblock(c *boolCoder, mb *macroblock, above, left *nonzero) {
	n := codeBlock(c, &mb.y2, planeY2, above.y2+left.y2)
	above.y2, left.y2 = n, n
	for i := range 16 {
		a, l := &above.y[i%4], &left.y[i/4]
		n := codeBlock(c, &mb.blocks[i], planeY1, *a+*l)
		*a, *l = n, n
	}
	for i := range 4 {
		a, l := &above.u[i%2], &left.u[i/2]
		n := codeBlock(c, &mb.blocks[16+i], planeUV, *a+*l)
		*a, *l = n, n
	}
	for i := range 4 {
		a, l := &above.v[i%2], &left.v[i/2]
		n := codeBlock(c, &mb.blocks[20+i], planeUV, *a+*l)
		*a, *l = n, n
	}
}

// codeBlock codes one block and returns 1 if it has a coefficient.
func codeBlock(c *boolCoder, b *block, plane int, context uint8) uint8 {
	from := 0
	if plane == planeY1 {
		from = 1
	}
	last := -1
	for i := from; i < 16; i++ {
		if b[zigzag[i]] != 0 {
			last = i
		}
	}
	p := &defaultProbs[plane][bands[from]][context]
	if last < 0 {
		c.bit(p[0], false)
		return 0
	}
	c.bit(p[0], true)
	for i := from; i <= last; i++ {
		v := b[zigzag[i]]
		level := uint32(max(v, -v)) //nolint:gosec // not negative
		next := &defaultProbs[plane][bands[i+1]]
		if level == 0 {
			c.bit(p[1], false)
			p = &next[0]
			continue // after a zero there is no end
		}
		c.bit(p[1], true)
		codeLevel(c, p, level)
		c.bit(128, v < 0)
		p = &next[min(level, 2)]
		if i < 15 {
			c.bit(p[0], i < last)
		}
	}
	return 1
}

// categories are the ranges of levels with extra bits: the first level and the probabilities of the bits.
var categories = [6]struct {
	from  uint32
	probs []uint8
}{
	{5, []uint8{159}},
	{7, []uint8{165, 145}},
	{11, []uint8{173, 148, 140}},
	{19, []uint8{176, 155, 140, 135}},
	{35, []uint8{180, 157, 141, 134, 130}},
	{67, []uint8{254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}},
}

// codeLevel codes a level above 0 (RFC 6386, section 13.2).
func codeLevel(c *boolCoder, p *[11]uint8, level uint32) {
	c.bit(p[2], level > 1)
	if level == 1 {
		return
	}
	c.bit(p[3], level > 4)
	if level <= 4 {
		c.bit(p[4], level > 2)
		if level > 2 {
			c.bit(p[5], level > 3)
		}
		return
	}
	cat := 5
	for level < categories[cat].from {
		cat--
	}
	c.bit(p[6], cat > 1)
	switch {
	case cat <= 1:
		c.bit(p[7], cat == 1)
	default:
		c.bit(p[8], cat > 3)
		c.bit(p[9+(cat-2)/2], cat%2 == 1)
	}
	rest, probs := level-categories[cat].from, categories[cat].probs
	for i, prob := range probs {
		c.bit(prob, rest>>(len(probs)-1-i)&1 == 1)
	}
}
