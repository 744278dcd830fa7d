package sampling

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// NoiseMask returns a noise mask at every value of latents of the given shape [B,C,axes…]. Masks of images are [H,W] with any number
// of axes before them; those of videos may have a time axis there, [T,H,W], and those of sound are [L] likewise. They are
// scaled linearly along each axis. It fails for a mask without values or with too few axes. Upstream: reshape_mask.
func NoiseMask(mask *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	planes, err := maskPlanes(mask, len(shape)-2)
	if err != nil {
		return nil, fmt.Errorf("reading the noise mask: shape %v does not fit latents of shape %v", mask.Shape, shape)
	}
	axes := len(shape) - 2
	if axes >= 2 {
		if planes, err = scalePlanes(planes, shape[len(shape)-2], shape[len(shape)-1]); err != nil {
			return nil, fmt.Errorf("scaling the noise mask: %w", err)
		}
	}
	if axes != 2 {
		planes = scaleAxis(planes, shape[2])
	}
	out := tensor.New(shape...)
	cells := tensor.Count(shape[2:])
	for b := range shape[0] {
		row := planes.Index(b % planes.Dim(0)).Data
		for c := range shape[1] {
			copy(out.Data[(b*shape[1]+c)*cells:][:cells], row[c%planes.Dim(1)*cells:])
		}
	}
	return out, nil
}

// maskPlanes returns a mask as [N,C,axes…].
func maskPlanes(mask *tensor.Tensor, axes int) (*tensor.Tensor, error) {
	if mask.Len() == 0 {
		return nil, fmt.Errorf("a mask of shape %v is empty", mask.Shape)
	}
	n := len(mask.Shape)
	switch {
	case axes == 1 && n == 3, axes == 3 && n == 5:
		return mask, nil
	case axes == 1 && n >= 1:
		return mask.Reshape(-1, 1, mask.Dim(-1))
	case axes == 2 && n >= 2:
		return mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1))
	case axes == 3 && n >= 2 && n < 5:
		return mask.Reshape(1, 1, -1, mask.Dim(-2), mask.Dim(-1))
	}
	return nil, fmt.Errorf("a mask of shape %v has not %d axes", mask.Shape, axes)
}

// scalePlanes scales the last two axes.
func scalePlanes(x *tensor.Tensor, h, w int) (*tensor.Tensor, error) {
	if x.Dim(-2) == h && x.Dim(-1) == w {
		return x, nil
	}
	flat, err := x.Reshape(-1, 1, x.Dim(-2), x.Dim(-1))
	if err != nil {
		return nil, err
	}
	if flat, err = imaging.Upscale(flat, w, h, "bilinear", "disabled"); err != nil {
		return nil, err
	}
	shape := append(append([]int(nil), x.Shape[:len(x.Shape)-2]...), h, w)
	return flat.Reshape(shape...)
}

// scaleAxis scales the third axis linearly, with the middles of cells as their places.
func scaleAxis(x *tensor.Tensor, n int) *tensor.Tensor {
	from := x.Shape[2]
	if from == n {
		return x
	}
	shape := append([]int(nil), x.Shape...)
	shape[2] = n
	out := tensor.New(shape...)
	line := tensor.Count(shape[3:])
	scale := float32(from) / float32(n)
	for p := range shape[0] * shape[1] {
		for i := range n {
			at := max(scale*(float32(i)+0.5)-0.5, 0)
			low := min(int(at), from-1)
			high, share := min(low+1, from-1), at-float32(low)
			to := out.Data[(p*n+i)*line:][:line]
			a, b := x.Data[(p*from+low)*line:][:line], x.Data[(p*from+high)*line:][:line]
			for k := range to {
				to[k] = float32((1-share)*a[k]) + float32(share*b[k])
			}
		}
	}
	return out
}
