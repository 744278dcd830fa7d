package lm

import (
	"fmt"
	"strings"

	"comfygo/engine/weights"
)

const (
	firstNorm = "model.layers.0.input_layernorm.weight"
	table     = "model.embed_tokens.weight"
)

// unwrap shows a network that lies beside a vision tower ("model.language_model.") as one that stands alone.
func unwrap(src weights.Source) weights.Source {
	const nested = "model.language_model."
	if _, ok := src.Lookup(nested + strings.TrimPrefix(firstNorm, "model.")); !ok {
		return src
	}
	return renamed{Source: src, from: nested, to: "model."}
}

// renamed shows tensors under another prefix; the others keep their names.
type renamed struct {
	weights.Source
	from, to string
}

// Names implements weights.Source.
func (r renamed) Names() []string {
	var out []string
	for _, n := range r.Source.Names() {
		rest, ok := strings.CutPrefix(n, r.from)
		if ok {
			n = r.to + rest
		}
		out = append(out, n)
	}
	return out
}

// Lookup implements weights.Source.
func (r renamed) Lookup(name string) (weights.Entry, bool) {
	if rest, ok := strings.CutPrefix(name, r.to); ok {
		if e, ok := r.Source.Lookup(r.from + rest); ok {
			return e, true
		}
	}
	return r.Source.Lookup(name)
}

// detect names the network in a file; "" for one of another kind, an error for one that cannot be run (upstream: sd.py
// detect_te_model, in its order).
func detect(s *weights.Scope) (string, error) {
	layer := func(i int, name string) bool { return s.At("model", "layers").Index(i).Has(name) }
	width := 0
	if shape := s.Shape(firstNorm); len(shape) == 1 {
		width = shape[0]
	}
	switch {
	case layer(0, "post_feedforward_layernorm.weight"):
		return gemma(layer)
	case layer(0, "self_attn.sinks"):
		return "", fmt.Errorf("a mixture-of-experts model with attention sinks (GPT-OSS) cannot be run")
	case layer(0, "linear_attn.A_log"):
		return "", fmt.Errorf("a model with linear attention (Qwen 3.5) whose tensors do not begin with model.language_model cannot be run")
	case layer(0, "self_attn.k_proj.bias"):
		switch n := s.At("model", "layers").Index(0).Shape("self_attn.k_proj.bias"); {
		case len(n) == 1 && n[0] == 256:
			return KeyQwen25S, nil
		case len(n) == 1 && n[0] == 512:
			return KeyQwen25M, nil
		}
		return "", fmt.Errorf("a model with biases (Qwen 2.5) of %d channels; those of 2048 (3B) and 3584 (7B) can be run", width)
	case s.Has("model.visual.deepstack_merger_list.0.norm.weight") || s.Has("visual.deepstack_merger_list.0.norm.weight"):
		return sized("Qwen 3 VL", width, map[int]string{2560: KeyQwen3VLM, 4096: KeyQwen3VLL, 5120: KeyQwen3VLXL})
	case layer(0, "self_attn.q_norm.weight"):
		return sized("Qwen 3", width, map[int]string{1024: KeyQwen3XS, 2048: KeyQwen3S, 2560: KeyQwen3M, 4096: KeyQwen3L})
	case width == 5120:
		return KeyMistral, nil
	case width == 3072:
		return KeyMinistral, nil
	}
	return KeyLlama3, nil
}

// gemma distinguishes the models of Gemma by their numbers of layers.
func gemma(layer func(i int, name string) bool) (string, error) {
	const queryNorm = "self_attn.q_norm.weight"
	switch {
	case !layer(0, queryNorm):
		return KeyGemma2, nil
	case layer(59, queryNorm) || layer(47, queryNorm) && !layer(5, "self_attn.v_proj.weight"):
		return "", fmt.Errorf("a model of Gemma 4 without layer_scalar in its first layer cannot be run")
	case layer(47, queryNorm):
		return KeyGemma3M, nil
	case layer(34, queryNorm):
		return "", fmt.Errorf("a model of Gemma 4 without layer_scalar in its first layer cannot be run")
	}
	return KeyGemma3S, nil
}

// sized picks a model by its width.
func sized(name string, width int, keys map[int]string) (string, error) {
	if key, ok := keys[width]; ok {
		return key, nil
	}
	return "", fmt.Errorf("a model of %s with %d channels is of no size that can be run", name, width)
}

// traitsOf are the traits of the networks (upstream: the config classes of text_encoders/llama.py).
var traitsOf = map[string]traits{
	KeyLlama3:    {epsilon: 1e-5, theta: []float64{500000}},
	KeyMistral:   {epsilon: 1e-5, theta: []float64{1e9}},
	KeyMinistral: {epsilon: 1e-5, theta: []float64{1e6}},
	KeyQwen25S:   {epsilon: 1e-6, theta: []float64{1e6}},
	KeyQwen25M:   {epsilon: 1e-6, theta: []float64{1e6}, sections: []int{16, 24, 24}},
	KeyQwen3XS:   {epsilon: 1e-6, theta: []float64{1e6}, headNorm: true},
	KeyQwen3S:    {epsilon: 1e-6, theta: []float64{1e6}, headNorm: true},
	KeyQwen3M:    {epsilon: 1e-6, theta: []float64{1e6}, headNorm: true},
	KeyQwen3L:    {epsilon: 1e-6, theta: []float64{1e6}, headNorm: true},
	KeyQwen3VLM:  {epsilon: 1e-6, theta: []float64{5e6}, headNorm: true, sections: []int{24, 20, 20}, alternating: true},
	KeyQwen3VLL:  {epsilon: 1e-6, theta: []float64{5e6}, headNorm: true, sections: []int{24, 20, 20}, alternating: true},
	KeyQwen3VLXL: {epsilon: 1e-6, theta: []float64{5e6}, headNorm: true, sections: []int{24, 20, 20}, alternating: true},
	KeyGemma2:    {epsilon: 1e-6, theta: []float64{1e4}, gemma: true},
	KeyGemma3S:   {epsilon: 1e-6, theta: []float64{1e6, 1e4}, scale: []float64{8, 1}, gemma: true, headNorm: true, window: 1024},
	KeyGemma3M:   {epsilon: 1e-6, theta: []float64{1e6, 1e4}, scale: []float64{8, 1}, gemma: true, headNorm: true, window: 1024},
}
