package imaging

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// The functions of this file give the colors of one image to another, both [C,H,W] of one size with values in -1…1, as
// ComfyUI's color corrections of upscaled video do. They work on one frame, within five times its memory.

// waveletLevels is the number of bands that are taken apart.
const waveletLevels = 5

// WaveletColors returns the fine structure of content with the coarse one of style.
func WaveletColors(ctx context.Context, content, style *tensor.Tensor) (*tensor.Tensor, error) {
	out, _, err := bands(ctx, content)
	if err != nil {
		return nil, err
	}
	_, low, err := bands(ctx, style)
	if err != nil {
		return nil, err
	}
	for i, v := range low.Data {
		out.Data[i] = min(max(out.Data[i]+v, -1), 1)
	}
	return out, nil
}

// bands splits an image in what five blurs of growing radius take away, and what they leave.
func bands(ctx context.Context, t *tensor.Tensor) (high, low *tensor.Tensor, err error) {
	high, low = tensor.New(t.Shape...), t
	for level := range waveletLevels {
		blurred := dilatedBlur(ctx, low, 1<<level)
		if err := context.Cause(ctx); err != nil {
			return nil, nil, err
		}
		for i, v := range low.Data {
			high.Data[i] = high.Data[i] + v - blurred.Data[i]
		}
		low = blurred
	}
	return high, low, nil
}

// dilatedBlur weighs every pixel with eight others, radius apart, by 1, 2 and 1 in both directions. Beyond the edges pixels are
// repeated; the radius is at most an eighth of the shorter side. An ended context leaves the result unfinished.
func dilatedBlur(ctx context.Context, t *tensor.Tensor, radius int) *tensor.Tensor {
	c, h, w := t.Shape[0], t.Shape[1], t.Shape[2]
	radius = min(radius, max(1, min(h, w)/8))
	out := tensor.New(t.Shape...)
	parallel(c*h, w*12, func(from, to int) {
		sums := make([]float32, w) // of three rows
		for r := from; r < to && ctx.Err() == nil; r++ {
			plane, y := t.Data[r/h*h*w:][:h*w], r%h
			above, here, below := plane[max(y-radius, 0)*w:][:w], plane[y*w:][:w], plane[min(y+radius, h-1)*w:][:w]
			for x, v := range here {
				sums[x] = above[x] + 2*v + below[x]
			}
			line := out.Data[r*w:][:w]
			for x, v := range sums {
				line[x] = (sums[max(x-radius, 0)] + 2*v + sums[min(x+radius, w-1)]) / 16
			}
		}
	})
	return out
}

// MeanColors returns content with the mean and the deviation that each channel of style has (AdaIN).
func MeanColors(ctx context.Context, content, style *tensor.Tensor) (*tensor.Tensor, error) {
	out := tensor.New(content.Shape...)
	for k := range content.Shape[0] {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		mean, deviation := moments(content.Index(k).Data)
		toMean, toDeviation := moments(style.Index(k).Data)
		to := out.Index(k).Data
		for i, v := range content.Index(k).Data {
			to[i] = min(max(float32((v-mean)/deviation*toDeviation)+toMean, -1), 1)
		}
	}
	return out, nil
}

func moments(values []float32) (mean, deviation float32) {
	var sum, squares float64
	for _, v := range values {
		sum += float64(v)
	}
	n := float64(len(values))
	for _, v := range values {
		d := float64(v) - sum/n
		squares += d * d
	}
	const epsilon = 1e-5
	return float32(sum / n), float32(math.Sqrt(squares/n + epsilon))
}

// LabColors returns content with the coarse structure of style (WaveletColors) and the distribution of its colors in CIE
// L*a*b*: of a* and b* whole, of the luminance a fifth. Both images have three channels.
func LabColors(ctx context.Context, content, style *tensor.Tensor) (*tensor.Tensor, error) {
	out, err := WaveletColors(ctx, content, style)
	if err != nil {
		return nil, err
	}
	n := len(out.Data) / 3
	lab, wanted := make([]float32, 3*n), make([]float32, 3*n)
	planesToLab(ctx, lab, out.Data, n)
	planesToLab(ctx, wanted, style.Data, n)
	for k := range 3 {
		from, to := lab[k*n:][:n], wanted[k*n:][:n]
		values, err := sorted(ctx, to)
		if err != nil {
			return nil, err
		}
		places, err := sortedPlaces(ctx, from)
		if err != nil {
			return nil, err
		}
		const share = 0.2 // of the other image's luminance
		for i, place := range places {
			v := values[i]
			if k == 0 {
				v = float32(from[place]*(1-share)) + float32(v*share)
			}
			out.Data[k*n+int(place)] = v
		}
	}
	labToPlanes(ctx, out.Data, n)
	return out, context.Cause(ctx)
}

