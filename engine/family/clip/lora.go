package clip

import (
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/patch"
)

var _ family.AdaptableText = (*Encoder)(nil)

// LoRAKeys implements family.AdaptableText. CLIP-G is a second encoder in the names of files when CLIP-L is there, too
// (upstream: lora.py model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, keys []string) {
	n := patch.CLIPNames{TextNames: patch.TextNames{Part: part, Names: e.src.Names()}}
	const projection = "text_projection.weight"
	switch second := slices.Contains(keys, KeyL); {
	case e.Config.Key != KeyG:
		n.Kohya, n.Diffusers = []string{"lora_te", "lora_te1"}, []string{"text_encoder"}
		n.Also = map[string]string{"lora_te1_text_projection": projection}
	case second:
		n.Kohya, n.Diffusers = []string{"lora_te2"}, []string{"text_encoder_2"}
		n.Also = map[string]string{"lora_prior_te_text_projection": projection, "lora_te2_text_projection": projection}
	default:
		n.Kohya, n.Diffusers = []string{"lora_te", "lora_prior_te"}, []string{"text_encoder"}
		n.Also = map[string]string{"lora_prior_te_text_projection": projection, "lora_te2_text_projection": projection}
	}
	m.AddCLIP(n)
	// The token table and the projection are read outside the graph.
	m.Bake(func(key string) bool { return strings.HasPrefix(key, part) && strings.HasSuffix(key, projection) })
}
