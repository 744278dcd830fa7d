package imaging

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// Convolve filters pictures, [B,H,W,C], with a square kernel of 2*radius+1 values a side, each channel by itself;
// beyond its edges a picture is mirrored without repeating the edge. It fails when a side is not longer than the radius
// and ends early when ctx does.
func Convolve(ctx context.Context, t *tensor.Tensor, kernel []float32, radius int) (*tensor.Tensor, error) {
	if err := checkRank("convolving", t, 4); err != nil {
		return nil, err
	}
	side := 2*radius + 1
	if radius < 0 || len(kernel) != side*side {
		return nil, fmt.Errorf("convolving: %d values are no kernel of radius %d", len(kernel), radius)
	}
	if t.Shape[1] <= radius || t.Shape[2] <= radius {
		return nil, fmt.Errorf("convolving: a picture of %dx%d is too small for the radius %d", t.Shape[2], t.Shape[1], radius)
	}
	out := tensor.New(t.Shape...)
	h, w, c := t.Shape[1], t.Shape[2], t.Shape[3]
	parallel(t.Shape[0]*h, w*c*side*side, func(from, to int) {
		for r := from; r < to && ctx.Err() == nil; r++ {
			first := r / h * h // the picture's first row
			line := out.Data[r*w*c:][:w*c]
			for ky := range side {
				src := t.Data[(first+mirror(r%h+ky-radius, h))*w*c:][:w*c]
				addShifted(line, src, kernel[ky*side:][:side], radius, w, c)
			}
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// addShifted adds a row filtered by one row of the kernel.
func addShifted(to, from, kernel []float32, radius, w, c int) {
	for x := range w {
		for kx, k := range kernel {
			at := mirror(x+kx-radius, w) * c
			for i := range c {
				to[x*c+i] += float32(from[at+i] * k)
			}
		}
	}
}

// mirror reflects a position into 0…n-1.
func mirror(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}
