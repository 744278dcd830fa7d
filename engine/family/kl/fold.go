package kl

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// fold is the side of the patches of cells that make one cell of a folded latent, foldEpsilon that of its normalisation.
const (
	fold        = 2
	foldEpsilon = 1e-4
)

// folding are the mean and the deviation of each channel of a folded latent. Upstream: AutoencoderKL with
// batch_norm_latent.
type folding struct{ mean, deviation []float32 }

// readFolding returns the normalisation of a VAE with folded latents, or nil for other VAEs.
func readFolding(src weights.Source, channels int) (*folding, error) {
	mean, ok := src.Lookup("bn.running_mean")
	if !ok {
		return nil, nil
	}
	variance, ok := src.Lookup("bn.running_var")
	if n := channels * fold * fold; !ok || mean.Count() != n || variance.Count() != n {
		return nil, fmt.Errorf("reading the VAE's shape: bn.running_mean is %v and bn.running_var %v, wanted %d values", mean.Shape, variance.Shape, n)
	}
	return &folding{}, nil
}

// load reads the values.
func (f *folding) load(src weights.Source) error {
	for name, to := range map[string]*[]float32{"bn.running_mean": &f.mean, "bn.running_var": &f.deviation} {
		e, ok := src.Lookup(name)
		if !ok {
			return fmt.Errorf("reading the VAE: %s is missing", name)
		}
		v, err := weights.Float32s(e)
		if err != nil {
			return fmt.Errorf("reading the VAE: %w", err)
		}
		*to = v
	}
	for i, v := range f.deviation {
		f.deviation[i] = float32(math.Sqrt(float64(v + foldEpsilon)))
	}
	return nil
}

// unfolded is a folded latent [B,4·C,h,w] as the decoder reads it, [B,C,2·h,2·w].
func unfolded(src weights.Source, z *tensor.Tensor) (*tensor.Tensor, error) {
	var f folding
	if err := f.load(src); err != nil {
		return nil, err
	}
	if len(z.Shape) != 4 || z.Dim(1) != len(f.mean) {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels", z.Shape, len(f.mean))
	}
	n, c, h, w := z.Dim(0), z.Dim(1), z.Dim(2), z.Dim(3)
	out := tensor.New(n, c/(fold*fold), fold*h, fold*w)
	eachFolded(n, c, h, w, func(folded, cell, channel int) {
		out.Data[cell] = z.Data[folded]*f.deviation[channel] + f.mean[channel]
	})
	return out, nil
}

// folded is the inverse of unfolded; a last odd row or column of cells is an error.
func folded(src weights.Source, z *tensor.Tensor) (*tensor.Tensor, error) {
	var f folding
	if err := f.load(src); err != nil {
		return nil, err
	}
	n, c, h, w := z.Dim(0), z.Dim(1)*fold*fold, z.Dim(2)/fold, z.Dim(3)/fold
	if c != len(f.mean) || z.Dim(2)%fold != 0 || z.Dim(3)%fold != 0 {
		return nil, fmt.Errorf("encoding an image to %v: wanted %d channels and even sizes", z.Shape, len(f.mean)/(fold*fold))
	}
	out := tensor.New(n, c, h, w)
	eachFolded(n, c, h, w, func(folded, cell, channel int) {
		out.Data[folded] = (z.Data[cell] - f.mean[channel]) / f.deviation[channel]
	})
	return out, nil
}

// eachFolded calls f with the place of each value of a folded latent [n,c,h,w], that of the cell's value that it holds,
// and its channel.
func eachFolded(n, c, h, w int, f func(folded, cell, channel int)) {
	for i := range n * c * h * w {
		x, y, channel, row := i%w, i/w%h, i/w/h%c, i/w/h/c
		own, at := channel/(fold*fold), channel%(fold*fold)
		cy, cx := y*fold+at/fold, x*fold+at%fold
		f(i, ((row*(c/(fold*fold))+own)*h*fold+cy)*w*fold+cx, channel)
	}
}
