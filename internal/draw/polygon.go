package draw

import (
	"math"
	"slices"
)

// edge is one of a polygon: its ends (the first is x, y), the rows and columns that it spans, and how far it goes to the right in a row.
type edge struct {
	x, y                   int
	top, bottom, low, high int
	slope                  float32
}

func newEdge(a, b Point) edge {
	e := edge{x: a.X, y: a.Y, top: min(a.Y, b.Y), bottom: max(a.Y, b.Y), low: min(a.X, b.X), high: max(a.X, b.X)}
	if a.Y != b.Y {
		e.slope = float32(b.X-a.X) / float32(b.Y-a.Y)
	}
	return e
}

// at is where the edge crosses a row.
func (e edge) at(y int) float32 { return float32(y-e.y)*e.slope + float32(e.x) }

func (e edge) spans(y int) bool { return y >= e.top && y <= e.bottom }

// Area fills a polygon as Pillow's ImageDraw.polygon does: its border belongs to it.
func (c *Canvas) Area(points []Point, color []byte) {
	if len(points) == 0 {
		return
	}
	points = slices.Clone(points)
	for i, p := range points {
		points[i] = Point{bounded(p.X), bounded(p.Y)}
	}
	var edges []edge
	for i := range len(points) - 1 {
		a, b := points[i], points[i+1]
		if n := len(edges) - 1; a.Y == b.Y && i > 0 && a.Y == points[i-1].Y { // a level edge behind another one goes on with it
			switch before := points[i-1].X; {
			case b.X > a.X && a.X > before:
				edges[n].high = b.X
				continue
			case b.X < a.X && a.X < before:
				edges[n].low = b.X
				continue
			}
		}
		edges = append(edges, newEdge(a, b))
	}
	if last := points[len(points)-1]; last != points[0] {
		edges = append(edges, newEdge(last, points[0]))
	}
	c.scan(edges, color)
}

// scan fills what lies between edges, row by row.
func (c *Canvas) scan(edges []edge, color []byte) {
	top, bottom := c.Height-1, 0
	var steep []edge
	for _, e := range edges {
		top, bottom = min(top, e.top), max(bottom, e.bottom)
		if e.top == e.bottom {
			c.Row(e.low, e.high, e.top, color)
		} else {
			steep = append(steep, e)
		}
	}
	for y := max(top, 0); y <= min(bottom, c.Height-1); y++ {
		var crossed []float32
		for i, e := range steep {
			if !e.spans(y) {
				continue
			}
			x := e.at(y)
			switch {
			case y == e.bottom && y < bottom:
				crossed = append(crossed, x)
			case (y == e.top || y == e.bottom) && e.slope != 0:
				x = corner(steep[:i], e, y, x)
			}
			crossed = append(crossed, x)
		}
		slices.Sort(crossed)
		for i := 1; i < len(crossed); i += 2 {
			c.Row(up(crossed[i-1]), down(crossed[i]), y, color)
		}
	}
}

// corner moves the end x of an edge in a row to where an edge before it, with an end at the same place, leaves a gap in the next row.
func corner(before []edge, e edge, y int, x float32) float32 {
	for _, o := range before {
		if y != o.top && y != o.bottom || o.slope == 0 || round(x) != round(o.at(y)) {
			continue
		}
		next := y + 1
		if y == e.bottom {
			next = y - 1
		}
		if !o.spans(next) {
			continue
		}
		switch a, b := e.at(next), o.at(next); {
		case x > a+1 && x > b+1:
			return round(max(a, b)) + 1
		case x < a-1 && x < b-1:
			return round(min(a, b)) - 1
		}
		return x
	}
	return x
}

func round(v float32) float32 { return float32(math.Round(float64(v))) }

// up and down round to whole numbers; halves go away from zero, or towards it.
func up(v float32) int { return int(math.Round(float64(v))) }

func down(v float32) int {
	return int(math.Copysign(math.Ceil(math.Abs(float64(v))-0.5), float64(v)))
}

// Line draws a line between two pixels as Pillow's ImageDraw.line does.
func (c *Canvas) Line(a, b Point, width int, color []byte) {
	a, b = Point{bounded(a.X), bounded(a.Y)}, Point{bounded(b.X), bounded(b.Y)}
	if width <= 1 {
		c.thin(a, b, color)
		return
	}
	dx, dy := float64(b.X-a.X), float64(b.Y-a.Y)
	if a == b {
		c.Set(a.X, a.Y, color)
		return
	}
	length, half := math.Hypot(dx, dy), float64(width-1)/2
	halves := func(v float64) (low, high int) {
		low = int(math.Copysign(math.Ceil(math.Abs(v)-0.5), v))
		return low, int(math.Round(v))
	}
	lower, upper := halves(half)
	small, large := float64(lower)/length, float64(upper)/length
	left, _ := halves(small * dy)
	right, _ := halves(large * dy)
	_, above := halves(small * dx)
	_, below := halves(large * dx)
	p := []Point{{a.X - left, a.Y + below}, {b.X - left, b.Y + below}, {b.X + right, b.Y - above}, {a.X + right, a.Y - above}}
	edges := make([]edge, 0, len(p))
	for i := range p {
		edges = append(edges, newEdge(p[i], p[(i+1)%len(p)]))
	}
	c.scan(edges, color)
}

// thin draws a line of single pixels (Bresenham), of which only those on the canvas are walked.
func (c *Canvas) thin(a, b Point, color []byte) {
	dx, dy := b.X-a.X, b.Y-a.Y
	wide := max(dx, -dx) > max(dy, -dy)
	start, step, size := a.Y, sign(dy), c.Height
	long, short := max(dy, -dy), max(dx, -dx)
	if wide {
		start, step, size = a.X, sign(dx), c.Width
		long, short = short, long
	}
	from, to := 0, long-1
	switch step {
	case 1:
		from, to = max(from, -start), min(to, size-1-start)
	case -1:
		from, to = max(from, start-size+1), min(to, start)
	}
	for k := from; k <= to; k++ {
		across := (2*short*k + long) / (2 * long)
		if wide {
			c.Set(a.X+k*step, a.Y+across*sign(dy), color)
		} else {
			c.Set(a.X+across*sign(dx), a.Y+k*step, color)
		}
	}
	c.Set(b.X, b.Y, color)
}

func sign(v int) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
