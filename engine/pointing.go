package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// Heatmaps runs a model with a head for key points on latents [N,C,h,w] of its VAE and the text encoding of one entry, at the greatest
// sigma and at 0: a map for each key point [N,K,H,W]. It fails for a model without such a head. Rows run one by one.
func (m *Model) Heatmaps(ctx context.Context, latent, tokens *tensor.Tensor) (*tensor.Tensor, error) {
	p, ok := m.net.(family.Pointing)
	if !ok {
		return nil, fmt.Errorf("finding key points: models of the family %s have no head for them: load a model of SDPose", m.Family())
	}
	format := m.LatentFormat()
	if latent == nil || len(latent.Shape) != 4 || latent.Dim(1) != format.Channels || latent.Len() == 0 {
		return nil, fmt.Errorf("finding key points: the images are encoded to latents that have not %d channels: use the VAE of the model", format.Channels)
	}
	x := format.In(latent)
	sigma := m.sampling.SigmaMax()
	x = m.sampling.Input(sigma, m.sampling.AddNoise(sigma, tensor.New(x.Shape...), x, true))
	var out *tensor.Tensor
	for i := range x.Dim(0) {
		row := x.Slice(i, i+1)
		in, err := m.Inputs(ctx, &sampling.Cond{Tokens: tokens}, sampling.Request{Shape: row.Shape, Latent: row, Format: format})
		if err != nil {
			return nil, err
		}
		run := m.runner()
		release := m.rt.sessions.Reserve(run.device, m.net.Memory(row.Shape, tokens.Dim(1)))
		maps, err := p.Heatmaps(ctx, run, family.Call{X: row, T: []float32{m.sampling.Timestep(sigma)}, Inputs: sampling.Inputs{List: in}})
		release()
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = &tensor.Tensor{Shape: append([]int{x.Dim(0)}, maps.Shape[1:]...)}
		}
		out.Data = append(out.Data, maps.Data...)
	}
	return out, m.explain(out)
}
