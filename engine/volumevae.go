package engine

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

var errVolume = errors.New("the VAE decodes latents to shapes, not to images: use the class that gives voxels or splats")

// ofImages returns an error unless the VAE is one of images or videos.
func (v *VAE) ofImages() error {
	switch {
	case v.info.Audio != nil:
		return errAudio
	case v.info.Volume:
		return errVolume
	}
	return nil
}

// DecodeVolume turns latents [B,C,L] into volumes [B,N,N,N] with N = resolution + 1 values in 0…1 along each axis, depth first. At most the given
// number of points are computed together, fewer where memory is short. The progress is reported to the context; see WithProgress.
func (v *VAE) DecodeVolume(ctx context.Context, z *tensor.Tensor, resolution, points int) (*tensor.Tensor, error) {
	net, ok := v.net.(family.Volumetric)
	if !ok {
		return nil, errors.New("decoding a volume: the VAE is one of images, videos or audio: connect one that decodes to volumes")
	}
	if z == nil || len(z.Shape) != 3 || z.Dim(1) != v.info.Channels || z.Len() == 0 {
		var shape []int
		if z != nil {
			shape = z.Shape
		}
		return nil, fmt.Errorf("decoding a volume of a latent of shape %v: this VAE takes [batch, %d, vectors]", shape, v.info.Channels)
	}
	n := resolution + 1
	if err := v.rt.checkHost("decoding a volume", family.Product(z.Dim(0), n, n, n, 4)); err != nil {
		return nil, err
	}
	run := v.runner()
	defer v.rt.sessions.Reserve(run.device, net.DecodeMemory(z.Shape))()
	out := tensor.New(z.Dim(0), n, n, n)
	for b := range z.Dim(0) {
		y, err := net.DecodeVolume(family.PartOf(ctx, b, z.Dim(0)), run, z.Slice(b, b+1), resolution, points)
		if err != nil {
			return nil, err
		}
		copy(out.Index(b).Data, y.Data)
	}
	return out, nil
}
