package codec

import "image"

// Canvas is the RGBA image that the frames of an animation are laid on.
type Canvas struct {
	w, h int
	pix  []byte
	row  []byte
}

// NewCanvas makes an empty canvas, zero everywhere.
func NewCanvas(w, h int) *Canvas {
	return &Canvas{w: w, h: h, pix: make([]byte, 4*w*h), row: make([]byte, 4*w)}
}

// part is row y of the pixels in r.
func (c *Canvas) part(r image.Rectangle, y int) []byte {
	return c.pix[4*(y*c.w+r.Min.X):][:4*r.Dx()]
}

// Draw lays a frame on the rectangle at, which has its size and lies on the canvas: in place of what is there when blend
// is nil, else pixel by pixel.
func (c *Canvas) Draw(f *Frame, at image.Rectangle, blend func(to, from []byte), s *Scratch) {
	row := c.row[:4*f.Width]
	for y := range f.Height {
		f.RGBA(y, row, s)
		to := c.part(at, at.Min.Y+y)
		if blend == nil {
			copy(to, row)
			continue
		}
		for i := 0; i < len(to); i += 4 {
			blend(to[i:i+4], row[i:i+4])
		}
	}
}

// Fill sets the pixels of a rectangle.
func (c *Canvas) Fill(r image.Rectangle, pixel [4]byte) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		to := c.part(r, y)
		for i := 0; i < len(to); i += 4 {
			copy(to[i:], pixel[:])
		}
	}
}

// Save copies the pixels of a rectangle, Restore puts them back.
func (c *Canvas) Save(r image.Rectangle) []byte {
	out := make([]byte, 0, 4*r.Dx()*r.Dy())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		out = append(out, c.part(r, y)...)
	}
	return out
}

// Restore puts pixels back that Save has copied.
func (c *Canvas) Restore(r image.Rectangle, saved []byte) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		saved = saved[copy(c.part(r, y), saved):]
	}
}

// Copy writes the canvas to a frame of its size with 8-bit channels; gray is taken from red.
func (c *Canvas) Copy(to *Frame) {
	n := to.Layout.Channels()
	if n == 4 {
		copy(to.Pix, c.pix)
		return
	}
	for i, k := 0, 0; i < len(c.pix); i, k = i+4, k+n {
		copy(to.Pix[k:k+n], c.pix[i:i+n])
		if n == 2 {
			to.Pix[k+1] = c.pix[i+3]
		}
	}
}

// Paint sets pixels of row y from column x on to colors by their indices; those without alpha leave what is there.
func (c *Canvas) Paint(x, y int, indices []byte, colors *[256][4]byte) {
	for i, index := range indices {
		if v := colors[index]; v[3] != 0 && x+i < c.w {
			copy(c.pix[4*(y*c.w+x+i):], v[:])
		}
	}
}
