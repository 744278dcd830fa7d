package unwrap

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/torchrand"
)

// Constants of upstream's packing.
const (
	turns         = 36 // angles that are tried within a quarter turn
	leastBounds   = 8.0
	boundsFactor  = 4.0
	smallestArea  = 1e-12
	randomPlaces  = 512
	sweepParts    = 8
	atlasMargin   = 8
	maxAtlasSide  = 1 << 15
	pixelSlack    = -1e-6
	smallestTwice = 1e-20

	bigBitmap   = 1 << 20 // pixels above which memory is asked for
	bitmapBytes = 12      // about the memory of a pixel while a chart is drawn
)

// tilePlan is a chart with its turn and scale, as a bitmap.
type tilePlan struct {
	cos, sin    float32
	theta       float32
	scale       float32
	w, h        int // of the bitmap, without empty rows and columns at its ends
	x, y        int
	quarter     bool // turned by 90 degrees
	columnTops  []int32
	quarterTops []int32
	pixels      [][2]int32 // x, y of set bits
}

// plan chooses the turn with the smallest bounds and the scale, and draws the bitmap. density is in pixels per unit of length.
func (c *chart) plan(ctx context.Context, density float64, padding int, reserve func(what string, bytes int64) error) (*tilePlan, error) {
	p := &tilePlan{}
	best := float32(math.Inf(1))
	for k := range turns {
		if len(c.uvs) > interval {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		theta := angleOf(k)
		cos, sin := float32(math.Cos(float64(theta))), float32(math.Sin(float64(theta)))
		lo, hi := c.turned(cos, sin)
		if size := (hi[0] - lo[0]) * (hi[1] - lo[1]); size < best {
			best, p.theta, p.cos, p.sin = size, theta, cos, sin
		}
	}
	lo, hi := c.turned(p.cos, p.sin)
	space, flat := float32(max(float64(c.area), smallestArea)), float32(max(c.flatArea(), smallestArea))
	root := func(v float32) float32 { return float32(math.Sqrt(float64(v))) }
	bounds := max(hi[0]-lo[0], hi[1]-lo[1], smallestArea)
	p.scale = min(root(space/flat)*float32(density), max(boundsFactor*root(space)*float32(density), leastBounds)/bounds)
	w := int(math.Ceil(float64((hi[0]-lo[0])*p.scale))) + padding + 1
	h := int(math.Ceil(float64((hi[1]-lo[1])*p.scale))) + padding + 1
	if w > maxAtlasSide || h > maxAtlasSide || w < 0 || h < 0 {
		return nil, fmt.Errorf("packing charts: a chart would be %dx%d pixels, at most %d are possible; lower the resolution", w, h, maxAtlasSide)
	}
	if w*h > bigBitmap {
		if err := reserve("the bitmap of a chart", bitmapBytes*int64(w*h)); err != nil {
			return nil, err
		}
	}
	return p, p.draw(ctx, c, lo, w, h, padding)
}

// angleOf is angle k of the quarter turn, as torch.linspace makes it.
func angleOf(k int) float32 {
	const end = float32(math.Pi / 2)
	step := end / turns
	if k < (turns+1)/2 {
		return step * float32(k)
	}
	return end - step*float32(turns-k)
}

// turned are the bounds of the turned chart.
func (c *chart) turned(cos, sin float32) (lo, hi [2]float32) {
	inf := float32(math.Inf(1))
	lo, hi = [2]float32{inf, inf}, [2]float32{-inf, -inf}
	for _, p := range c.uvs {
		for k, v := range turn(p, cos, sin) {
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	}
	return lo, hi
}

func turn(p [2]float32, cos, sin float32) [2]float32 {
	return [2]float32{float32(p[0]*cos) - float32(p[1]*sin), float32(p[0]*sin) + float32(p[1]*cos)}
}

// draw sets the pixels with centers covered by the faces, and those within the padding of them.
func (p *tilePlan) draw(ctx context.Context, c *chart, lo [2]float32, w, h, padding int) error {
	bits := make([]bool, w*h)
	place := make([][2]float32, len(c.uvs))
	for i, q := range c.uvs {
		t := turn(q, p.cos, p.sin)
		place[i] = [2]float32{(t[0] - lo[0]) * p.scale, (t[1] - lo[1]) * p.scale}
	}
	for f := 0; f < len(c.faces); f += 3 {
		if f > 0 && f%(3*interval) == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		cover(bits, w, h, place[c.faces[f]], place[c.faces[f+1]], place[c.faces[f+2]])
	}
	for range padding {
		var err error
		if bits, err = widened(ctx, bits, w, h); err != nil {
			return err
		}
	}
	return p.trim(ctx, bits, w, h)
}

// cover sets the pixels of a triangle.
func cover(bits []bool, w, h int, a, b, c [2]float32) {
	x0, x1 := spanOf(a[0], b[0], c[0], w)
	y0, y1 := spanOf(a[1], b[1], c[1], h)
	v0, v1 := [2]float32{b[0] - a[0], b[1] - a[1]}, [2]float32{c[0] - a[0], c[1] - a[1]}
	dot2 := func(a, b [2]float32) float32 { return float32(a[0]*b[0]) + float32(a[1]*b[1]) }
	d00, d01, d11 := dot2(v0, v0), dot2(v0, v1), dot2(v1, v1)
	inverse := 1 / max(float32(d00*d11)-float32(d01*d01), smallestTwice)
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			v2 := [2]float32{float32(x) + 0.5 - a[0], float32(y) + 0.5 - a[1]}
			d20, d21 := dot2(v2, v0), dot2(v2, v1)
			v := (float32(d11*d20) - float32(d01*d21)) * inverse
			u := (float32(d00*d21) - float32(d01*d20)) * inverse
			if 1-v-u >= pixelSlack && v >= pixelSlack && u >= pixelSlack {
				bits[y*w+x] = true
			}
		}
	}
}

