package draw

import (
	"image"
	"math"
	"strings"

	"golang.org/x/image/vector"
)

// Face is the font at one size. Its results equal those of Pillow with FreeType and the layout engine BASIC: one glyph behind the
// other on whole pixels, without kerning.
type Face struct {
	size            int
	glyphs          []glyphOutline
	ascent, descent int // in pixels, the descent below 0
}

// MaxSize bounds the size of a Face.
const MaxSize = 1 << 14

// NewFace returns the font at a size of 1 to MaxSize pixels.
func NewFace(size int) *Face {
	f := theFont()
	scale := float64(size) / float64(f.units)
	return &Face{
		size: size, glyphs: f.scaled(size),
		ascent: int(math.Ceil(float64(f.ascent)*scale - 1e-6)), descent: int(math.Floor(float64(f.descent)*scale + 1e-6)),
	}
}

// glyph is the outline for a character; characters that the font lacks have that of glyph 0.
func (f *Face) glyph(r rune) *glyphOutline { return &f.glyphs[theFont().characters[r]] }

// Advance is the width of a character in pixels.
func (f *Face) Advance(r rune) int { return f.glyph(r).advance / 64 }

// Length is the width of a text of one line in pixels.
func (f *Face) Length(text string) int {
	n := 0
	for _, r := range text {
		n += f.Advance(r)
	}
	return n
}

// Anchor is the point of a text that lies at its position: Left, Middle or Right of its ascender line.
type Anchor uint8

// Anchors.
const (
	Left Anchor = iota
	Middle
	Right
)

// box is the box around a line of text in pixels, upwards from the baseline: that of all glyphs and of the pen's way. The
// offsets lead from the position to the upper left.
type box struct{ width, height, xOffset, yOffset int }

func (f *Face) box(text string, anchor Anchor) (b box) {
	var xMin, xMax, yMin, yMax, pen int
	for _, r := range text {
		g := f.glyph(r)
		left, bottom, right, top := g.bounds()
		xMin, xMax = min(xMin, pen+left), max(xMax, pen+right, pen+g.advance/64)
		yMin, yMax = min(yMin, bottom), max(yMax, top)
		pen += g.advance / 64
	}
	at := 0
	switch anchor {
	case Middle:
		at = (pen*32 + 32) >> 6
	case Right:
		at = pen
	}
	if text == "" {
		return box{}
	}
	return box{xMax - xMin, yMax - yMin, xMin - at, f.ascent - yMax}
}

// bounds is the box of whole pixels around a glyph's points.
func (g *glyphOutline) bounds() (left, bottom, right, top int) {
	for i, p := range g.points {
		l, b, r, t := p.x>>6, p.y>>6, (p.x+63)>>6, (p.y+63)>>6
		if i == 0 {
			left, bottom, right, top = l, b, r, t
		}
		left, bottom, right, top = min(left, l), min(bottom, b), max(right, r), max(top, t)
	}
	return left, bottom, right, top
}

// Text is a text to draw by Canvas.Text.
type Text struct {
	Face *Face
	// Lines are separated by line breaks; Spacing is added to their height, and Anchor holds for each line.
	Text    string
	Spacing int
	Anchor  Anchor
	// Stroke is the width of the outline in pixels.
	Stroke int
}

// line is one line with its position.
type line struct {
	x, y float64
	text string
}

// lines places the lines of a text whose first one lies at x, y.
func (t *Text) lines(x, y float64) []line {
	parts := strings.Split(t.Text, "\n")
	if len(parts) == 1 {
		return []line{{x, y, t.Text}}
	}
	b := t.Face.box("A", Left)
	height := float64(b.yOffset + b.height + 2*t.Stroke + t.Spacing)
	out := make([]line, len(parts))
	for i, p := range parts {
		out[i] = line{x, y + float64(i)*height, p}
	}
	return out
}

