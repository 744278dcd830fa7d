package codec

import "image"

// Scratch holds buffers that the row conversions of one goroutine reuse. The zero value is ready.
type Scratch struct {
	frame        *Frame
	smooth       bool
	across, down []tap
	cb, cr       []float32
	cb19, cr19   []int64
	bytes        []byte
}

// tap says from which two samples of a row or column of subsampled chroma one pixel takes its own, and how much of the
// second.
type tap struct {
	first, second int
	share         float32
}

// repeated gives each of the samples to the same number of pixels.
func repeated(pixels, samples int) []tap {
	step := (pixels + samples - 1) / samples
	out := make([]tap, pixels)
	for i := range out {
		j := min(i/step, samples-1)
		out[i] = tap{first: j, second: j}
	}
	return out
}

// between takes the two samples around the middle of each pixel, where a sample is step pixels wide, and the nearest at
// the edges.
func between(pixels, samples int, step float64) []tap {
	out := make([]tap, pixels)
	for i := range out {
		at := max((float64(i)+0.5)/step-0.5, 0)
		j := min(int(at), samples-1)
		out[i] = tap{first: j, second: min(j+1, samples-1), share: float32(at - float64(j))}
	}
	return out
}

// chromaSize is the number of chroma samples of a frame in both directions.
func (f *Frame) chromaSize() (w, h int) {
	w, h = f.Width, f.Height
	switch f.YUV.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		return (w + 1) / 2, (h + 1) / 2
	case image.YCbCrSubsampleRatio422:
		return (w + 1) / 2, h
	case image.YCbCrSubsampleRatio440:
		return w, (h + 1) / 2
	case image.YCbCrSubsampleRatio411:
		return (w + 3) / 4, h
	case image.YCbCrSubsampleRatio410:
		return (w + 3) / 4, (h + 1) / 2
	}
	return w, h
}

// use prepares the taps of a frame. smooth selects those of libjpeg, which Pillow decodes with; the others are those of
// FFmpeg's swscale.
func (s *Scratch) use(f *Frame, smooth bool) {
	if s.frame == f && s.smooth == smooth {
		return
	}
	s.frame, s.smooth = f, smooth
	const halves = 2
	w, h := f.Width, f.Height
	cw, ch := f.chromaSize()
	s.across, s.down = repeated(w, cw), repeated(h, ch)
	half := func(pixels, samples int) bool { return samples == (pixels+1)/2 && samples < pixels }
	switch {
	case f.Layout != FullYUV:
		s.across, s.down = between(w, cw, halves), between(h, ch, halves)
		if !smooth && w%Aligned == 0 { // chroma is stretched over an odd height
			s.down = between(h, ch, float64(h)/float64(ch))
		}
	case smooth:
		if half(w, cw) {
			s.across = between(w, cw, halves)
		}
		if half(h, ch) {
			s.down = between(h, ch, halves)
		}
	default:
		if half(h, ch) && half(w, cw) {
			s.down = between(h, ch, float64(h)/float64(ch))
		}
		if h%2 == 1 && w%2 == 1 && half(w, cw) {
			s.across = between(w, cw, float64(w)/float64(cw))
		}
	}
	s.cb, s.cr = make([]float32, cw), make([]float32, cw)
	s.cb19, s.cr19 = make([]int64, cw), make([]int64, cw)
	s.bytes = make([]byte, 3*w)
}

// mix makes one row of a plane of two.
func mix(to []float32, plane []byte, stride int, t tap) {
	first, second := plane[t.first*stride:], plane[t.second*stride:]
	for i := range to {
		a := float32(first[i])
		to[i] = a + t.share*(float32(second[i])-a)
	}
}

func rounded(v float32) byte { return byte(max(0, min(v+0.5, 255))) }

// fullRow is a row of full-range YCbCr as upstream's decoder gives it: 8-bit RGB divided by 255.
func (f *Frame) fullRow(y int, rgb []float32, s *Scratch) {
	s.use(f, false)
	ratio := f.YUV.SubsampleRatio
	switch {
	case f.Height%2 == 0 && (ratio == image.YCbCrSubsampleRatio420 || ratio == image.YCbCrSubsampleRatio422):
		f.inWords(y, s.bytes)
	default:
		f.smoothed(y, s.bytes, s)
	}
	for i, v := range s.bytes {
		rgb[i] = float32(v) / 255
	}
}

// inWords converts as swscale's vectors of 16-bit words do: differences times eight, by coefficients of BT.601 times 2^13;
// the upper word is kept, rounded down. Halved chroma is repeated.
func (f *Frame) inWords(y int, to []byte) {
	const (
		bits           = 13
		vToR, uToB     = 11485, 14516
		uToG, vToG     = -2819, -5850
		least, highest = 0, 255
	)
	clip := func(v int) byte { return byte(max(least, min(v, highest))) }
	img := f.YUV
	at := img.COffset(0, y)
	luma, cb, cr := img.Y[img.YOffset(0, y):], img.Cb[at:], img.Cr[at:]
	for x := range f.Width {
		l, u, v := int(luma[x]), int(cb[x/2])-128, int(cr[x/2])-128
		to[3*x] = clip(l + v*vToR>>bits)
		to[3*x+1] = clip(l + u*uToG>>bits + v*vToG>>bits)
		to[3*x+2] = clip(l + u*uToB>>bits)
	}
}

// smoothed converts a row of full range with chroma mixed by the taps, rounded to 8 bits.
func (f *Frame) smoothed(y int, to []byte, s *Scratch) {
	img := f.YUV
	mix(s.cb, img.Cb, img.CStride, s.down[y])
	mix(s.cr, img.Cr, img.CStride, s.down[y])
	luma := img.Y[y*img.YStride:]
	for x, t := range s.across {
		b := s.cb[t.first] + t.share*(s.cb[t.second]-s.cb[t.first]) - 128
		r := s.cr[t.first] + t.share*(s.cr[t.second]-s.cr[t.first]) - 128
		l := float32(luma[x])
		to[3*x], to[3*x+1], to[3*x+2] = rounded(l+1.402*r), rounded(l-0.344136*b-0.714136*r), rounded(l+1.772*b)
	}
}

// limitedRow converts a row of limited-range YCbCr to planar float as swscale does: chroma is mixed with 19 bits.
func (f *Frame) limitedRow(y int, rgb []float32, s *Scratch) {
	s.use(f, false)
	img := f.YUV
	f.chroma19(s.cb19, img.Cb, s.down[y])
	f.chroma19(s.cr19, img.Cr, s.down[y])
	luma := img.Y[y*img.YStride:]
	const units, whole = 11, 1 << 14 // 2048 units to one of 255; weights have 14 bits
	for x, t := range s.across {
		second := int64(t.share*whole + 0.5)
		u := (s.cb19[t.first]*(whole-second) + s.cb19[t.second]*second) >> 14
		v := (s.cr19[t.first]*(whole-second) + s.cr19[t.second]*second) >> 14
		fromYUV(rgb[3*x:3*x+3], int64(luma[x])<<units, u, v)
	}
}

// chroma19 mixes two rows of a chroma plane, in 2048 units to one of 255.
func (f *Frame) chroma19(to []int64, plane []byte, t tap) {
	const units, whole = 11, 1 << 12
	second := int64(t.share*whole + 0.5)
	a, b := plane[t.first*f.YUV.CStride:], plane[t.second*f.YUV.CStride:]
	for i := range to {
		to[i] = (int64(a[i])*(whole-second) + int64(b[i])*second) << units >> 12
	}
}
