package imaging

import "image"

// place says from which two samples of a row or column of halved colour one pixel takes its own, and how much of the second.
type place struct {
	first, second int
	share         float32
}

// repeated gives each sample to two pixels.
func repeated(pixels int) []place {
	out := make([]place, pixels)
	for i := range out {
		out[i] = place{first: i / 2, second: i / 2}
	}
	return out
}

// between takes the two samples around the middle of each pixel, where a sample is step pixels wide, and the nearest at the edges.
func between(pixels, samples int, step float64) []place {
	out := make([]place, pixels)
	for i := range out {
		at := max((float64(i)+0.5)/step-0.5, 0)
		j := min(int(at), samples-1)
		out[i] = place{first: j, second: min(j+1, samples-1), share: float32(at - float64(j))}
	}
	return out
}

// whole gives every pixel a sample of its own.
func whole(pixels int) []place {
	out := make([]place, pixels)
	for i := range out {
		out[i] = place{first: i, second: i}
	}
	return out
}

// jpegColours brings the colours of a JPEG file to 8 bits as FFmpeg's swscale does for upstream: it gives halved colour to
// the pixels as it is when the height is even, which Picture.Tensors does too, and smooths it otherwise, along the rows for
// odd widths alone.
func jpegColours(img image.Image) image.Image {
	y, ok := img.(*image.YCbCr)
	if !ok {
		return img
	}
	w, h := y.Rect.Dx(), y.Rect.Dy()
	if h%2 == 0 {
		return img
	}
	across, down := repeated(w), whole(h)
	if w%2 == 1 {
		across = between(w, (w+1)/2, float64(w)/float64((w+1)/2))
	}
	switch y.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		down = between(h, (h+1)/2, float64(h)/float64((h+1)/2))
	case image.YCbCrSubsampleRatio422:
	default:
		return img
	}
	return smoothed(y, across, down, func(y, cb, cr float32) (r, g, b float32) {
		return y + 1.402*cr, y - 0.344136*cb - 0.714136*cr, y + 1.772*cb
	})
}

// webpColours brings the colours of a lossy WebP file to 8 bits. Its colour is halved both ways and smoothed, luma is 16…235
// and colour differences are 16…240 of BT.601. Upstream enlarges pictures whose width is no multiple of 32 before they are
// converted; in the others colour is stretched over an odd height.
func webpColours(img *image.YCbCr) *image.RGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	const halves, luma, colour = 2, 255.0 / 219, 255.0 / 224
	down := between(h, (h+1)/2, halves)
	if w%enlarged == 0 {
		down = between(h, (h+1)/2, float64(h)/float64((h+1)/2))
	}
	return smoothed(img, between(w, (w+1)/2, halves), down, func(y, cb, cr float32) (r, g, b float32) {
		y, cb, cr = (y-16)*luma, cb*colour, cr*colour
		return y + 1.402*cr, y - 0.344136*cb - 0.714136*cr, y + 1.772*cb
	})
}

// smoothed makes an opaque picture; convert gets luma in 0…255 and the colour differences about zero.
func smoothed(img *image.YCbCr, across, down []place, convert func(y, cb, cr float32) (r, g, b float32)) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: img.Rect.Size()})
	columns := across[len(across)-1].second + 1
	parallel(len(down), len(across)*16, func(from, to int) {
		cb, cr := make([]float32, columns), make([]float32, columns)
		for y := from; y < to; y++ {
			mixRow(cb, img.Cb, img.CStride, down[y])
			mixRow(cr, img.Cr, img.CStride, down[y])
			luma := img.Y[y*img.YStride:]
			row := out.Pix[y*out.Stride:]
			for x, p := range across {
				b := cb[p.first] + p.share*(cb[p.second]-cb[p.first])
				r := cr[p.first] + p.share*(cr[p.second]-cr[p.first])
				red, green, blue := convert(float32(luma[x]), b-128, r-128)
				row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = rounded(red), rounded(green), rounded(blue), 255
			}
		}
	})
	return out
}

// mixRow makes one row of a plane of two.
func mixRow(to []float32, plane []byte, stride int, p place) {
	first, second := plane[p.first*stride:], plane[p.second*stride:]
	for i := range to {
		a := float32(first[i])
		to[i] = a + p.share*(float32(second[i])-a)
	}
}

func rounded(v float32) byte { return byte(max(0, min(v+0.5, 255))) }