// Bounds is the box around the text at x, y.
func (t *Text) Bounds(x, y float64) (left, top, right, bottom float64) {
	s := float64(t.Stroke)
	for i, l := range t.lines(x, y) {
		b := t.Face.box(l.text, t.Anchor)
		x0, y0 := float64(b.xOffset)-s+l.x, float64(b.yOffset)-s+l.y
		x1, y1 := x0+float64(b.width)+2*s, y0+float64(b.height)+2*s
		if i == 0 {
			left, top, right, bottom = x0, y0, x1, y1
		}
		left, top, right, bottom = min(left, x0), min(top, y0), max(right, x1), max(bottom, y1)
	}
	return left, top, right, bottom
}

// Text draws a text with its outline below it. Over pixels of four channels that are transparent the color is taken whole.
func (c *Canvas) Text(t Text, x, y float64, color, outline []byte) {
	for _, l := range t.lines(x, y) {
		if t.Stroke > 0 {
			c.line(&t, l, t.Stroke, outline)
			if string(outline) == string(color) {
				continue
			}
		}
		c.line(&t, l, 0, color)
	}
}

// line draws one line, or its outline.
func (c *Canvas) line(t *Text, l line, stroke int, color []byte) {
	b := t.Face.box(l.text, t.Anchor)
	if b.width == 0 || b.height == 0 {
		return
	}
	wholeX, partX := math.Modf(l.x)
	wholeY, partY := math.Modf(l.y)
	left, top := int(wholeX)+b.xOffset-stroke, int(wholeY)+b.yOffset-stroke
	width, height := b.width+int(math.Ceil(float64(2*stroke)+partX)), b.height+int(math.Ceil(float64(2*stroke)+partY))
	if left >= c.Width || top >= c.Height || left+width <= 0 || top+height <= 0 || width <= 0 || height <= 0 {
		return
	}
	m := t.Face.mask(l.text, width, height, stroke, partX, partY)
	c.paint(m, left, top, width, color)
}

// mask renders a line of text into an image of coverage.
func (f *Face) mask(text string, width, height, stroke int, partX, partY float64) []byte {
	var xMin, yMax, pen int
	for _, r := range text {
		g := f.glyph(r)
		left, _, _, top := g.bounds()
		xMin, yMax = min(xMin, pen+left), max(yMax, top)
		pen += g.advance / 64
	}
	out := make([]byte, width*height)
	// Rounded to 1/64 pixel, then to whole ones.
	x := (int(math.Round((float64(stroke-xMin)+partX)*64)) + 32) >> 6
	y := (int(math.Round((float64(-yMax-stroke)-partY)*64)) + 32) >> 6
	for _, r := range text {
		g := f.glyph(r)
		pix, left, top, w := g.render(stroke)
		if w > 0 {
			cover(out, width, height, pix, x+left, -(y + top), w)
		}
		x += g.advance / 64
	}
	return out
}

// cover draws a glyph's coverage over the canvas.
func cover(out []byte, width, height int, pix []byte, left, top, w int) {
	for i, v := range pix {
		x, y := left+i%w, top+i/w
		if v == 0 || x < 0 || y < 0 || x >= width || y >= height {
			continue
		}
		to := &out[y*width+x]
		*to = byte(min(int(v)+scaled255(int(*to)*(255-int(v))), 255))
	}
}

// scaled255 is v/255, rounded, as Pillow computes it.
func scaled255(v int) int {
	v += 128
	return (v>>8 + v) >> 8
}

// paint blends a color by coverage.
func (c *Canvas) paint(mask []byte, left, top, width int, color []byte) {
	for i, m := range mask {
		x, y := left+i%width, top+i/width
		if m == 0 || x < 0 || y < 0 || x >= c.Width || y >= c.Height {
			continue
		}
		p := c.Pix[(y*c.Width+x)*c.Channels:][:c.Channels]
		clear := c.Channels == 4 && p[3] == 0
		for k := range p {
			by := int(m)
			if clear && k != 3 {
				by = 255
			}
			p[k] = byte(scaled255(int(p[k])*(255-by) + int(color[k])*by))
		}
	}
}

