package engine

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

var errNoSplats = errors.New("decoding splats: the VAE is not one of Gaussian splats: load the VAE of TripoSplat")

// SplatDepth is the depth of the octree that the VAE was trained with; an error for VAEs that decode no splats.
func (v *VAE) SplatDepth() (int, error) {
	net, ok := v.net.(family.Splatter)
	if !ok {
		return 0, errNoSplats
	}
	return net.MostDepth(), nil
}

// DecodeSplats decodes latents [B,L,C] to about the given number of Gaussians each, whose points lie in an octree of the given depth (0 for that of
// SplatDepth) and are drawn by torch's generator from a seed.
func (v *VAE) DecodeSplats(ctx context.Context, z *tensor.Tensor, gaussians, depth int, seed uint64) ([]family.Splats, error) {
	net, ok := v.net.(family.Splatter)
	if !ok {
		return nil, errNoSplats
	}
	if z == nil || len(z.Shape) != 3 || z.Dim(2) != v.info.Channels || z.Len() == 0 || gaussians < 1 {
		var shape []int
		if z != nil {
			shape = z.Shape
		}
		return nil, fmt.Errorf("decoding splats of a latent of shape %v: this VAE takes [batch, vectors, %d]: connect the latent of TripoSplatConditioning, sampled", shape, v.info.Channels)
	}
	const values = 32 // of a Gaussian: what the network gives, and what is made of it
	if err := v.rt.checkHost("decoding splats", family.Product(z.Dim(0), gaussians, values, 4)); err != nil {
		return nil, err
	}
	if depth == 0 {
		depth = net.MostDepth()
	}
	run := v.runner()
	memory := net.SplatMemory(z.Dim(1), gaussians)
	if err := run.Check("decoding splats", memory); err != nil {
		return nil, err
	}
	defer v.rt.sessions.Reserve(run.device, memory)()
	out, err := net.DecodeSplats(ctx, run, z, gaussians, depth, torchrand.New(seed))
	if err != nil {
		return nil, fmt.Errorf("decoding splats: %w", err)
	}
	return out, nil
}
