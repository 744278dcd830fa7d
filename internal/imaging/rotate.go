package imaging

import (
	"math"
	"strconv"
)

// Rotate8 turns an 8-bit RGBA image counterclockwise by degrees, bicubic, and enlarges it to hold all of itself; the rest is
// transparent. The bytes are those of Pillow's Image.rotate with expand.
func Rotate8(pix []byte, w, h int, degrees float64) (out []byte, outW, outH int) {
	const channels = 4
	degrees = math.Mod(degrees, 360)
	if degrees < 0 {
		degrees += 360
	}
	switch degrees {
	case 0:
		return append([]byte(nil), pix...), w, h
	case 90, 180, 270:
		return quarterTurns(pix, w, h, int(degrees)/90)
	}
	m, outW, outH := turnMatrix(w, h, degrees)
	pix = premultiply(pix, channels)
	out = make([]byte, outW*outH*channels)
	parallel(outH, outW*100, func(from, to int) {
		for y := from; y < to; y++ {
			fy := float64(y) + 0.5
			for x := range outW {
				fx := float64(x) + 0.5
				cubicPixel(out[(y*outW+x)*channels:][:channels], pix, w, h, m[0]*fx+m[1]*fy+m[2], m[3]*fx+m[4]*fy+m[5])
			}
		}
	})
	unmultiply(out, channels)
	return out, outW, outH
}

// RotatedSize is the size of what Rotate8 returns.
func RotatedSize(w, h int, degrees float64) (outW, outH int) {
	_, outW, outH = turnMatrix(w, h, degrees)
	return outW, outH
}

func quarterTurns(pix []byte, w, h, turns int) ([]byte, int, int) {
	outW, outH := w, h
	if turns != 2 {
		outW, outH = h, w
	}
	out := make([]byte, len(pix))
	for y := range outH {
		for x := range outW {
			var sx, sy int
			switch turns {
			case 1:
				sx, sy = w-1-y, x
			case 2:
				sx, sy = w-1-x, h-1-y
			default:
				sx, sy = y, h-1-x
			}
			copy(out[(y*outW+x)*4:][:4], pix[(sy*w+sx)*4:])
		}
	}
	return out, outW, outH
}

// turnMatrix maps places of the turned image to those of the original.
func turnMatrix(w, h int, degrees float64) (m [6]float64, outW, outH int) {
	rounded := func(v float64) float64 {
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'f', 15, 64), 64)
		return v
	}
	angle := -degrees * (math.Pi / 180)
	sin, cos := math.Sincos(angle)
	m = [6]float64{rounded(cos), rounded(sin), 0, rounded(-sin), rounded(cos), 0}
	move := func(x, y float64) (float64, float64) {
		return float64(m[0]*x) + float64(m[1]*y) + m[2], float64(m[3]*x) + float64(m[4]*y) + m[5]
	}
	cx, cy := float64(w)/2, float64(h)/2
	x, y := move(-cx, -cy)
	m[2], m[5] = x+cx, y+cy
	left, right, top, bottom := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, corner := range [4][2]float64{{0, 0}, {float64(w), 0}, {float64(w), float64(h)}, {0, float64(h)}} {
		x, y := move(corner[0], corner[1])
		left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
	}
	outW, outH = int(math.Ceil(right)-math.Floor(left)), int(math.Ceil(bottom)-math.Floor(top))
	m[2], m[5] = move(-float64(outW-w)/2, -float64(outH-h)/2)
	return m, outW, outH
}

// cubicPixel interpolates RGBA at a place of the original; beyond its edges nothing is written.
func cubicPixel(out, pix []byte, w, h int, x, y float64) {
	if !(x >= 0 && x < float64(w) && y >= 0 && y < float64(h)) {
		return
	}
	x, y = x-0.5, y-0.5
	fx, fy := math.Floor(x), math.Floor(y)
	dx, dy := x-fx, y-fy
	var columns, rows [4]int
	for i := range columns {
		columns[i] = min(max(int(fx)-1+i, 0), w-1) * 4
		rows[i] = min(max(int(fy)-1+i, 0), h-1) * w * 4
	}
	for k := range out {
		var v [4]float64
		for i, row := range rows {
			v[i] = cubicAt(float64(pix[row+columns[0]+k]), float64(pix[row+columns[1]+k]), float64(pix[row+columns[2]+k]), float64(pix[row+columns[3]+k]), dx)
		}
		out[k] = byte(min(max(cubicAt(v[0], v[1], v[2], v[3], dy), 0), 255))
	}
}

// cubicAt is the cubic through four values, at d between the second and the third (Catmull-Rom with a = -1).
func cubicAt(v1, v2, v3, v4, d float64) float64 {
	p3 := 2*(v1-v2) + v3 - v4
	p4 := -v1 + v2 - v3 + v4
	return v2 + float64(d*(-v1+v3+float64(d*(p3+float64(d*p4)))))
}