// render is a glyph's coverage, w pixels wide, with its left and upper edge from the pen, upwards.
func (g *glyphOutline) render(stroke int) (pix []byte, left, top, w int) {
	if len(g.points) == 0 {
		return nil, 0, 0, 0
	}
	l, b, r, t := g.bounds()
	l, b, r, t = l-stroke, b-stroke, r+stroke, t+stroke
	w, h := r-l, t-b
	if w == 0 || h == 0 {
		return nil, 0, 0, 0
	}
	z := vector.NewRasterizer(w, h)
	place := func(x, y float64) (float32, float32) { return float32(x/64 - float64(l)), float32(float64(t) - y/64) }
	if stroke == 0 {
		g.trace(z, place)
	} else {
		g.traceOutline(z, place, float64(stroke)*64)
	}
	out := image.NewAlpha(image.Rect(0, 0, w, h))
	z.Draw(out, out.Bounds(), image.Opaque, image.Point{})
	return out.Pix, l, t, w
}

// trace draws the contours.
func (g *glyphOutline) trace(z *vector.Rasterizer, place func(x, y float64) (float32, float32)) {
	for _, c := range g.curves() {
		z.MoveTo(place(c[0].x0, c[0].y0))
		for _, s := range c {
			n := s.lines()
			for i := 1; i <= n; i++ {
				z.LineTo(place(s.at(float64(i) / float64(n))))
			}
		}
		z.ClosePath()
	}
}

// curve is a quadratic curve; of a line the control point lies in the middle.
type curve struct{ x0, y0, x1, y1, x2, y2 float64 }

// lines returns the number of lines that FreeType's rasterizer draws the curve with: it doubles them while the curve deviates by
// more than a sixteenth of a pixel.
func (c curve) lines() int {
	n := 1
	for off := max(math.Abs(c.x0+c.x2-2*c.x1), math.Abs(c.y0+c.y2-2*c.y1)); off > 64.0/4; off /= 4 {
		n *= 2
	}
	return n
}

// at is a point of the curve.
func (c curve) at(t float64) (x, y float64) {
	u := 1 - t
	return u*u*c.x0 + 2*u*t*c.x1 + t*t*c.x2, u*u*c.y0 + 2*u*t*c.y1 + t*t*c.y2
}

// curves are the closed contours.
func (g *glyphOutline) curves() [][]curve {
	var out [][]curve
	first := 0
	for _, end := range g.contours {
		points := g.points[first:end]
		first = end
		if len(points) < 2 {
			continue
		}
		if c := contour(points); len(c) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// contour joins points; between two control points lies one on the curve.
func contour(points []outlinePoint) []curve {
	n := len(points)
	mid := func(a, b outlinePoint) (float64, float64) { return float64(a.x+b.x) / 2, float64(a.y+b.y) / 2 }
	start := 0
	for start < n && !points[start].on {
		start++
	}
	var x, y float64
	if start == n { // no point lies on the curve
		x, y = mid(points[n-1], points[0])
		start = -1
	} else {
		x, y = float64(points[start].x), float64(points[start].y)
	}
	var out []curve
	for i := 1; i <= n; i++ {
		p, next := points[(start+i+n)%n], points[(start+i+1+n)%n]
		if p.on {
			out = append(out, curve{x, y, (x + float64(p.x)) / 2, (y + float64(p.y)) / 2, float64(p.x), float64(p.y)})
			x, y = float64(p.x), float64(p.y)
			continue
		}
		x2, y2 := mid(p, next)
		if next.on {
			x2, y2 = float64(next.x), float64(next.y)
			i++
		}
		out = append(out, curve{x, y, float64(p.x), float64(p.y), x2, y2})
		x, y = x2, y2
	}
	return out
}
