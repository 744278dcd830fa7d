package webp

// planes are an image in VP8's colours, luma at full and chroma at half size, padded to whole macroblocks.
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

// fromRows converts an image (BT.601, 16…235); the padding repeats the last row and column. With alpha it also returns the
// image's alpha.
func fromRows(img Rows, alpha bool) (p *planes, transparency []uint8, err error) {
	p = newPlanes((img.Width+15)/16, (img.Height+15)/16)
	if alpha {
		transparency = make([]uint8, 0, img.Width*img.Height)
	}
	wide := p.strideY()
	pair := [2][]byte{make([]byte, 4*wide), make([]byte, 4*wide)}
	for y := range 16 * p.mbh {
		row := pair[y%2]
		if y < img.Height {
			if err := img.Read(y, row[:4*img.Width]); err != nil {
				return nil, nil, err
			}
			for i := 3; alpha && i < 4*img.Width; i += 4 {
				transparency = append(transparency, row[i])
			}
			for x := img.Width; x < wide; x++ {
				copy(row[4*x:], row[4*(img.Width-1):4*img.Width])
			}
		} else {
			copy(row, pair[(y+1)%2])
		}
		p.lumaRow(y, row)
		if y%2 == 1 {
			p.chromaRow(y/2, pair[0], pair[1])
		}
	}
	return p, transparency, nil
}

func (p *planes) lumaRow(y int, row []byte) {
	to := p.y[y*p.strideY():][:p.strideY()]
	for x := range to {
		r, g, b := int32(row[4*x]), int32(row[4*x+1]), int32(row[4*x+2])
		to[x] = uint8((16839*r + 33059*g + 6420*b + 16<<16 + 1<<15) >> 16) //nolint:gosec // 16…235
	}
}

// chromaRow averages 2x2 pixels of two rows.
func (p *planes) chromaRow(y int, first, second []byte) {
	u, v := p.u[y*p.strideC():][:p.strideC()], p.v[y*p.strideC():][:p.strideC()]
	for x := range u {
		a, b := first[8*x:8*x+8], second[8*x:8*x+8]
		sum := func(c int) int32 { return int32(a[c]) + int32(a[4+c]) + int32(b[c]) + int32(b[4+c]) }
		red, green, blue := sum(0), sum(1), sum(2)
		u[x] = clip8((-9719*red - 19081*green + 28800*blue + 128<<18 + 1<<17) >> 18)
		v[x] = clip8((28800*red - 24116*green - 4684*blue + 128<<18 + 1<<17) >> 18)
	}
}

func clip8(v int32) uint8 {
	return uint8(min(max(v, 0), 255)) //nolint:gosec // clipped
}
