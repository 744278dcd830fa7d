package codec

// Turned is the size of an image that is shown turned by an EXIF orientation.
func Turned(orientation, w, h int) (int, int) {
	if orientation >= 5 && orientation <= 8 {
		return h, w
	}
	return w, h
}

// Shown returns where pixel x, y of a stored image of w by h is shown (EXIF 2.3, tag Orientation).
func Shown(orientation, x, y, w, h int) (int, int) {
	rx, ry := w-1-x, h-1-y
	switch orientation {
	case 2:
		return rx, y
	case 3:
		return rx, ry
	case 4:
		return x, ry
	case 5:
		return y, x
	case 6:
		return ry, x
	case 7:
		return ry, rx
	case 8:
		return y, rx
	}
	return x, y
}
