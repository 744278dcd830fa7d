package dit

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// Head holds the settings of a diffusion model besides its network; a family's model embeds it.
type Head struct {
	// Source holds the network's tensors without prefix.
	Source weights.Source
	// Format, Type and Settings are the latents and the process that the model was trained with.
	Format   sampling.LatentFormat
	Type     sampling.ModelType
	Settings sampling.Settings
	// Loader is the type of its text encoders in the CLIP loaders, Encoders the keys of those that a checkpoint carries under
	// text_encoders.KEY.transformer.
	Loader   string
	Encoders []string
	// Read are the run options that the network reads.
	Read []string
	// Types are upstream's supported_inference_dtypes; bfloat16 and float32 where none are given.
	Types []dtype.DType
}

// Head has all methods of these interfaces but the ones of the network itself.
var _ interface {
	family.Bundle
	family.Adaptable
	family.Optioned
	family.Typed
} = Head{}

// Latent implements family.Denoiser.
func (h Head) Latent() sampling.LatentFormat { return h.Format }

// Sampling implements family.Denoiser.
func (h Head) Sampling() (sampling.ModelType, sampling.Settings) { return h.Type, h.Settings }

// Weights implements family.Denoiser.
func (h Head) Weights() weights.Source { return h.Source }

// Scheme implements family.Bundle.
func (h Head) Scheme() string { return h.Loader }

// TextPrefixes implements family.Bundle.
func (h Head) TextPrefixes() map[string][]string {
	out := map[string][]string{}
	for _, key := range h.Encoders {
		out[key] = []string{"text_encoders." + key + ".transformer."}
	}
	return out
}

// Options implements family.Optioned.
func (h Head) Options() []string { return h.Read }

// ComputeTypes implements family.Typed.
func (h Head) ComputeTypes() []dtype.DType {
	if h.Types == nil {
		return []dtype.DType{dtype.BF16, dtype.F32}
	}
	return h.Types
}

// LoRAKeys implements family.Adaptable with the names of the weights themselves.
func (h Head) LoRAKeys(keys *patch.KeyMap, part string) { keys.AddGeneric(part, h.Source.Names()) }
