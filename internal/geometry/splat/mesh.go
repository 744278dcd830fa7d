package splat

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"comfygo/internal/geometry"
)

// Meshing configures the conversion of splats to a mesh.
type Meshing struct {
	// Resolution is the number of cells along the longest side, Kernel the most cells that a Gaussian reaches to each side.
	Resolution, Kernel int
	// Smooth is the number of Taubin smoothing steps.
	Smooth int
	// Level multiplies the density at the surface, which Otsu's method finds.
	Level float64
	// MinComponent is the number of vertices below which a component is dropped; 0 keeps all.
	MinComponent int
	MinOpacity   float64
	// Sharpen above 1 gives the densest Gaussian more weight in colors.
	Sharpen float64
}

// Mesh converts splats to a mesh with vertex colors: their density on a grid, a surface through it (Surface Nets), smoothed
// (Taubin). It is empty if there is no surface. Coordinates are those of glTF, with Y up.
func Mesh(ctx context.Context, it *geometry.SplatItem, m Meshing, reserve Reserve, progress func(float64)) (geometry.Item, error) {
	empty := geometry.Item{Vertices: []float32{}, Faces: []int32{}, Colors: []float32{}, Channels: 3}
	kept, err := it.Select(ctx, func(i int) bool { return it.Opacities[i] >= float32(m.MinOpacity) })
	if err != nil {
		return empty, err
	}
	if kept.Count() == 0 {
		return empty, nil
	}
	d, err := newDensity(ctx, &kept, m)
	if err != nil {
		return empty, err
	}
	cells := int64(d.size[0]) * int64(d.size[1]) * int64(d.size[2])
	if cells > math.MaxInt32 {
		return empty, fmt.Errorf("the grid has %dx%dx%d cells, which are more than %d", d.size[0], d.size[1], d.size[2], math.MaxInt32)
	}
	if err := reserve(8*cells + 80*int64(kept.Count())); err != nil { // densities and numbers of vertices
		return empty, err
	}
	d.values = make([]float32, cells)
	if err := d.each(ctx, func(cell int, _ int, w float32) { d.values[cell] += w }, func(f float64) { progress(0.4 * f) }); err != nil {
		return empty, err
	}
	level, ok := d.level(m.Level)
	if !ok {
		return empty, nil
	}
	numbers := make([]int32, cells)
	s, err := d.surface(ctx, level, numbers)
	if err != nil {
		return empty, err
	}
	progress(0.55)
	if m.MinComponent > 0 && len(s.Faces) > 0 {
		if s, err = cleaned(ctx, s, m.MinComponent); err != nil {
			return empty, err
		}
	}
	if len(s.Vertices) == 0 || len(s.Faces) == 0 {
		return empty, nil
	}
	if err := taubin(ctx, &s, m.Smooth); err != nil {
		return empty, err
	}
	progress(0.7)
	s.Colors, err = d.colors(ctx, s.Vertices, numbers, float32(m.Sharpen))
	if err != nil {
		return empty, err
	}
	s.Channels = 3
	for i := range s.Vertices {
		if i%3 != 0 {
			s.Vertices[i] = -s.Vertices[i]
		}
	}
	progress(1)
	return s, nil
}

// density is a grid of cells, x slowest, over Gaussians.
type density struct {
	it     *geometry.SplatItem
	origin [3]float32
	cell   float32 // side
	size   [3]int
	reach  []int16      // of each Gaussian, in cells
	forms  [][6]float32 // inverse covariances: xx, xy, xz, yy, yz, zz
	values []float32
}