// spanOf are the pixels that a triangle can cover on one axis.
func spanOf(a, b, c float32, n int) (from, to int) {
	return max(int(math.Floor(float64(min(a, b, c))))-1, 0), min(int(math.Ceil(float64(max(a, b, c))))+1, n-1)
}

// widened sets the pixels beside set ones as well.
func widened(ctx context.Context, bits []bool, w, h int) ([]bool, error) {
	out := make([]bool, len(bits))
	for y := range h {
		if w*h > bigBitmap && y&0x3f == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		for x := range w {
			i := y*w + x
			out[i] = bits[i] || x > 0 && bits[i-1] || x < w-1 && bits[i+1] || y > 0 && bits[i-w] || y < h-1 && bits[i+w]
		}
	}
	return out, nil
}

// trim takes over the bits up to the last set row and column.
func (p *tilePlan) trim(ctx context.Context, bits []bool, w, h int) error {
	right, bottom := -1, -1
	for y := range h {
		for x, set := range bits[y*w : (y+1)*w] {
			if set {
				right, bottom = max(right, x), y
			}
		}
	}
	p.w, p.h = max(right+1, 1), max(bottom+1, 1)
	p.columnTops, p.quarterTops = make([]int32, p.w), make([]int32, p.h)
	for y := 0; y <= bottom; y++ {
		if w*h > bigBitmap && y&0x3f == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		for x := 0; x <= right; x++ {
			if !bits[y*w+x] {
				continue
			}
			p.pixels = append(p.pixels, [2]int32{int32(x), int32(y)})
			p.columnTops[x] = int32(y) + 1
			quarter := p.h - 1 - y
			p.quarterTops[quarter] = max(p.quarterTops[quarter], int32(x)+1)
		}
	}
	return nil
}

// size is the size of the bitmap in an orientation.
func (p *tilePlan) size(quarter bool) (w, h int) {
	if quarter {
		return p.h, p.w
	}
	return p.w, p.h
}

// atlas holds the charts that have been placed.
type atlas struct {
	side    int
	bits    []bool
	skyline []int32 // lowest free row above everything in each column
	w, h    int     // used
}

