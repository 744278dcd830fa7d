package anima

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/cosmos"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Anima" }

// Rank implements family.Family.
func (kind) Rank() int { return 910 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("blocks.0.mlp.layer1.weight") || !s.Has("llm_adapter.blocks.0.cross_attn.q_proj.weight") {
		return nil, nil
	}
	n, err := cosmos.NewNetwork(src)
	if err != nil {
		return nil, err
	}
	if n.Channels != n.Out {
		return nil, fmt.Errorf("it reads %d channels: Anima reads %d", n.Channels, n.Out)
	}
	a, err := readAdapter(s)
	if err != nil {
		return nil, err
	}
	if a.Target != n.Text {
		return nil, fmt.Errorf("its adapter makes encodings of width %d, the network reads %d", a.Target, n.Text)
	}
	n.Type, n.Settings, n.Loader, n.Encoders = sampling.Flow, sampling.Settings{Multiplier: 1, Shift: 3}, loader, []string{lm.KeyQwen3XS}
	return &model{Network: n, adapter: a}, nil
}

// model is Cosmos Predict2 after an adapter of the text encoding.
type model struct {
	*cosmos.Network
	adapter adapter
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
)

// LoRAKeys implements family.Adaptable: upstream knows the generic names alone.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Network.LoRAKeys(keys, part)
	keys.Bake(func(key string) bool { return key == part+tableKey })
}

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	for _, key := range []string{KeyTokens, KeyWeights} {
		v, err := sampling.Value[*tensor.Tensor](c, key)
		if err != nil {
			return nil, err
		}
		if v == nil {
			if key == KeyTokens {
				return in, nil
			}
			continue
		}
		row, err := v.Reshape(1, -1)
		if err != nil || row.Len() == 0 {
			return nil, fmt.Errorf("reading a conditioning entry: its %s have shape %v, wanted tokens", key, v.Shape)
		}
		in = append(in, sampling.Input{Name: key, Value: row, Rule: sampling.ByRows})
	}
	return in, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if len(c.X.Shape) != 4 && len(c.X.Shape) != 5 {
		return nil, fmt.Errorf("the latent has shape %v, the model reads latents of images and of videos", c.X.Shape)
	}
	if err := dit.CheckLatent(c, m.Out, len(c.X.Shape)); err != nil {
		return nil, err
	}
	text := c.Inputs.Get(sampling.InputContext)
	if ids := c.Inputs.Get(KeyTokens); ids != nil {
		var err error
		if text, err = m.adapt(ctx, run, text, ids, c.Inputs.Get(KeyWeights)); err != nil {
			return nil, err
		}
	}
	return m.Network.Predict(ctx, run, c.X, &tensor.Tensor{Shape: []int{len(c.T)}, Data: c.T}, text, nil, lites(c.Attached)...)
}