func newDensity(ctx context.Context, it *geometry.SplatItem, m Meshing) (*density, error) {
	d := &density{it: it}
	middle, err := median(ctx, it.Scales)
	if err != nil {
		return nil, err
	}
	pad := 4 * middle
	lo, hi := [3]float32(it.Positions[:3]), [3]float32(it.Positions[:3])
	for i, v := range it.Positions {
		lo[i%3], hi[i%3] = min(lo[i%3], v), max(hi[i%3], v)
	}
	longest := float32(0)
	for a := range 3 {
		lo[a], hi[a] = lo[a]-pad, hi[a]+pad
		longest = max(longest, hi[a]-lo[a])
	}
	d.origin, d.cell = lo, max(longest/float32(m.Resolution), 1e-8)
	for a := range 3 {
		d.size[a] = int(math.Ceil(float64((hi[a]-lo[a])/d.cell))) + 1
	}
	n := it.Count()
	d.reach, d.forms = make([]int16, n), make([][6]float32, n)
	return d, geometry.Each(ctx, n, func(i int) {
		widest := max(it.Scales[3*i], it.Scales[3*i+1], it.Scales[3*i+2])
		d.reach[i] = int16(min(max(math.Ceil(float64(3*widest/d.cell)), 1), float64(m.Kernel)))
		q := it.Rotations[4*i : 4*i+4]
		var inv vec
		for a := range 3 {
			inv[a] = 1 / max(float64(it.Scales[3*i+a]), 1e-8)
		}
		for k, v := range covariance(quat{float64(q[0]), float64(q[1]), float64(q[2]), float64(q[3])}.matrix(), inv) {
			d.forms[i][k] = float32(v)
		}
	})
}

// median is the lower of the two middle values.
func median(ctx context.Context, values []float32) (float32, error) {
	sorted := slices.Clone(values)
	err := geometry.Sort(ctx, sorted)
	return sorted[(len(sorted)-1)/2], err
}

