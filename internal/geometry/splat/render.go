package splat

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"

	"comfygo/internal/geometry"
)

// Rendering configures how splats are drawn.
type Rendering struct {
	Width, Height int
	// Scale multiplies the size of the Gaussians.
	Scale float64
	// Sharpen above 1 gives the densest of overlapping Gaussians more weight in colors.
	Sharpen float64
	// Headlight darkens surfaces that are turned away from the camera.
	Headlight float64
	// Style is "color", "clay", "depth" or "normal".
	Style string
	// Background is a color; Plate, when not nil, is an image [Height,Width,3] in its place.
	Background [3]float32
	Plate      []float32
}

// RenderBytes bounds the memory of rendering n Gaussians.
func (o *Rendering) RenderBytes(n int) int64 {
	const perSplat, perPixel = 200, 4 * 24
	return perSplat*int64(n) + perPixel*int64(o.Width)*int64(o.Height)
}

// Render draws splats: each pixel's ray meets each Gaussian at its densest point, and layers of the depth are blended from
// front to back. It returns the image [Height,Width,3] and how much of each pixel is covered [Height,Width].
//
// The weights follow "Does 3D Gaussian Splatting Need Accurate Volumetric Rendering" and Hahlbohm et al. (perspective-correct
// splatting), as ComfyUI has them: within a layer sums do not depend on the order.
func Render(ctx context.Context, it *geometry.SplatItem, c Camera, o Rendering) (img, mask []float32, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	p, err := project(ctx, it, c, &o)
	if err != nil {
		return nil, nil, err
	}
	if len(p.splats) == 0 {
		img = make([]float32, 3*o.Width*o.Height)
		if o.Style == "color" {
			for i := range o.Width * o.Height {
				b := o.background(i)
				copy(img[3*i:], b[:])
			}
		}
		clip(img)
		return img, make([]float32, o.Width*o.Height), nil
	}
	layers := newLayers(p, &o)
	if err := layers.draw(ctx); err != nil {
		return nil, nil, err
	}
	img, mask = layers.shade()
	return img, mask, nil
}

func (o *Rendering) background(pixel int) [3]float32 {
	if o.Plate != nil {
		return [3]float32(o.Plate[3*pixel : 3*pixel+3])
	}
	return o.Background
}

func (o *Rendering) depth() bool { return o.Style == "depth" }
func (o *Rendering) normals() bool {
	return o.Style == "normal" || o.Style == "clay" || o.Headlight > 0
}

func clip(v []float32) {
	for i := range v {
		v[i] = min(max(v[i], 0), 1)
	}
}

// splat is a Gaussian as the camera sees it.
type splat struct {
	x, y   int32 // pixel of its center
	window int32 // pixels to each side that it may cover
	// quadratic form of the inverse covariance, cross terms doubled
	s00, s11, s22, s01, s02, s12 float64
	// the form applied to the center, and the center's own value; of parallel projection the center itself
	m0, m1, m2, mm float64
	opacity        float32
	depth          float32
	rgb, normal    [3]float32
}

// projected are the Gaussians before the camera.
type projected struct {
	splats       []splat
	order        []geometry.Half // their numbers from front to back
	ortho        bool
	focal, scale float64 // pixels at distance 1; of parallel projection pixels of a unit
}

// level bounds the window of Gaussians up to a radius.
var windowLevels = []float64{16, 64, 256}

