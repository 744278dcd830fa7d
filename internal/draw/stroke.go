package draw

import (
	"math"

	"golang.org/x/image/vector"
)

// flat is a point of a flattened contour.
type flat struct{ x, y float64 }

// flattened is a contour as short lines, without repeated points.
func flattened(curves []curve) []flat {
	var out []flat
	add := func(x, y float64) {
		if n := len(out); n == 0 || math.Hypot(out[n-1].x-x, out[n-1].y-y) > 1e-9 {
			out = append(out, flat{x, y})
		}
	}
	for _, c := range curves {
		// The distance of the curve from its chord in 1/64 pixel determines the number of lines.
		off := math.Hypot(c.x0-2*c.x1+c.x2, c.y0-2*c.y1+c.y2) / 4
		steps := 1
		if off > 0 {
			steps = max(1, int(math.Ceil(math.Sqrt(off)))) * 2
		}
		if off < 1e-6 {
			steps = 1
		}
		for i := range steps {
			add(c.at(float64(i) / float64(steps)))
		}
	}
	if n := len(out); n > 1 && math.Hypot(out[n-1].x-out[0].x, out[n-1].y-out[0].y) <= 1e-9 {
		out = out[:n-1]
	}
	return out
}

// traceOutline draws the contours moved outwards by width, round at corners: outside is on the left of TrueType contours, which run
// clockwise around what is filled.
func (g *glyphOutline) traceOutline(z *vector.Rasterizer, place func(x, y float64) (float32, float32), width float64) {
	for _, c := range g.curves() {
		points := widened(flattened(c), width)
		for i, p := range points {
			if x, y := place(p.x, p.y); i == 0 {
				z.MoveTo(x, y)
			} else {
				z.LineTo(x, y)
			}
		}
		z.ClosePath()
	}
}

// widened moves a closed contour to its left.
func widened(points []flat, width float64) []flat {
	n := len(points)
	if n < 2 {
		return nil
	}
	var out []flat
	for i, p := range points {
		before, after := points[(i+n-1)%n], points[(i+1)%n]
		a, b := math.Atan2(p.y-before.y, p.x-before.x), math.Atan2(after.y-p.y, after.x-p.x)
		turn := math.Remainder(b-a, 2*math.Pi)
		left := func(angle float64) flat {
			return flat{p.x - width*math.Sin(angle), p.y + width*math.Cos(angle)}
		}
		if turn > 0 {
			out = append(out, inner(p, before, after, a, turn, width)...)
			continue
		}
		// An arc around an outer corner, in steps that are off by less than 1/64 pixel.
		steps := max(1, int(math.Ceil(-turn/math.Acos(max(1-0.5/width, 0.5))/2)))
		for k := range steps + 1 {
			out = append(out, left(a+turn*float64(k)/float64(steps)))
		}
	}
	return out
}

// inner joins two moved lines at an inner corner at their intersection, or side by side if they are too short for that.
func inner(p, before, after flat, angle, turn, width float64) []flat {
	reach := width * math.Tan(turn/2)
	shorter := min(math.Hypot(p.x-before.x, p.y-before.y), math.Hypot(after.x-p.x, after.y-p.y))
	if reach >= 0 && reach <= shorter {
		far := width / math.Cos(turn/2)
		middle := angle + turn/2
		return []flat{{p.x - far*math.Sin(middle), p.y + far*math.Cos(middle)}}
	}
	next := angle + turn
	return []flat{
		{p.x - width*math.Sin(angle), p.y + width*math.Cos(angle)},
		{p.x - width*math.Sin(next), p.y + width*math.Cos(next)},
	}
}
