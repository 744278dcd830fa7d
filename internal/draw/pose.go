package draw

import "math"

// The shapes of this file are those that ComfyUI's pose nodes draw where OpenCV is not installed.

// Disc fills the pixels whose centers lie within a radius.
func (c *Canvas) Disc(cx, cy int, radius float64, color []byte) {
	reach := int(math.Ceil(radius))
	for y := max(cy-reach, 0); y <= min(cy+reach, c.Height-1); y++ {
		for x := max(cx-reach, 0); x <= min(cx+reach, c.Width-1); x++ {
			dx, dy := float64(x-cx), float64(y-cy)
			if float64(dx*dx)+float64(dy*dy) <= radius*radius {
				c.Set(x, y, color)
			}
		}
	}
}

// Stroke draws a line (Bresenham) of discs; both ends lie on the canvas. A width of 1 draws single pixels.
func (c *Canvas) Stroke(x0, y0, x1, y1, width int, color []byte) {
	dx, dy, sx, sy := x1-x0, y1-y0, 1, 1
	if x0 >= x1 {
		dx, sx = -dx, -1
	}
	if y0 >= y1 {
		dy, sy = -dy, -1
	}
	for slack := dx - dy; ; {
		if width > 1 {
			c.Disc(x0, y0, float64(width)/2+0.5, color)
		} else {
			c.Set(x0, y0, color)
		}
		if x0 == x1 && y0 == y1 {
			return
		}
		twice := 2 * slack
		if twice > -dy {
			slack -= dy
			x0 += sx
		}
		if twice < dx {
			slack += dx
			y0 += sy
		}
	}
}

// Point is a pixel.
type Point struct{ X, Y int }

// Polygon fills a polygon: a pixel is inside where an odd number of edges lie on its left or under it. Rows on the lower end of
// an edge do not count.
func (c *Canvas) Polygon(points []Point, color []byte) {
	if len(points) < 3 {
		return
	}
	top, bottom, left, right := points[0].Y, points[0].Y, points[0].X, points[0].X
	for _, p := range points {
		top, bottom, left, right = min(top, p.Y), max(bottom, p.Y), min(left, p.X), max(right, p.X)
	}
	left, right = max(left, 0), min(right, c.Width-1)
	if left > right {
		return
	}
	inside := make([]bool, right-left+2) // whether the parity changes at a column
	for y := max(top, 0); y <= min(bottom, c.Height-1); y++ {
		clear(inside)
		for i, from := range points {
			to := points[(i+1)%len(points)]
			if from.Y > to.Y {
				from, to = to, from
			}
			if y < from.Y || y >= to.Y {
				continue
			}
			at := math.Ceil(float64(from.X) + float64(y-from.Y)*float64(to.X-from.X)/float64(to.Y-from.Y))
			if column := int(min(max(at, float64(left)), float64(right+1))) - left; column <= right-left {
				inside[column] = !inside[column]
			}
		}
		odd := false
		for x := left; x <= right; x++ {
			if odd = odd != inside[x-left]; odd {
				c.Set(x, y, color)
			}
		}
	}
}

// Oval returns the outline of an ellipse in steps of one degree, turned by angle degrees.
func Oval(cx, cy, semiX, semiY, angle int) []Point {
	a, b := float64(semiX)+0.5, float64(semiY)+0.5
	turn := float64(((angle % 360) + 360) % 360)
	sin, cos := math.Sincos(turn * (math.Pi / 180))
	var out []Point
	for degree := range 361 {
		s, k := math.Sincos(float64(degree) * (math.Pi / 180))
		x, y := a*k, b*s
		p := Point{
			int(math.RoundToEven(float64(cx) + float64(x*cos) - float64(y*sin))),
			int(math.RoundToEven(float64(cy) + float64(x*sin) + float64(y*cos))),
		}
		if len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	return out
}