func project(ctx context.Context, it *geometry.SplatItem, c Camera, o *Rendering) (projected, error) {
	eye, axes := c.basis()
	p := projected{ortho: len(c.Type) >= 5 && lower(c.Type[:5]) == "ortho"}
	p.focal = float64(min(o.Width, o.Height)) / 2 / math.Tan(radians(c.FOV)/2) * c.Zoom
	p.scale = p.focal / max(vec(c.Target).flipped().sub(eye).length(), 1e-6)
	radii := make([]float64, 0, it.Count())
	err := geometry.Each(ctx, it.Count(), func(i int) {
		if s, radius, ok := p.splat(it, i, eye, axes, o); ok {
			p.splats = append(p.splats, s)
			radii = append(radii, radius)
		}
	})
	if err != nil || len(p.splats) == 0 {
		return p, err
	}
	if err := p.windows(ctx, radii, o); err != nil {
		return p, err
	}
	p.order = make([]geometry.Half, len(p.splats))
	for i := range p.splats {
		p.order[i] = geometry.Half{Key: geometry.FloatKey(p.splats[i].depth), Half: int32(i)} //nolint:gosec // bounded by memory
	}
	return p, geometry.SortHalves(ctx, p.order)
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// splat projects one Gaussian; it returns false if it is not before the camera or has no extent.
func (p *projected) splat(it *geometry.SplatItem, i int, eye vec, axes [3]vec, o *Rendering) (s splat, radius float64, ok bool) {
	at := vec{float64(it.Positions[3*i]), float64(it.Positions[3*i+1]), float64(it.Positions[3*i+2])}.sub(eye)
	x, y, z := axes[0].dot(at), axes[1].dot(at), axes[2].dot(at)
	const near = 1e-2
	if !(z > near) {
		return s, 0, false
	}
	q := it.Rotations[4*i : 4*i+4]
	r := quat{float64(q[0]), float64(q[1]), float64(q[2]), float64(q[3])}.matrix()
	var m [3]vec // from the Gaussian's axes to the camera's
	for a := range 3 {
		for b := range 3 {
			m[a][b] = axes[a].dot(column(r, b))
		}
	}
	var sizes vec
	for a := range 3 {
		sizes[a] = float64(it.Scales[3*i+a]) * o.Scale
	}
	cov := covariance(m, sizes)
	extra := (cov[0] + cov[3] + cov[5]) / 3 * 1e-3 // keeps flat Gaussians invertible
	cov[0], cov[3], cov[5] = cov[0]+extra, cov[3]+extra, cov[5]+extra
	inv, ok := inverse(cov)
	if !ok {
		return s, 0, false
	}
	s.s00, s.s01, s.s02, s.s11, s.s12, s.s22 = inv[0], 2*inv[1], 2*inv[2], inv[3], 2*inv[4], inv[5]
	var cx, cy float64
	var j [2]vec // the projection's derivative
	if p.ortho {
		s.m0, s.m1, s.m2 = x, y, z
		cx, cy = p.scale*x, p.scale*y
		j = [2]vec{{p.scale, 0, 0}, {0, p.scale, 0}}
	} else {
		s.m0, s.m1, s.m2 = inv[0]*x+inv[1]*y+inv[2]*z, inv[1]*x+inv[3]*y+inv[4]*z, inv[2]*x+inv[4]*y+inv[5]*z
		s.mm = x*s.m0 + y*s.m1 + z*s.m2
		cx, cy = p.focal*x/z, p.focal*y/z
		j = [2]vec{{p.focal / z, 0, -p.focal * x / (z * z)}, {0, p.focal / z, -p.focal * y / (z * z)}}
	}
	cx, cy = cx+float64(o.Width)/2, cy+float64(o.Height)/2
	const far = 1 << 28
	if !(math.Abs(cx) < far && math.Abs(cy) < far) {
		return s, 0, false
	}
	s.x, s.y = int32(math.RoundToEven(cx)), int32(math.RoundToEven(cy))
	a, b, d := form(cov, j[0], j[0]), form(cov, j[0], j[1]), form(cov, j[1], j[1])
	radius = 3 * math.Sqrt(max((a+d)/2+math.Sqrt(max((a-d)*(a-d)/4+b*b, 0)), 1e-8))
	s.opacity, s.depth = it.Opacities[i], float32(z)
	s.rgb = it.Color(i)
	switch o.Style {
	case "color":
		for c := range s.rgb {
			s.rgb[c] = toLinear(s.rgb[c])
		}
	case "clay":
		s.rgb = [3]float32{0.75, 0.75, 0.75}
	}
	if o.normals() {
		s.normal = facing(m, sizes)
	}
	return s, radius, true
}

// covariance returns M diag(size²) Mᵀ: xx, xy, xz, yy, yz, zz.
func covariance(m [3]vec, size vec) [6]float64 {
	var out [6]float64
	i := 0
	for a := range 3 {
		for b := a; b < 3; b++ {
			for k := range 3 {
				out[i] += m[a][k] * size[k] * size[k] * m[b][k]
			}
			i++
		}
	}
	return out
}

// inverse inverts a symmetric matrix; false when it cannot be.
func inverse(m [6]float64) (inv [6]float64, ok bool) {
	a, b, c, d, e, f := m[0], m[1], m[2], m[3], m[4], m[5]
	inv = [6]float64{d*f - e*e, c*e - b*f, b*e - c*d, a*f - c*c, b*c - a*e, a*d - b*b}
	det := a*inv[0] + b*inv[1] + c*inv[2]
	if !(math.Abs(det) > 0) || math.IsInf(det, 0) {
		return inv, false
	}
	for i := range inv {
		inv[i] /= det
		if math.IsInf(inv[i], 0) {
			return inv, false
		}
	}
	return inv, true
}

// form returns u M v of a symmetric matrix.
func form(m [6]float64, u, v vec) float64 {
	return u[0]*(m[0]*v[0]+m[1]*v[1]+m[2]*v[2]) + u[1]*(m[1]*v[0]+m[3]*v[1]+m[4]*v[2]) + u[2]*(m[2]*v[0]+m[4]*v[1]+m[5]*v[2])
}

// facing returns the thinnest axis, turned to the camera.
func facing(m [3]vec, size vec) [3]float32 {
	thin := 0
	for a := range 3 {
		if size[a] < size[thin] {
			thin = a
		}
	}
	n := column(m, thin)
	if n[2] > 0 {
		n = n.times(-1)
	}
	return [3]float32{float32(n[0]), float32(n[1]), float32(n[2])}
}

// windows bounds what each Gaussian covers: by its radius in a few steps, and by what all but the largest need.
func (p *projected) windows(ctx context.Context, radii []float64, o *Rendering) error {
	large, err := quantile(ctx, radii, 0.995)
	if err != nil {
		return err
	}
	most := math.Min(float64(max(24, min(o.Width, o.Height)/16)), max(2, math.Ceil(large)))
	for i := range p.splats {
		window := most
		for _, l := range windowLevels {
			if l < most && radii[i]*(4.0/3) <= l {
				window = l
				break
			}
		}
		// beyond nine standard deviations nothing is left
		p.splats[i].window = int32(min(window, math.Ceil(3*radii[i])+2))
	}
	return nil
}

// quantile interpolates between the values around a rank; values stay in their order.
func quantile(ctx context.Context, values []float64, q float64) (float64, error) {
	const most = 1 << 24 // what upstream looks at
	if step := len(values)/most + 1; len(values) > most {
		var some []float64
		for i := 0; i < len(values); i += step {
			some = append(some, values[i])
		}
		values = some
	}
	sorted := slices.Clone(values)
	if err := geometry.Sort(ctx, sorted); err != nil {
		return 0, err
	}
	rank := q * float64(len(sorted)-1)
	low := int(rank)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (rank-float64(low))*(sorted[high]-sorted[low]), nil
}

// layers are sums over the pixels of an image.
type layers struct {
	p                            projected
	o                            *Rendering
	through                      []float32 // light that passes what is in front
	colors, depth, normals       []float32 // blended
	alpha, clear, weight         []float32 // of the layer: sums of opacity, product of what passes, weights of colors
	color, layerDepth, layerNorm []float32 // of the layer
	spans                        [][2]int32
}

func newLayers(p projected, o *Rendering) *layers {
	n := o.Width * o.Height
	l := &layers{p: p, o: o, through: ones(n), colors: make([]float32, 3*n), alpha: make([]float32, n), clear: ones(n), color: make([]float32, 3*n)}
	l.weight = l.alpha
	if o.Sharpen != 1 {
		l.weight = make([]float32, n)
	}
	if o.depth() {
		l.depth, l.layerDepth = make([]float32, n), make([]float32, n)
	}
	if o.normals() {
		l.normals, l.layerNorm = make([]float32, 3*n), make([]float32, 3*n)
	}
	l.spans = make([][2]int32, o.Height)
	for y := range l.spans {
		l.spans[y] = [2]int32{int32(o.Width), 0} //nolint:gosec // an image
	}
	return l
}

func ones(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// draw adds layer after layer, in bands of rows. It ends when little light is left in two checks in a row, as upstream does.
func (l *layers) draw(ctx context.Context) error {
	n := len(l.p.splats)
	count := min(256, max(1, n/1000))
	bound := func(i int) int { return int(math.RoundToEven(float64(n) * float64(i) / float64(count))) }
	const check, enough = 8, 1e-3
	bands := min(l.o.Height, 4*runtime.GOMAXPROCS(0))
	stale := 0
	for from := 0; from < count; from += check {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		to := min(from+check, count)
		most := make([]float32, bands)
		var wg sync.WaitGroup
		for b := range bands {
			wg.Go(func() {
				y0, y1 := l.o.Height*b/bands, l.o.Height*(b+1)/bands
				for i := from; i < to; i++ {
					for k := bound(i); k < bound(i+1); k++ {
						if k&0x3ff == 0 && ctx.Err() != nil {
							return
						}
						l.add(&l.p.splats[l.p.order[k].Half], int32(y0), int32(y1)) //nolint:gosec // an image
					}
					most[b] = l.blend(y0, y1)
				}
			})
		}
		wg.Wait()
		if to-from < check || slices.Max(most) >= enough {
			stale = 0
		} else if stale++; stale >= 2 {
			break
		}
	}
	return nil
}

// add adds a Gaussian to the layer, in rows from y0 to y1.
func (l *layers) add(s *splat, y0, y1 int32) {
	w := int32(l.o.Width) //nolint:gosec // an image
	x0, x1 := max(s.x-s.window, 0), min(s.x+s.window+1, w)
	y0, y1 = max(s.y-s.window, y0), min(s.y+s.window+1, y1)
	if x0 >= x1 || y0 >= y1 {
		return
	}
	half := float64(l.o.Width) / 2
	for y := y0; y < y1; y++ {
		line := l.line(s, float64(y)-float64(l.o.Height)/2)
		first, last := x1, x0
		row := int(y) * l.o.Width
		for x := x0; x < x1; x++ {
			q := line.at(float64(x) - half)
			const nothing = 40 // its weight is below 3e-9
			if q > nothing {
				continue
			}
			a := s.opacity
			if q > 0 {
				a *= expNeg(float32(-0.5 * q))
			}
			if !(a > 0) {
				continue
			}
			l.put(row+int(x), s, min(a, 0.999))
			first, last = min(first, x), x+1
		}
		if first < last {
			l.spans[y][0], l.spans[y][1] = min(l.spans[y][0], first), max(l.spans[y][1], last)
		}
	}
}

// line is the squared distance of the rays of an image row from a Gaussian: (c + bx + ax²) - (e + dx)²/(h + gx + fx²).
type line struct {
	a, b, c, d, e, f, g, h, step float64
}

// line prepares a row at a distance in pixels from the middle.
func (l *layers) line(s *splat, y float64) line {
	if l.p.ortho { // parallel rays from (x, y, 0) along z
		k := 1 / l.p.scale
		ry, rz := y*k-s.m1, -s.m2
		// with u = x*k - m0: s00 u² + (s01 ry + s02 rz) u + s11 ry² + s12 ry rz + s22 rz², minus (s02/2 u + s12/2 ry + s22 rz)²/s22
		b, c := s.s01*ry+s.s02*rz, s.s11*ry*ry+s.s12*ry*rz+s.s22*rz*rz
		d, e := s.s02/2, s.s12/2*ry+s.s22*rz
		return line{
			a: s.s00, b: b - 2*s.s00*s.m0, c: c - b*s.m0 + s.s00*s.m0*s.m0, d: d, e: e - d*s.m0,
			h: max(s.s22, 1e-12), step: k,
		}
	}
	k := 1 / l.p.focal
	dy := y * k
	return line{
		c: s.mm, d: s.m0, e: s.m2 + s.m1*dy,
		f: s.s00, g: s.s02 + s.s01*dy, h: s.s22 + dy*(s.s12+s.s11*dy), step: k,
	}
}

func (l *line) at(x float64) float64 {
	x *= l.step
	n := l.e + l.d*x
	return l.c + x*(l.b+l.a*x) - n*n/max(l.h+x*(l.g+l.f*x), 1e-12)
}

// put adds a Gaussian's part of a pixel.
func (l *layers) put(i int, s *splat, a float32) {
	l.alpha[i] += a
	l.clear[i] *= 1 - a
	w := a
	switch l.o.Sharpen {
	case 1:
	case 2:
		w = a * a
		l.weight[i] += w
	default:
		w = float32(math.Pow(float64(a), l.o.Sharpen))
		l.weight[i] += w
	}
	c := l.color[3*i : 3*i+3 : 3*i+3]
	c[0] += w * s.rgb[0]
	c[1] += w * s.rgb[1]
	c[2] += w * s.rgb[2]
	if l.depth != nil {
		l.layerDepth[i] += a * s.depth
	}
	if l.normals != nil {
		for k := range 3 {
			l.layerNorm[3*i+k] += a * s.normal[k]
		}
	}
}

// blend puts the layer behind what is in front, clears it, and returns the most light that it has taken at a pixel.
func (l *layers) blend(y0, y1 int) float32 {
	most := float32(0)
	for y := y0; y < y1; y++ {
		for i := y*l.o.Width + int(l.spans[y][0]); i < y*l.o.Width+int(l.spans[y][1]); i++ {
			if l.alpha[i] == 0 {
				continue
			}
			opaque := 1 - l.clear[i]
			front := l.through[i] * opaque
			most = max(most, front)
			const least = 1e-8
			w, a := max(l.weight[i], least), max(l.alpha[i], least)
			for c := 3 * i; c < 3*i+3; c++ {
				l.colors[c] += front * l.color[c] / w
				l.color[c] = 0
				if l.normals != nil {
					l.normals[c] += front * l.layerNorm[c] / a
					l.layerNorm[c] = 0
				}
			}
			if l.depth != nil {
				l.depth[i] += front * l.layerDepth[i] / a
				l.layerDepth[i] = 0
			}
			l.through[i] *= 1 - opaque
			l.alpha[i], l.weight[i], l.clear[i] = 0, 0, 1
		}
		l.spans[y] = [2]int32{int32(l.o.Width), 0} //nolint:gosec // an image
	}
	return most
}

// expNeg is e to a power of -20 to 0, to 2e-7 of its value.
func expNeg(x float32) float32 {
	const log2e, ln2hi, ln2lo = 1.44269504, 0.693359375, -2.12194440e-4
	n := int32(x*log2e - 0.5)
	f := float32(n)
	r := x - f*ln2hi - f*ln2lo
	p := float32(1.0 / 720)
	for _, c := range [...]float32{1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1} {
		p = p*r + c
	}
	return p * math.Float32frombits(uint32(127+n)<<23) //nolint:gosec // it is at least 98
}