// room makes the atlas large enough for a bitmap of the given size at any place that is tried.
func (a *atlas) room(margin int) error {
	if a.h+margin <= a.side && a.w+margin <= a.side {
		return nil
	}
	side := max(a.side, a.h+margin, a.w+margin)
	if side > maxAtlasSide {
		return fmt.Errorf("packing charts: the atlas would be %d pixels wide, at most %d are possible; lower the resolution or weld the mesh", side, maxAtlasSide)
	}
	side = min(max(side, 2*a.side), maxAtlasSide)
	bits := make([]bool, side*side)
	for y := range a.side {
		copy(bits[y*side:], a.bits[y*a.side:(y+1)*a.side])
	}
	a.bits, a.skyline = bits, append(a.skyline, make([]int32, side-a.side)...)
	a.side = side
	return nil
}

// candidate is a place with its score: smaller atlases are better.
type candidate struct {
	x, y    int
	quarter bool
	score   int64
}

// pack places the charts, the largest bitmaps first, and returns the size of the atlas.
func pack(ctx context.Context, plans []*tilePlan, progress func(done int)) (w, h int, err error) {
	order := make([]int, len(plans))
	total, largest := 0, 0
	for i, p := range plans {
		order[i] = i
		total += p.w * p.h
		largest = max(largest, p.w, p.h)
	}
	slices.SortStableFunc(order, func(a, b int) int { return plans[b].w*plans[b].h - plans[a].w*plans[a].h })
	margin := largest + atlasMargin
	side := int(math.Sqrt(float64(total))*2) + 2*atlasMargin + margin
	if side > maxAtlasSide {
		return 0, 0, fmt.Errorf("packing charts: the atlas would be %d pixels wide, at most %d are possible; lower the resolution or weld the mesh", side, maxAtlasSide)
	}
	a := &atlas{side: side, bits: make([]bool, side*side), skyline: make([]int32, side)}
	random := torchrand.New(0)
	draws := make([]float32, 2*randomPlaces*2)
	for i, c := range order {
		if err := context.Cause(ctx); err != nil {
			return 0, 0, err
		}
		if err := a.room(margin); err != nil {
			return 0, 0, err
		}
		random.Uniform(draws)
		best, err := a.place(ctx, plans[c], draws)
		if err != nil {
			return 0, 0, err
		}
		a.put(plans[c], best)
		progress(i + 1)
	}
	return a.w, a.h, nil
}

// score of an atlas that is as large as a place makes it.
func (a *atlas) score(c candidate, w, h int) int64 {
	nw, nh := max(c.x+w, a.w), max(c.y+h, a.h)
	extent := int64(max(nw, nh))
	return extent*extent + int64(nw)*int64(nh)
}

// place returns the best place: of those along the skyline, which are free, and those along the sides of what is used and at random, which count
// if they are better and free. Of equally good ones it is the first. What cannot be better is not looked at.
func (a *atlas) place(ctx context.Context, p *tilePlan, draws []float32) (candidate, error) {
	best, bound := a.alongSkyline(p)
	if best.score == bound {
		return best, nil
	}
	return a.elsewhere(ctx, p, draws, best, bound)
}

// step is the distance of the places that are tried along the skyline and the sides.
func (p *tilePlan) step() int { return max(1, min(p.w, p.h)/sweepParts) }

// alongSkyline returns the best place on the skyline, and the score that no place is below.
func (a *atlas) alongSkyline(p *tilePlan) (best candidate, bound int64) {
	right, step := max(a.w, 1)+1, p.step()
	bound = math.MaxInt64
	for _, quarter := range [2]bool{false, true} {
		w, h := p.size(quarter)
		bound = min(bound, a.score(candidate{}, w, h))
	}
	best.score = math.MaxInt64
	for _, quarter := range [2]bool{false, true} {
		w, h := p.size(quarter)
		for x := 0; x < right; {
			c := candidate{x: x, quarter: quarter}
			if a.score(c, w, h) >= best.score { // nor is any place to the right better
				break
			}
			// A column that is too high for this place is so for all places to the right that have it.
			blocked := -1
			for k := min(x+w, a.side) - 1; k >= x; k-- {
				if v := int(a.skyline[k]); v > c.y {
					c.y = v
					if a.score(c, w, h) >= best.score {
						blocked = k
						break
					}
				}
			}
			if blocked >= 0 {
				x += (blocked - x + step) / step * step
				continue
			}
			c.score = a.score(c, w, h)
			if best = c; c.score == bound {
				return best, bound
			}
			x += step
		}
	}
	return best, bound
}

