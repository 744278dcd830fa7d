// Package draw draws into 8-bit images as the libraries do that ComfyUI draws with: rectangles, ellipses, wide lines and text as
// Pillow's ImageDraw (src/libImaging/Draw.c, src/_imagingft.c), poses as the shapes of its own nodes. Pixels are replaced, not blended.
//
// It works on bytes. It must not know of tensors, nodes or files.
package draw

// Canvas is an image of rows of interleaved channels.
type Canvas struct {
	Pix                     []byte
	Width, Height, Channels int
}

// New returns a black canvas, transparent if it has four channels.
func New(width, height, channels int) *Canvas {
	return &Canvas{Pix: make([]byte, width*height*channels), Width: width, Height: height, Channels: channels}
}

// limit bounds coordinates: beyond it nothing of a shape can be told from what lies at the limit.
const limit = 1 << 24

func bounded(v int) int { return min(max(v, -limit), limit) }

// Set replaces one pixel; outside of the canvas nothing happens.
func (c *Canvas) Set(x, y int, color []byte) {
	if x >= 0 && y >= 0 && x < c.Width && y < c.Height {
		copy(c.Pix[(y*c.Width+x)*c.Channels:][:c.Channels], color)
	}
}

// Row fills the pixels x0 to x1, both included, of a row.
func (c *Canvas) Row(x0, x1, y int, color []byte) {
	if y < 0 || y >= c.Height {
		return
	}
	for x := max(x0, 0); x <= min(x1, c.Width-1); x++ {
		copy(c.Pix[(y*c.Width+x)*c.Channels:][:c.Channels], color)
	}
}

// Fill fills the rectangle with these corners, both included.
func (c *Canvas) Fill(x0, y0, x1, y1 int, color []byte) {
	for y := max(min(y0, y1), 0); y <= min(max(y0, y1), c.Height-1); y++ {
		c.Row(x0, x1, y, color)
	}
}

// Outline draws the border of a rectangle, inwards. Below twice the width of the border the sides overlap, as Pillow's do.
func (c *Canvas) Outline(x0, y0, x1, y1, width int, color []byte) {
	x0, y0, x1, y1 = bounded(x0), bounded(min(y0, y1)), bounded(x1), bounded(max(y0, y1))
	top, bottom := y0+width, y1-width+1
	for i := range width {
		c.Row(x0, x1, y0+i, color)
		c.Row(x0, x1, y1-i, color)
		// Lines leave their end out, whichever way they go.
		first, last := top, bottom-1
		if top > bottom {
			first, last = bottom+1, top
		}
		for y := max(first, 0); y <= min(last, c.Height-1); y++ {
			c.Set(x1-i, y, color)
			c.Set(x0+i, y, color)
		}
	}
}

// Ellipse fills the ellipse in the rectangle with these corners.
func (c *Canvas) Ellipse(x0, y0, x1, y1 int, color []byte) {
	a, b := x1-x0, y1-y0
	if a < 0 || b < 0 {
		return
	}
	// Coordinates are counted from the center in half pixels, so that those of a quarter have the parity of the axis. For
	// every row the outermost point counts.
	q := quarter{x: a, y: b % 2, a2: int64(a) * int64(a), b2: int64(b) * int64(b)}
	for done := -1; ; q.next() {
		if q.y != done {
			done = q.y
			c.Row(x0+(a-q.x)/2, x0+(a+q.x)/2, y0+(b+q.y)/2, color)
			c.Row(x0+(a-q.x)/2, x0+(a+q.x)/2, y0+(b-q.y)/2, color)
		}
		if q.x == a%2 && q.y == b {
			return
		}
	}
}

// quarter walks along a quarter of an ellipse, from its right end to its lower one.
type quarter struct {
	x, y   int
	a2, b2 int64
}

// off returns the distance of a point from the ellipse.
func (q *quarter) off(x, y int) int64 {
	v := q.a2*int64(y)*int64(y) + q.b2*int64(x)*int64(x) - q.a2*q.b2
	return max(v, -v)
}

func (q *quarter) next() {
	x, y, off := q.x, q.y+2, q.off(q.x, q.y+2)
	if q.x > 1 {
		if v := q.off(q.x-2, q.y+2); off > v {
			x, y, off = q.x-2, q.y+2, v
		}
		if v := q.off(q.x-2, q.y); off > v {
			x, y = q.x-2, q.y
		}
	}
	q.x, q.y = x, y
}

// Dash draws the line from x, y to the pixel on its right, width pixels wide: of an even width the larger half lies below.
func (c *Canvas) Dash(x, y, width int, color []byte) {
	c.Fill(x, y-(width-1)/2, x+1, y+width/2, color)
}
