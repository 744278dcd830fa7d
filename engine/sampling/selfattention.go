package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// SelfAttentionGuidance guides away from the prediction for a latent that is blurred where the network attends most (Hong et
// al. 2023, arXiv:2210.00939; upstream: nodes_sag.py). attended returns the attention that each position of the middle block
// got on the negative side, [rows,positions], nil before the first prediction.
func SelfAttentionGuidance(scale, blur float64, attended func() *tensor.Tensor) AfterFunc {
	return func(ctx context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		const least = 4 // the blur's margin has to fit
		seen := attended()
		if len(denoised.Shape) != 4 || min(denoised.Dim(2), denoised.Dim(3)) <= least || seen == nil || seen.Dim(0) != g.Uncond.Dim(0) {
			return denoised, nil
		}
		degraded := blurred(g.Uncond, seen, blur)
		noised := sum(term{1, degraded}, term{1, g.X}, term{-1, g.Uncond})
		guided, err := g.At(ctx, true, noised)
		if err != nil {
			return nil, err
		}
		return sum(term{1, denoised}, term{float32(scale), sum(term{1, degraded}, term{-1, guided})}), nil
	}
}

// blurred blurs x [B,C,H,W] where the attention is above its mean.
func blurred(x, attended *tensor.Tensor, sigma float64) *tensor.Tensor {
	const mean = 1 // of what positions get
	height, width := x.Dim(2), x.Dim(3)
	rows, cols := gridOf(attended.Dim(1), height, width)
	out := gaussianBlur(x, sigma)
	cells := height * width
	for i := range out.Data {
		cell := i % cells
		at := (cell/width)*rows/height*cols + (cell%width)*cols/width
		if !(attended.Index(i / cells / x.Dim(1)).Data[at] > mean) {
			out.Data[i] = x.Data[i]
		}
	}
	return out
}

// gridOf returns the sides of a grid with the given number of positions in the proportion of an image, computed as upstream
// does.
func gridOf(total, height, width int) (rows, cols int) {
	near := int(math.RoundToEven(math.Sqrt(float64(height) / float64(width) * float64(total))))
	for i := range int(math.Sqrt(float64(total)) / 2) {
		for _, side := range []int{near + i, max(1, near-i)} {
			if side > 0 && total%side == 0 {
				return side, total / side
			}
		}
	}
	return total, 1
}

// gaussianBlur convolves each plane of x with a normal distribution over 9x9 cells; edges are mirrored.
func gaussianBlur(x *tensor.Tensor, sigma float64) *tensor.Tensor {
	const half = 4
	var kernel [2*half + 1]float64
	var total float64
	for i := range kernel {
		d := float64(i-half) / sigma
		kernel[i] = math.Exp(-0.5 * d * d)
		total += kernel[i]
	}
	height, width := x.Dim(2), x.Dim(3)
	mirror := func(i, n int) int {
		if i < 0 {
			i = -i
		}
		if i >= n {
			i = 2*(n-1) - i
		}
		return i
	}
	out := like(x)
	for plane := 0; plane < len(x.Data); plane += height * width {
		for y := range height {
			for c := range width {
				var v float64
				for i, ky := range kernel {
					line := x.Data[plane+mirror(y+i-half, height)*width:][:width]
					for k, kx := range kernel {
						v += ky * kx * float64(line[mirror(c+k-half, width)])
					}
				}
				out.Data[plane+y*width+c] = float32(v / total / total)
			}
		}
	}
	return out
}
