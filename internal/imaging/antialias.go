package imaging

import "comfygo/engine/tensor"

// smoothWeight is the weight of a filter at a distance from 0 on, in float32: Bicubic with a = -0.5, and Bilinear.
func smoothWeight(f Filter, x float32) float32 {
	if f == Bilinear {
		return max(1-x, 0)
	}
	const a = -0.5
	switch {
	case x < 1:
		return fma(fma(a+2, x, -(a+3))*x, x, 1)
	case x < 2:
		return fma(fma(fma(a, x, -5*a), x, 8*a), x, -4*a)
	}
	return 0
}

// fused reports whether torch's kernels (built for AVX2 and AVX-512) round product j of n once, together with its sum.
// The first one is a product alone; of the others, those that fill vectors of four are rounded before they are added.
func fused(j, n int) bool { return j > (n-1)/4*4 }

// Antialias resamples [B,C,H,W] to h by w pixels as torch's interpolate does with antialias: in float32, the width first, by
// Bicubic or Bilinear. Each step rounds as torch's does, which shows where pixels are rounded to 8 bits later.
func Antialias(x *tensor.Tensor, h, w int, f Filter) *tensor.Tensor {
	b, c, sh, sw := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	if sw != w {
		k := newSmoothKernel(sw, w, f)
		wide := tensor.New(b, c, sh, w)
		for row := range b * c * sh {
			k.apply(wide.Data[row*w:(row+1)*w], x.Data[row*sw:(row+1)*sw])
		}
		x = wide
	}
	if sh == h {
		return x
	}
	k := newSmoothKernel(sh, h, f)
	out := tensor.New(b, c, h, w)
	for p := range b * c {
		k.applyRows(out.Data[p*h*w:(p+1)*h*w], x.Data[p*sh*w:(p+1)*sh*w], w)
	}
	return out
}

// smoothKernel holds the weights of one axis: target i sums len(weights[i]) sources from first[i] on.
type smoothKernel struct {
	first   []int
	weights [][]float32
}

func newSmoothKernel(in, out int, f Filter) smoothKernel {
	scale := float32(in) / float32(out)
	reach, invert := float32(support[f]), float32(1)
	if scale >= 1 {
		reach, invert = reach*scale, 1/scale
	}
	k := smoothKernel{make([]int, out), make([][]float32, out)}
	for i := range out {
		center := float32(float64(scale) * (float64(i) + 0.5))
		first := max(int(float64(center-reach)+0.5), 0)
		last := min(int(float64(center+reach)+0.5), in)
		weights := make([]float32, last-first)
		var sum float32
		for j := range weights {
			x := float32((float64(float32(j+first)-center) + 0.5) * float64(invert))
			weights[j] = smoothWeight(f, max(x, -x))
			sum += weights[j]
		}
		if sum != 0 {
			for j := range weights {
				weights[j] /= sum
			}
		}
		k.first[i], k.weights[i] = first, weights
	}
	return k
}

func (k smoothKernel) apply(dst, src []float32) {
	for i := range dst {
		weights, sum := k.weights[i], float32(0)
		for j, w := range weights {
			if v := src[k.first[i]+j]; fused(j, len(weights)) {
				sum = fma(w, v, sum)
			} else {
				sum += float32(w * v)
			}
		}
		dst[i] = sum
	}
}

// applyRows resamples the rows of a plane of the given width.
func (k smoothKernel) applyRows(dst, src []float32, width int) {
	for i, weights := range k.weights {
		row := dst[i*width : (i+1)*width]
		for j, w := range weights {
			from := src[(k.first[i]+j)*width:][:width]
			if fused(j, len(weights)) {
				for x := range row {
					row[x] = fma(w, from[x], row[x])
				}
				continue
			}
			for x := range row {
				row[x] += float32(w * from[x])
			}
		}
	}
}
