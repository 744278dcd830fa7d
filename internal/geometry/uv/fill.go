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
	seed := make([]int32, h*w) // covered pixel, -1 for none yet
	any := false
	for i := range seed {
		seed[i] = -1
		if covered(i) {
			seed[i], any = int32(i), true
		}
	}
	if !any || h*w == 1 {
		return image, nil
	}
	next := make([]int32, h*w)
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
		copy(out.Data[i*c:(i+1)*c], image.Data[int(max(s, 0))*c:])
	}
	return out, nil
}

// jump takes over what is known dy rows and dx columns away where it is nearer.
func jump(to, from []int32, h, w, dy, dx int) {
	codec.Parallel(h, 8*w, func(y0, y1 int) {
		for y := y0; y < y1; y++ {
			other := from[min(max(y+dy, 0), h-1)*w:]
			for x := range w {
				i := y*w + x
				own, offered := from[i], other[min(max(x+dx, 0), w-1)]
				to[i] = own
				if offered >= 0 && (own < 0 || distance(offered, x, y, w) < distance(own, x, y, w)) {
					to[i] = offered
				}
			}
		}
	})
}

func distance(pixel int32, x, y, w int) int {
	dx, dy := int(pixel)%w-x, int(pixel)/w-y
	return dx*dx + dy*dy
}
