package imaging

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// Convolve filters images, [B,H,W,C], with a square kernel of 2*radius+1 values a side, each channel by itself;
// beyond its edges an image is mirrored without repeating the edge. It fails when a side is not longer than the radius
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
		return nil, fmt.Errorf("convolving: an image of %dx%d is too small for the radius %d", t.Shape[2], t.Shape[1], radius)
	}
	out := tensor.New(t.Shape...)
	h, w, c := t.Shape[1], t.Shape[2], t.Shape[3]
	parallel(t.Shape[0]*h, w*c*side*side, func(from, to int) {
		padded := make([]float32, (w+2*radius)*c)
		for r := from; r < to && ctx.Err() == nil; r++ {
			first := r / h * h // the image's first row
			line := out.Data[r*w*c:][:w*c]
			for ky := range side {
				mirrored(padded, t.Data[(first+mirror(r%h+ky-radius, h))*w*c:][:w*c], radius, w, c)
				for kx, k := range kernel[ky*side:][:side] {
					addTimes(line, padded[kx*c:], k)
				}
			}
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// Smooth filters images, [B,H,W,C], with a normalized Gaussian of 2*radius+1 values a side, first along rows, then along
// columns; except for rounding it equals Convolve with Gaussian.
func Smooth(ctx context.Context, t *tensor.Tensor, radius int, sigma float64) (*tensor.Tensor, error) {
	if err := checkRank("blurring", t, 4); err != nil {
		return nil, err
	}
	if t.Shape[1] <= radius || t.Shape[2] <= radius {
		return nil, fmt.Errorf("blurring: an image of %dx%d is too small for the radius %d", t.Shape[2], t.Shape[1], radius)
	}
	kernel := gaussianRow(2*radius+1, sigma)
	across, out := tensor.New(t.Shape...), tensor.New(t.Shape...)
	h, w, c := t.Shape[1], t.Shape[2], t.Shape[3]
	parallel(t.Shape[0]*h, w*c*len(kernel), func(from, to int) {
		padded := make([]float32, (w+2*radius)*c)
		for r := from; r < to && ctx.Err() == nil; r++ {
			mirrored(padded, t.Data[r*w*c:][:w*c], radius, w, c)
			addSymmetric(across.Data[r*w*c:][:w*c], kernel, func(k int) []float32 { return padded[k*c:] })
		}
	})
	parallel(t.Shape[0]*h, w*c*len(kernel), func(from, to int) {
		for r := from; r < to && ctx.Err() == nil; r++ {
			first := r / h * h
			addSymmetric(out.Data[r*w*c:][:w*c], kernel, func(k int) []float32 {
				return across.Data[(first+mirror(r%h+k-radius, h))*w*c:][:w*c]
			})
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// addSymmetric adds lines weighted by a symmetric kernel, those of equal weight together.
func addSymmetric(to, kernel []float32, line func(k int) []float32) {
	n := len(kernel)
	addTimes(to, line(n/2), kernel[n/2])
	for k := range n / 2 {
		a, b, weight := line(k), line(n-1-k), kernel[k]
		a, b = a[:len(to)], b[:len(to)]
		for i := addPairsTo(to, a, b, weight); i < len(to); i++ {
			to[i] += float32((a[i] + b[i]) * weight)
		}
	}
}

// mirrored copies a row with radius pixels more at both sides.
func mirrored(to, from []float32, radius, w, c int) {
	copy(to[radius*c:], from)
	for x := range radius {
		copy(to[x*c:][:c], from[mirror(x-radius, w)*c:])
		copy(to[(radius+w+x)*c:][:c], from[mirror(w+x, w)*c:])
	}
}

// addTimes adds values times a factor.
func addTimes(to, from []float32, factor float32) {
	from = from[:len(to)]
	for i := addTimesTo(to, from, factor); i < len(to); i++ {
		to[i] += float32(from[i] * factor)
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
