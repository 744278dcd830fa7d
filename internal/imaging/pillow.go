package imaging

import "image"

// SmoothJPEG brings the halved colours of a decoded JPEG file to 8 bits as libjpeg does for Pillow: between the two
// nearest samples by distance. Other pictures come back as they are.
func SmoothJPEG(img image.Image) image.Image {
	y, ok := img.(*image.YCbCr)
	if !ok || y.Rect.Empty() {
		return img
	}
	const halves = 2
	w, h := y.Rect.Dx(), y.Rect.Dy()
	across, down := whole(w), whole(h)
	switch y.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		across, down = between(w, (w+1)/2, halves), between(h, (h+1)/2, halves)
	case image.YCbCrSubsampleRatio422:
		across = between(w, (w+1)/2, halves)
	case image.YCbCrSubsampleRatio440:
		down = between(h, (h+1)/2, halves)
	default:
		return img
	}
	return smoothed(y, across, down, func(y, cb, cr float32) (r, g, b float32) {
		return y + 1.402*cr, y - 0.344136*cb - 0.714136*cr, y + 1.772*cb
	})
}
