package pointmap

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// coarsest is the longer side of the panorama that is solved first.
const coarsest = 256

// Levels are the sizes (width, height) of the panoramas that Merge solves, the smallest first.
func Levels(w, h int) [][2]int {
	out := [][2]int{{w, h}}
	for max(w, h) > coarsest {
		w, h = w/2, h/2
		out = append([][2]int{{w, h}}, out...)
	}
	return out
}

// Seen is what one view of a panorama shows: the distances of what it shows, and 1 where there is something, [side,side] each.
type Seen struct {
	View
	Distance, Mask *tensor.Tensor
}

// Merge joins the distances of views to those of a panorama of w x h pixels, whose changes from pixel to pixel are most like those in the views, and
// a mask of 1 where a view shows something. advance is called after each view of each level, and with solved set after each solution. Upstream:
// ldm/moge/panorama.py merge_panorama_depth.
func Merge(ctx context.Context, w, h int, views []Seen, advance func(level int, solved bool)) (distance, mask *tensor.Tensor, err error) {
	var before *tensor.Tensor
	for level, size := range Levels(w, h) {
		if size[0] < 1 || size[1] < 1 {
			return nil, nil, fmt.Errorf("joining views to a panorama of %dx%d pixels: it is too narrow", w, h)
		}
		m := newMerging(size[0], size[1])
		for _, v := range views {
			if err := context.Cause(ctx); err != nil {
				return nil, nil, err
			}
			m.add(v)
			advance(level, false)
		}
		var from []float32
		if before != nil {
			larger, err := imaging.Upscale(before, size[0], size[1], "bilinear", "")
			if err != nil {
				return nil, nil, err
			}
			for _, v := range larger.Data {
				from = append(from, logarithm(v))
			}
		}
		const tolerance = 1e-5
		x, err := solveLeast(ctx, m.equations(), m.wanted(), from, tolerance)
		if err != nil {
			return nil, nil, err
		}
		before = tensor.New(1, 1, size[1], size[0])
		for i, v := range x {
			before.Data[i] = float32(math.Exp(v))
		}
		mask = m.mask
		advance(level, true)
	}
	distance, err = before.Reshape(h, w)
	return distance, mask, err
}

// logarithm is that of a distance.
func logarithm(v float32) float32 {
	const least = 1e-6
	return float32(math.Log(float64(max(v, least))))
}

// merging sums, for each pixel of a panorama, the changes of the logarithms of distances in views.
type merging struct {
	w, h int
	// across, down and bend are the sums of the changes to the right, downward and of the second derivatives; the numbers count the views.
	across, down, bend                []float64
	acrossViews, downViews, bendViews []int
	mask                              *tensor.Tensor
	directions                        [][3]float32
}

func newMerging(w, h int) *merging {
	m := &merging{
		w: w, h: h, across: make([]float64, w*h), acrossViews: make([]int, w*h), down: make([]float64, (h-1)*w), downViews: make([]int, (h-1)*w),
		bend: make([]float64, w*h), bendViews: make([]int, w*h), mask: tensor.New(h, w), directions: make([][3]float32, w*h),
	}
	for y := range h {
		for x := range w {
			m.directions[y*w+x] = Direction(centre(x, w), centre(y, h))
		}
	}
	return m
}