// elsewhere returns the best free place along the sides and at random, or the given one.
func (a *atlas) elsewhere(ctx context.Context, p *tilePlan, draws []float32, best candidate, bound int64) (candidate, error) {
	right, top, step := max(a.w, 1)+1, max(a.h, 1)+1, p.step()
	var better []candidate
	found := false
	for turn, quarter := range [2]bool{false, true} {
		w, h := p.size(quarter)
		add := func(x, y int) {
			c := candidate{x: x, y: y, quarter: quarter}
			switch c.score = a.score(c, w, h); {
			case c.score == bound:
				if a.free(p, c) {
					best, found = c, true
				}
			case c.score < best.score:
				better = append(better, c)
			}
		}
		for _, y := range [2]int{0, a.h} {
			for x := 0; x < right && !found; x += step {
				add(x, y)
			}
		}
		for _, x := range [2]int{0, a.w} {
			for y := 0; y < top && !found; y += step {
				add(x, y)
			}
		}
		for k := 0; k < randomPlaces && !found; k++ {
			at := 2 * (turn*randomPlaces + k)
			add(int(draws[at]*float32(right)), int(draws[at+1]*float32(top)))
		}
		if found {
			return best, nil
		}
	}
	slices.SortStableFunc(better, func(x, y candidate) int { return cmp.Compare(x.score, y.score) })
	for _, c := range better {
		if len(p.pixels) > bigBitmap {
			if err := context.Cause(ctx); err != nil {
				return best, err
			}
		}
		if a.free(p, c) {
			return c, nil
		}
	}
	return best, nil
}

// spot is where a pixel of a bitmap comes to lie.
func (p *tilePlan) spot(c candidate, pixel [2]int32) (x, y int) {
	if c.quarter {
		return c.x + p.h - 1 - int(pixel[1]), c.y + int(pixel[0])
	}
	return c.x + int(pixel[0]), c.y + int(pixel[1])
}

func (a *atlas) free(p *tilePlan, c candidate) bool {
	for _, pixel := range p.pixels {
		if x, y := p.spot(c, pixel); a.bits[y*a.side+x] {
			return false
		}
	}
	return true
}

// put places a bitmap.
func (a *atlas) put(p *tilePlan, c candidate) {
	for _, pixel := range p.pixels {
		x, y := p.spot(c, pixel)
		a.bits[y*a.side+x] = true
	}
	p.x, p.y, p.quarter = c.x, c.y, c.quarter
	w, h := p.size(c.quarter)
	a.w, a.h = max(a.w, c.x+w), max(a.h, c.y+h)
	tops := p.columnTops
	if c.quarter {
		tops = p.quarterTops
	}
	for i, t := range tops {
		if t > 0 {
			a.skyline[c.x+i] = max(a.skyline[c.x+i], int32(c.y)+t)
		}
	}
}

// placed are the texture coordinates of a chart in an atlas of the given side, in 0…1.
func (p *tilePlan) placed(c *chart, side int) [][2]float32 {
	sin, cos := math.Sincos(float64(p.theta))
	turned := make([][2]float64, len(c.uvs))
	lo := [2]float64{math.Inf(1), math.Inf(1)}
	for i, q := range c.uvs {
		u, v := float64(q[0]), float64(q[1])
		turned[i] = [2]float64{u*cos - v*sin, u*sin + v*cos}
		lo[0], lo[1] = min(lo[0], turned[i][0]), min(lo[1], turned[i][1])
	}
	out := make([][2]float32, len(turned))
	for i, q := range turned {
		u, v := (q[0]-lo[0])*float64(p.scale), (q[1]-lo[1])*float64(p.scale)
		if p.quarter {
			u, v = float64(p.h)-v, u
		}
		for k, w := range [2]float64{(u + float64(p.x)) / float64(side), (v + float64(p.y)) / float64(side)} {
			out[i][k] = float32(min(max(w, 0), 1))
		}
	}
	return out
}
