package jpeg

import (
	"image"

	"comfygo/internal/imaging/codec"
)

// ratios are the subsamplings that image.YCbCr knows, by the factors of luma and chroma.
var ratios = map[[4]byte]image.YCbCrSubsampleRatio{
	{1, 1, 1, 1}: image.YCbCrSubsampleRatio444,
	{2, 1, 1, 1}: image.YCbCrSubsampleRatio422,
	{2, 2, 1, 1}: image.YCbCrSubsampleRatio420,
	{1, 2, 1, 1}: image.YCbCrSubsampleRatio440,
	{4, 1, 1, 1}: image.YCbCrSubsampleRatio411,
	{4, 2, 1, 1}: image.YCbCrSubsampleRatio410,
	{2, 2, 1, 2}: image.YCbCrSubsampleRatio422,
	{2, 2, 2, 1}: image.YCbCrSubsampleRatio440,
	{2, 2, 2, 2}: image.YCbCrSubsampleRatio444,
}

// ratio is the subsampling of YCbCr components; ok is false for those that image.YCbCr does not know.
func (h *header) ratio() (r image.YCbCrSubsampleRatio, ok bool) {
	c := h.components
	if c[1].h != c[2].h || c[1].v != c[2].v {
		return 0, false
	}
	r, ok = ratios[[4]byte{c[0].h, c[0].v, c[1].h, c[1].v}]
	return r, ok
}

// odd reports whether YCbCr components have to be brought to full size first.
func (h *header) odd() bool {
	if len(h.components) != 3 || h.rgb() {
		return false
	}
	_, ok := h.ratio()
	return !ok
}

func (d *decoder) frame(info codec.Info) *codec.Frame {
	f := &codec.Frame{Width: d.width, Height: d.height, Layout: info.Layout}
	switch {
	case len(d.components) == 1:
		f.Pix = packed(&d.components[0], d.width, d.height)
	case info.Layout == codec.FullYUV && !d.odd():
		ratio, _ := d.ratio()
		c := d.components
		f.YUV = &image.YCbCr{
			Y: c[0].plane, Cb: c[1].plane, Cr: c[2].plane, YStride: c[0].stride, CStride: c[1].stride,
			SubsampleRatio: ratio, Rect: image.Rect(0, 0, d.width, d.height),
		}
	case info.Layout == codec.FullYUV:
		f.YUV = image.NewYCbCr(image.Rect(0, 0, d.width, d.height), image.YCbCrSubsampleRatio444)
		for i, plane := range [][]byte{f.YUV.Y, f.YUV.Cb, f.YUV.Cr} {
			d.enlarge(plane, i, 1)
		}
	default:
		n := info.Layout.Channels()
		f.Pix = make([]byte, n*d.width*d.height)
		for i := range n {
			d.enlarge(f.Pix[i:], i, n)
		}
		if n == 4 {
			d.cmyk(f.Pix)
		}
	}
	return f
}

// packed moves the rows of a plane together.
func packed(c *component, w, h int) []byte {
	for y := 1; y < h; y++ {
		copy(c.plane[y*w:(y+1)*w], c.plane[y*c.stride:])
	}
	return c.plane[:w*h]
}

// enlarge writes a component at full size to every step-th byte.
func (d *decoder) enlarge(to []byte, index, step int) {
	c := &d.components[index]
	i := 0
	for y := range d.height {
		row := c.plane[y*int(c.v)/d.vMax*c.stride:]
		for x := range d.width {
			to[i] = row[x*int(c.h)/d.hMax]
			i += step
		}
	}
}

// cmyk makes opaque RGB of CMYK in Adobe's inverted form, or of YCCK, as FFmpeg does.
func (d *decoder) cmyk(pix []byte) {
	clip := func(v int32) int32 { return max(0, min(v, 255)) }
	for i := 0; i+3 < len(pix); i += 4 {
		p := pix[i : i+4]
		c, m, y, k := int32(p[0]), int32(p[1]), int32(p[2]), int32(p[3])
		if d.adobe == 2 {
			l, b, r := c, m-128, y-128
			c, m, y = clip(l+(91881*r+1<<15)>>16), clip(l-(22554*b+46802*r-1<<15)>>16), clip(l+(116130*b+1<<15)>>16)
		}
		p[0], p[1], p[2], p[3] = byte(c*k*257>>16), byte(m*k*257>>16), byte(y*k*257>>16), 255
	}
}