// add adds what a view shows. The left and the right border of a panorama are neighbours.
func (m *merging) add(v Seen) {
	logs, seen := make([]float32, m.w*m.h), make([]bool, m.w*m.h)
	source := make([]float32, len(v.Distance.Data))
	for i, d := range v.Distance.Data {
		source[i] = logarithm(d)
	}
	side := [2]int{v.Distance.Dim(1), v.Distance.Dim(0)}
	for i, d := range m.directions {
		x, y, depth := v.place(d)
		if !(depth > 0 && x > 0 && y > 0 && x < 1 && y < 1) {
			continue
		}
		px, py := float64(x*float32(side[0]-1)), float64(y*float32(side[1]-1))
		logs[i] = between(source, side, px, py)
		near := int(math.Floor(py+0.5))*side[0] + int(math.Floor(px+0.5))
		if seen[i] = v.Mask.Data[near] > 0; seen[i] {
			m.mask.Data[i] = 1
		}
	}
	for y := range m.h {
		up, low := max(y-1, 0)*m.w, min(y+1, m.h-1)*m.w
		for x := range m.w {
			i, right, left := y*m.w+x, y*m.w+(x+1)%m.w, y*m.w+(x+m.w-1)%m.w
			if seen[i] && seen[right] {
				m.across[i] += float64(logs[i] - logs[right])
				m.acrossViews[i]++
			}
			if y < m.h-1 && seen[i] && seen[low+x] {
				m.down[i] += float64(logs[i] - logs[low+x])
				m.downViews[i]++
			}
			if seen[i] && seen[right] && seen[left] && seen[up+x] && seen[low+x] {
				m.bend[i] += float64(float32(float64(logs[up+x]) + float64(logs[low+x]) + float64(logs[left]) + float64(logs[right]) - 4*float64(logs[i])))
				m.bendViews[i]++
			}
		}
	}
}

// between interpolates a grid of the given width and height at a place within it.
func between(grid []float32, side [2]int, x, y float64) float32 {
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, side[0]-1), min(y0+1, side[1]-1)
	fx, fy := x-float64(x0), y-float64(y0)
	at := func(x, y int) float64 { return float64(grid[y*side[0]+x]) }
	return float32((at(x0, y0)*(1-fx)+at(x1, y0)*fx)*(1-fy) + (at(x0, y1)*(1-fx)+at(x1, y1)*fx)*fy)
}

// wanted are the means of the changes, in the order of the equations.
func (m *merging) wanted() []float64 {
	var out []float64
	add := func(sums []float64, views []int) {
		for i, n := range views {
			if n > 0 {
				out = append(out, sums[i]/float64(n))
			}
		}
	}
	add(m.across, m.acrossViews)
	add(m.down, m.downViews)
	add(m.bend, m.bendViews)
	return out
}

// equations are those of the changes that a view shows.
func (m *merging) equations() changes {
	c := changes{w: m.w, h: m.h}
	for i, n := range m.acrossViews {
		if n > 0 {
			c.pairs = append(c.pairs, [2]int32{int32(i), int32(i/m.w*m.w + (i+1)%m.w)})
		}
	}
	for i, n := range m.downViews {
		if n > 0 {
			c.pairs = append(c.pairs, [2]int32{int32(i), int32(i + m.w)})
		}
	}
	for i, n := range m.bendViews {
		if n > 0 {
			c.bends = append(c.bends, int32(i))
		}
	}
	return c
}

// changes are the equations of a panorama: the differences of pairs of pixels, and the second derivatives at pixels.
type changes struct {
	w, h  int
	pairs [][2]int32
	bends []int32
}

func (c changes) rows() int { return len(c.pairs) + len(c.bends) }

func (c changes) columns() int { return c.w * c.h }

// around are the pixels above, below, left and right of a pixel; above the first and below the last row there is that row.
func (c changes) around(i int) [4]int {
	y, x := i/c.w, i%c.w
	return [4]int{max(y-1, 0)*c.w + x, min(y+1, c.h-1)*c.w + x, y*c.w + (x+c.w-1)%c.w, y*c.w + (x+1)%c.w}
}

func (c changes) times(y, x []float64) {
	for i, p := range c.pairs {
		y[i] += x[p[0]] - x[p[1]]
	}
	for i, p := range c.bends {
		n := c.around(int(p))
		y[len(c.pairs)+i] += -4*x[p] + x[n[0]] + x[n[1]] + x[n[2]] + x[n[3]]
	}
}

func (c changes) transposed(x, y []float64) {
	for i, p := range c.pairs {
		x[p[0]] += y[i]
		x[p[1]] -= y[i]
	}
	for i, p := range c.bends {
		v := y[len(c.pairs)+i]
		x[p] -= 4 * v
		for _, n := range c.around(int(p)) {
			x[n] += v
		}
	}
}
