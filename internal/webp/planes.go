package webp

import "image"

// planes are a picture in VP8's colours, luma at full and chroma at half size, padded to whole macroblocks.
type planes struct {
	mbw, mbh int // size in macroblocks of 16x16
	y, u, v  []uint8
}

func (p *planes) strideY() int { return 16 * p.mbw }
func (p *planes) strideC() int { return 8 * p.mbw }

func newPlanes(mbw, mbh int) *planes {
	n := mbw * mbh
	return &planes{mbw: mbw, mbh: mbh, y: make([]uint8, 256*n), u: make([]uint8, 64*n), v: make([]uint8, 64*n)}
}

// fromRGB converts a picture (BT.601, 16…235); the padding repeats the last row and column.
func fromRGB(img *image.NRGBA) *planes {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	p := newPlanes((w+15)/16, (h+15)/16)
	at := func(x, y int) (r, g, b int32) {
		i := min(y, h-1)*img.Stride + 4*min(x, w-1)
		return int32(img.Pix[i]), int32(img.Pix[i+1]), int32(img.Pix[i+2])
	}
	for y := range 16 * p.mbh {
		for x := range 16 * p.mbw {
			r, g, b := at(x, y)
			p.y[y*p.strideY()+x] = uint8((16839*r + 33059*g + 6420*b + 16<<16 + 1<<15) >> 16) //nolint:gosec // 16…235
		}
	}
	for y := range 8 * p.mbh {
		for x := range 8 * p.mbw {
			var r, g, b int32
			for i := range 4 {
				dr, dg, db := at(2*x+i&1, 2*y+i>>1)
				r, g, b = r+dr, g+dg, b+db
			}
			p.u[y*p.strideC()+x] = clip8((-9719*r - 19081*g + 28800*b + 128<<18 + 1<<17) >> 18)
			p.v[y*p.strideC()+x] = clip8((28800*r - 24116*g - 4684*b + 128<<18 + 1<<17) >> 18)
		}
	}
	return p
}

func clip8(v int32) uint8 {
	return uint8(min(max(v, 0), 255)) //nolint:gosec // clipped
}
