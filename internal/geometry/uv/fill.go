package uv

import (
	"context"
	"math/bits"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging/codec"
)

// Fill gives the pixels of an image [H,W,C] that are not covered the values of the nearest covered ones, found by jump flooding
// (Rong and Tan 2006) as upstream does, which misses the very nearest at times. Without covered pixels the image is returned.
func Fill(ctx context.Context, image *tensor.Tensor, covered func(i int) bool) (*tensor.Tensor, error) {
	h, w, c := image.Shape[0], image.Shape[1], image.Shape[2]
	seed := make([]place, h*w)
	any := false
	for i := range seed {
		seed[i] = nowhere
		if covered(i) {
			seed[i], any = place{int16(i % w), int16(i / w)}, true
		}
	}
	if !any || h*w == 1 {
		return image, nil
	}
	next := make([]place, h*w)
	for step := 1 << (bits.Len(uint(max(h, w)-1)) - 1); step >= 1; step /= 2 {
		for dy := -step; dy <= step; dy += step {
			for dx := -step; dx <= step; dx += step {
				if dy == 0 && dx == 0 {
					continue
				}
				if err := context.Cause(ctx); err != nil {
					return nil, err
				}
				jump(next, seed, h, w, dy, dx)
				seed, next = next, seed
			}
		}
	}
	out := tensor.New(h, w, c)
	for i, s := range seed {
		from := 0
		if s != nowhere {
			from = (int(s.y)*w + int(s.x)) * c
		}
		copy(out.Data[i*c:(i+1)*c], image.Data[from:])
	}
	return out, nil
}

// place is a covered pixel.
type place struct{ x, y int16 }

var nowhere = place{-1, -1}

// jump copies the known value dy rows and dx columns away if it is nearer.
func jump(to, from []place, h, w, dy, dx int) {
	codec.Parallel(h, 8*w, func(y0, y1 int) {
		for y := y0; y < y1; y++ {
			row, out := from[y*w:(y+1)*w], to[y*w:(y+1)*w]
			above := min(max(y+dy, 0), h-1) * w
			other := from[above : above+w]
			for x, own := range row {
				offered := other[min(max(x+dx, 0), w-1)]
				if offered.x >= 0 && (own.x < 0 || offered.distance(x, y) < own.distance(x, y)) {
					own = offered
				}
				out[x] = own
			}
		}
	})
}

func (p place) distance(x, y int) int {
	dx, dy := int(p.x)-x, int(p.y)-y
	return dx*dx + dy*dy
}
