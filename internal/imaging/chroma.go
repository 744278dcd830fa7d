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

// jpegColours brings the colours of a JPEG file to 8 bits as FFmpeg's swscale does for upstream: it gives halved colours to the
// pixels as they are when the height is even, and smooths them otherwise, along the rows for odd widths alone.
func jpegColours(img image.Image) image.Image {
	y, ok := img.(*image.YCbCr)
	if !ok {
		return img
	}
	w, h := y.Rect.Dx(), y.Rect.Dy()
	across, down := whole(w), whole(h)
	switch y.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
		return smoothed(y, across, down, fullRange)
	case image.YCbCrSubsampleRatio420:
		down = between(h, (h+1)/2, float64(h)/float64((h+1)/2))
	case image.YCbCrSubsampleRatio422:
	default:
		return img
	}
	if h%2 == 0 {
		return inWords(y)
	}
	across = repeated(w)
	if w%2 == 1 {
		across = between(w, (w+1)/2, float64(w)/float64((w+1)/2))
	}
	return smoothed(y, across, down, fullRange)
}

// fullRange is JFIF's conversion.
func fullRange(y, cb, cr float32) (r, g, b float32) {
	return y + 1.402*cr, y - 0.344136*cb - 0.714136*cr, y + 1.772*cb
}

// inWords converts as swscale's vectors of 16-bit words do: differences times eight, by coefficients of BT.601 times 2^13, of which the
// upper word is kept, rounded down.
func inWords(img *image.YCbCr) *image.RGBA {
	const (
		bits           = 13
		vToR, uToB     = 11485, 14516
		uToG, vToG     = -2819, -5850
		least, highest = 0, 255
	)
	out := image.NewRGBA(image.Rectangle{Max: img.Rect.Size()})
	w, h := img.Rect.Dx(), img.Rect.Dy()
	clip := func(v int) byte { return byte(max(least, min(v, highest))) }
	parallel(h, w*8, func(from, to int) {
		for y := from; y < to; y++ {
			row := out.Pix[y*out.Stride:]
			at := img.COffset(img.Rect.Min.X, img.Rect.Min.Y+y)
			luma, cb, cr := img.Y[img.YOffset(img.Rect.Min.X, img.Rect.Min.Y+y):], img.Cb[at:], img.Cr[at:]
			for x := range w {
				l, u, v := int(luma[x]), int(cb[x/2])-128, int(cr[x/2])-128
				row[4*x] = clip(l + v*vToR>>bits)
				row[4*x+1] = clip(l + u*uToG>>bits + v*vToG>>bits)
				row[4*x+2] = clip(l + u*uToB>>bits)
				row[4*x+3] = 255
			}
		}
	})
	return out
}

// halvedHeight spreads colour as libwebp does.
func halvedHeight(_, h int) []place {
	const halves = 2
	return between(h, (h+1)/2, halves)
}

// stretchedHeight spreads the colour of still pictures as upstream does, by way of FFmpeg: it enlarges pictures whose width is no multiple
// of 32 before they are converted; in the others colour is stretched over an odd height.
func stretchedHeight(w, h int) []place {
	if w%enlarged != 0 {
		return halvedHeight(w, h)
	}
	return between(h, (h+1)/2, float64(h)/float64((h+1)/2))
}

// webpColours brings the colours of a lossy WebP file to 8 bits. Its colour is halved both ways and smoothed, luma is 16…235
// and colour differences are 16…240 of BT.601.
func webpColours(img *image.YCbCr, down func(w, h int) []place) *image.RGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	const halves, luma, colour = 2, 255.0 / 219, 255.0 / 224
	return smoothed(img, between(w, (w+1)/2, halves), down(w, h), func(y, cb, cr float32) (r, g, b float32) {
		return fullRange((y-16)*luma, cb*colour, cr*colour)
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
