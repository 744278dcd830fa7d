package webp

// Prediction modes of whole macroblocks.
const (
	modeDC = iota
	modeV
	modeH
	modeTM
)

// square is the part of a reconstructed plane that one macroblock covers: size 16 or 8, its corner at x, y.
type square struct {
	pix          []uint8
	stride, size int
	x, y         int
}

func (s *square) at(x, y int) int32 { return int32(s.pix[(s.y+y)*s.stride+s.x+x]) }

// modes lists the modes that need no pixels from beyond the image.
func (s *square) modes() []int {
	switch {
	case s.x == 0 && s.y == 0:
		return []int{modeDC}
	case s.y == 0:
		return []int{modeDC, modeH}
	case s.x == 0:
		return []int{modeDC, modeV}
	}
	return []int{modeDC, modeV, modeH, modeTM}
}

// predict fills out, size*size values, from the row above and the column to the left.
func (s *square) predict(mode int, out []uint8) {
	n := s.size
	dc := int32(0)
	if mode == modeDC {
		dc = s.mean()
	}
	for y := range n {
		for x := range n {
			var v int32
			switch mode {
			case modeDC:
				v = dc
			case modeV:
				v = s.at(x, -1)
			case modeH:
				v = s.at(-1, y)
			default:
				v = s.at(x, -1) + s.at(-1, y) - s.at(-1, -1)
			}
			out[y*n+x] = clip8(v)
		}
	}
}

// mean is the average of the neighbours that exist.
func (s *square) mean() int32 {
	sum, count := int32(0), int32(0)
	for i := range s.size {
		if s.y > 0 {
			sum, count = sum+s.at(i, -1), count+1
		}
		if s.x > 0 {
			sum, count = sum+s.at(-1, i), count+1
		}
	}
	if count == 0 {
		return 128
	}
	return (sum + count/2) / count
}

// distance is the sum of squared differences of a prediction and the image at the same place.
func (s *square) distance(want, got []uint8) int64 {
	sum := int64(0)
	for y := range s.size {
		row := want[(s.y+y)*s.stride+s.x:]
		for x := range s.size {
			d := int64(row[x]) - int64(got[y*s.size+x])
			sum += d * d
		}
	}
	return sum
}
