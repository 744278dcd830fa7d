// Package engine is the interface of models for nodes: MODEL, CLIP and VAE values, latents and conditioning.
//
// It knows weight files, graphs and the model runtime; it does not know nodes, prompts or HTTP.
package engine

import (
	"maps"

	"comfygo/engine/tensor"
)

// Latent is the value of LATENT links.
type Latent struct {
	// Samples is [B,C,H,W] in the VAE's unscaled latent space.
	Samples *tensor.Tensor
	// NoiseMask, when set, is [B,H,W] or [B,1,H,W] in 0…1 at any size: 1 where noise is added.
	NoiseMask *tensor.Tensor
	// BatchIndex, when set, numbers the rows for the noise generator: row i gets the noise that
	// element BatchIndex[i] of a full batch would get.
	BatchIndex []int
	// DownscaleRatio, when positive, is the image-to-latent factor an empty latent was made for;
	// 0 means upstream's missing key.
	DownscaleRatio int
	// TemporalRatio, when positive, is the ratio of audio samples or frames to latent values in time that an empty latent was made for.
	TemporalRatio int
	// Type is upstream's key "type" ("audio", "hunyuan3dv2"), or "".
	Type string
	// Along are the further parts of a nested latent, which are sampled together with Samples, such as a video's sound; AlongMasks
	// are their noise masks, or nil.
	Along, AlongMasks []*tensor.Tensor
	// Sparse, when set, is where the values of a latent of cells lie, whose Samples are [B,C,most cells of an item,1].
	Sparse *CellLatent
}

// Positions is the number of positions of a row of the latent, the product of its axes after the channels; 4096 without a
// latent, as upstream assumes.
func (l Latent) Positions() int {
	if l.Samples == nil || len(l.Samples.Shape) < 3 {
		return 4096
	}
	return tensor.Count(l.Samples.Shape[2:])
}

// Cond is one entry of a CONDITIONING list.
type Cond struct {
	// Tokens is the text encoding, [B,tokens,width].
	Tokens *tensor.Tensor
	// Pooled is the pooled text encoding, [B,width]; nil if the encoder gives none.
	Pooled *tensor.Tensor
	// Values holds everything else upstream keeps in the entry's dictionary (area, strength, mask,
	// start_percent, …), under upstream's keys.
	Values map[string]any
}

// Conditioning is the value of CONDITIONING links.
type Conditioning []Cond

// With returns the entry with further values; the map of c is unchanged.
func (c Cond) With(values map[string]any) Cond {
	all := make(map[string]any, len(c.Values)+len(values))
	maps.Copy(all, c.Values)
	maps.Copy(all, values)
	c.Values = all
	return c
}

// Append returns the conditioning with elements after the list that each entry has under key. Upstream: conditioning_set_values with append.
func (c Conditioning) Append(key string, elements []any) Conditioning {
	out := make(Conditioning, len(c))
	for i, entry := range c {
		old, _ := entry.Values[key].([]any)
		out[i] = entry.With(map[string]any{key: append(old[:len(old):len(old)], elements...)})
	}
	return out
}

// With returns the conditioning with further values in each entry. Upstream: node_helpers.conditioning_set_values.
func (c Conditioning) With(values map[string]any) Conditioning {
	out := make(Conditioning, len(c))
	for i, entry := range c {
		out[i] = entry.With(values)
	}
	return out
}