// each calls visit with the weight of each Gaussian in each cell within three standard deviations. Cells of one x are visited
// by one goroutine, in the order of the Gaussians by reach.
func (d *density) each(ctx context.Context, visit func(cell, i int, w float32), progress func(float64)) error {
	order := make([]geometry.Half, len(d.reach))
	for i, r := range d.reach {
		order[i] = geometry.Half{Key: uint64(r), Half: int32(i)} //nolint:gosec // bounded by memory
	}
	if err := geometry.SortHalves(ctx, order); err != nil {
		return err
	}
	const parts = 2
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() {
			from, to := d.size[0]*p/parts, d.size[0]*(p+1)/parts
			for k := range order {
				const often = 4096
				if k%often == 0 {
					if ctx.Err() != nil {
						return
					}
					if p == 0 && progress != nil {
						progress(float64(k) / float64(len(order)))
					}
				}
				d.gaussian(int(order[k].Half), from, to, visit)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// gaussian visits the cells of one Gaussian with x from one to another. Cells beyond the grid count to its border.
func (d *density) gaussian(i, from, to int, visit func(cell, i int, w float32)) {
	center := [3]float32(d.it.Positions[3*i : 3*i+3])
	reach := int(d.reach[i])
	var first [3]int
	for a := range 3 {
		first[a] = int(math.RoundToEven(float64((center[a]-d.origin[a])/d.cell))) - reach
	}
	offset := func(a, cell int) float32 { return d.origin[a] + float32(float32(cell)*d.cell) - center[a] }
	f, opacity := &d.forms[i], d.it.Opacities[i]
	inside := func(a, cell int) int { return min(max(cell, 0), d.size[a]-1) }
	for x := first[0]; x <= first[0]+2*reach; x++ {
		cx := inside(0, x)
		if cx < from || cx >= to {
			continue
		}
		dx := offset(0, x)
		for y := first[1]; y <= first[1]+2*reach; y++ {
			dy := offset(1, y)
			row := (cx*d.size[1] + inside(1, y)) * d.size[2]
			base := f[0]*dx*dx + 2*f[1]*dx*dy + f[3]*dy*dy
			linear := 2 * (f[2]*dx + f[4]*dy)
			for z := first[2]; z <= first[2]+2*reach; z++ {
				dz := offset(2, z)
				q := base + dz*(linear+f[5]*dz)
				const beyond = 9
				if q < beyond {
					visit(row+inside(2, z), i, opacity*expNeg(-0.5*max(q, 0)))
				}
			}
		}
	}
}

// level returns the density at the surface.
func (d *density) level(bias float64) (float64, bool) {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range d.values {
		lo, hi = min(lo, v), max(hi, v)
	}
	var occupied []float32
	for _, v := range d.values {
		if v > hi*1e-3 {
			occupied = append(occupied, v)
		}
	}
	if len(occupied) == 0 {
		return 0, false
	}
	a, b := float64(lo), float64(hi)
	return min(max(otsu(occupied)*bias, a+1e-6*(b-a)), b-1e-6*(b-a)), true
}

// otsu returns the value that splits values into two classes with the largest variance between them.
func otsu(values []float32) float64 {
	const bins = 256
	first, last := slices.Min(values), slices.Max(values)
	if first == last { // as numpy widens an empty range
		first, last = first-0.5, last+0.5
	}
	var edges [bins + 1]float32
	step := (last - first) / bins
	for i := range edges {
		edges[i] = float32(float32(i)*step) + first
	}
	edges[bins] = last
	var counts [bins]float64
	for _, v := range values {
		b := min(int(float32((v-first)/(last-first))*bins), bins-1)
		if b > 0 && v < edges[b] {
			b--
		} else if b < bins-1 && v >= edges[b+1] {
			b++
		}
		counts[b]++
	}
	var weight, mean [bins]float64
	w, m := 0.0, 0.0
	centers := [bins]float64{}
	for i, c := range counts {
		centers[i] = float64((edges[i] + edges[i+1]) * 0.5)
		w += c
		m += c * centers[i]
		weight[i], mean[i] = w, m
	}
	best, most := 0, math.Inf(-1)
	for i := range bins {
		back, front := weight[i], w-weight[i]
		between := -1.0
		if back > 0 && front > 0 {
			diff := mean[i]/back - (m-mean[i])/front
			between = back * front * diff * diff
		}
		if between > most {
			best, most = i, between
		}
	}
	return centers[best]
}

// colors returns the linear colors at vertices: the Gaussians' colors, weighted in the cells around each vertex and
// interpolated between them. numbers is as large as the grid; its content is overwritten.
func (d *density) colors(ctx context.Context, vertices []float32, numbers []int32, sharpen float32) ([]float32, error) {
	clear(numbers)
	count := int32(0)
	err := d.corners(ctx, vertices, func(cell int, _ float64) {
		if numbers[cell] == 0 {
			count++
			numbers[cell] = count
		}
	}, func() {})
	if err != nil {
		return nil, err
	}
	sums := make([][4]float32, count+1)
	err = d.each(ctx, func(cell, i int, w float32) {
		k := numbers[cell]
		if k == 0 {
			return
		}
		switch sharpen {
		case 1:
		case 2:
			w *= w
		default:
			w = float32(math.Pow(float64(w), float64(sharpen)))
		}
		s, rgb := &sums[k], d.it.Color(i)
		s[0], s[1], s[2], s[3] = s[0]+w*rgb[0], s[1]+w*rgb[1], s[2]+w*rgb[2], s[3]+w
	}, nil)
	if err != nil {
		return nil, err
	}
	out := make([]float32, 0, len(vertices))
	var mix [4]float64
	err = d.corners(ctx, vertices, func(cell int, part float64) {
		for k, v := range sums[numbers[cell]] {
			mix[k] += part * float64(v)
		}
	}, func() {
		for _, v := range mix[:3] {
			out = append(out, toLinear(float32(min(max(v/max(mix[3], 1e-8), 0), 1))))
		}
		mix = [4]float64{}
	})
	return out, err
}

// corners visits the eight cells around each vertex with their parts in it; done is called behind each vertex.
func (d *density) corners(ctx context.Context, vertices []float32, visit func(cell int, part float64), done func()) error {
	return geometry.Each(ctx, len(vertices)/3, func(vertex int) {
		i := 3 * vertex
		var low [3]int
		var part [3]float64
		for a := range 3 {
			at := min(max(float64((vertices[i+a]-d.origin[a])/d.cell), 0), float64(d.size[a]-1))
			low[a] = min(int(at), max(d.size[a]-2, 0))
			part[a] = at - float64(low[a])
		}
		for corner := range 8 {
			p, cell := 1.0, 0
			for a := range 3 {
				bit := corner >> a & 1
				p *= float64(bit)*part[a] + float64(1-bit)*(1-part[a])
				cell = cell*d.size[a] + min(low[a]+bit, d.size[a]-1)
			}
			visit(cell, p)
		}
		done()
	})
}
