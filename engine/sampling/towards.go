package sampling

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/tensor"
)

// Towards pulls the guided prediction towards a latent [B,C,h,w] as the network reads it, by (sigma/most)^power where the sigma is above least.
// The latent's rows repeat. Upstream: SUPIRApply's restore_cfg.
func Towards(latent *tensor.Tensor, most, power, least float64) AfterFunc {
	return func(_ context.Context, g Guidance, d *tensor.Tensor) (*tensor.Tensor, error) {
		if float64(g.Sigma) <= least {
			return d, nil
		}
		if len(d.Shape) != len(latent.Shape) || !slices.Equal(d.Shape[1:], latent.Shape[1:]) {
			return nil, fmt.Errorf("pulling the prediction towards an image: its latent has shape %v, and the prediction %v", latent.Shape, d.Shape)
		}
		share := float32(math.Pow(float64(g.Sigma/float32(most)), power))
		out := tensor.New(d.Shape...)
		for b := range d.Dim(0) {
			to, from, ref := out.Index(b).Data, d.Index(b).Data, latent.Index(b%latent.Dim(0)).Data
			for i, v := range from {
				to[i] = v - float32((v-ref[i])*share)
			}
		}
		return out, nil
	}
}