// Matrices between linear RGB and XYZ for D65, and the constants of L*a*b* (CIE 15).
var (
	rgbToXYZ = [3][3]float32{{0.4124564, 0.3575761, 0.1804375}, {0.2126729, 0.7151522, 0.0721750}, {0.0193339, 0.1191920, 0.9503041}}
	xyzToRGB = [3][3]float32{{3.2404542, -1.5371385, -0.4985314}, {-0.9692660, 1.8760108, 0.0415560}, {0.0556434, -0.2040259, 1.0572252}}
)

const (
	labDelta = 6.0 / 29
	labKappa = 29.0 / 3 * (29.0 / 3) * (29.0 / 3)
)

// planesToLab converts n pixels, planes of R, G and B in -1…1, to planes of L*, a* and b*, or some of them when the context ends.
func planesToLab(ctx context.Context, to, from []float32, n int) {
	parallel(n, 200, func(first, last int) {
		for i := first; i < last; i++ {
			if i%labPart == 0 && ctx.Err() != nil {
				return
			}
			var linear, f [3]float64
			for k := range linear {
				v := min(max((from[k*n+i]+1)*0.5, 0), 1)
				linear[k] = float64(v) / 12.92
				if v > 0.04045 {
					linear[k] = math.Pow((float64(v)+0.055)/1.055, 2.4)
				}
			}
			for k, row := range rgbToXYZ {
				v := (float64(row[0])*linear[0] + float64(row[1])*linear[1] + float64(row[2])*linear[2]) / whitePoint[k]
				f[k] = (v*labKappa + 16) / 116
				if v > labDelta*labDelta*labDelta {
					f[k] = math.Cbrt(v)
				}
			}
			to[i], to[n+i], to[2*n+i] = float32(116*f[1]-16), float32(500*(f[0]-f[1])), float32(200*(f[1]-f[2]))
		}
	})
}

// labPart is the number of pixels between looks for an interrupt.
const labPart = 1 << 14

// labToPlanes converts planes of n pixels in L*, a* and b* to R, G and B in -1…1, or some of them when the context ends.
func labToPlanes(ctx context.Context, planes []float32, n int) {
	parallel(n, 200, func(first, last int) {
		for i := first; i < last; i++ {
			if i%labPart == 0 && ctx.Err() != nil {
				return
			}
			fy := (float64(planes[i]) + 16) / 116
			f := [3]float64{float64(planes[n+i])/500 + fy, fy, fy - float64(planes[2*n+i])/200}
			var xyz [3]float64
			for k, v := range f {
				xyz[k] = (v*116 - 16) / labKappa
				if v > labDelta {
					xyz[k] = v * v * v
				}
				xyz[k] *= whitePoint[k]
			}
			for k, row := range xyzToRGB {
				v := float64(row[0])*xyz[0] + float64(row[1])*xyz[1] + float64(row[2])*xyz[2]
				if v > 0.0031308 {
					v = math.Pow(v, 1/2.4)*1.055 - 0.055
				} else {
					v *= 12.92
				}
				planes[k*n+i] = float32(min(max(v, 0), 1))*2 - 1
			}
		}
	})
}

// sorted returns values from the least to the greatest, NaN last.
func sorted(ctx context.Context, values []float32) ([]float32, error) {
	places, err := sortedPlaces(ctx, values)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(values))
	for i, p := range places {
		out[i] = values[p]
	}
	return out, nil
}

// sortedPlaces returns the places of values from the least to the greatest; equal ones stay in order, NaN come last.
func sortedPlaces(ctx context.Context, values []float32) ([]int32, error) {
	places, other := make([]int32, len(values)), make([]int32, len(values))
	keys := make([]uint32, len(values))
	for i, v := range values {
		places[i] = int32(i)
		bits := math.Float32bits(v)
		switch {
		case v == 0:
			bits = 1 << 31
		case v != v:
			bits = math.MaxUint32
		case bits>>31 != 0:
			bits = ^bits
		default:
			bits |= 1 << 31
		}
		keys[i] = bits
	}
	const digit, radix = 11, 1 << 11
	for shift := 0; shift < 32; shift += digit {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var starts [radix + 1]int32
		for _, k := range keys {
			starts[k>>shift%radix+1]++
		}
		for i := range radix {
			starts[i+1] += starts[i]
		}
		for i, p := range places {
			if i%(1<<20) == 0 && ctx.Err() != nil { // far apart places are slow to read
				return nil, context.Cause(ctx)
			}
			k := keys[p] >> shift % radix
			other[starts[k]] = p
			starts[k]++
		}
		places, other = other, places
	}
	return places, context.Cause(ctx)
}
