package layout

import (
	"strings"
	"sync"

	"comfygo/engine/weights"
)

// LlamaCPP shows a language model or T5 encoder that was saved in llama.cpp's layout (GGUF files) under the names of
// transformers. Two of its conversions are undone: of models whose architecture is "llama" the rows of queries and keys are
// ordered for rotations of neighbouring elements, and the norms of "gemma" models are stored with one added.
// (Source: convert_hf_to_gguf.py and gguf-py/gguf/tensor_mapping.py of llama.cpp.)
func LlamaCPP(src weights.Source) weights.Source {
	switch {
	case has(src, "enc.blk.0.attn_q.weight"):
		return byName(src, t5Name)
	case !has(src, "blk.0.attn_q.weight") || !has(src, "token_embd.weight"):
		return src
	}
	architecture := src.Metadata()["general.architecture"]
	four := strings.HasPrefix(architecture, "gemma")
	v := newView(src)
	rows := map[string]func(weights.Entry) (weights.Entry, error){}
	if architecture == "llama" {
		rows["attn_q"] = unrotated(src, "attention.head_count")
		rows["attn_k"] = unrotated(src, "attention.head_count_kv")
	}
	for _, name := range src.Names() {
		change := rows[part(name)]
		if four && strings.HasSuffix(name, "norm.weight") {
			change = minusOne
		}
		v.add(languageName(name, four), name, change)
	}
	return v
}

// byName shows a source under other names.
func byName(src weights.Source, name func(string) string) weights.Source {
	v := newView(src)
	for _, n := range src.Names() {
		v.add(name(n), n, nil)
	}
	return v
}

// part is the name of a block's tensor without place and ending: "attn_q" of "blk.3.attn_q.weight".
func part(name string) string {
	words := strings.Split(name, ".")
	if len(words) < 3 {
		return ""
	}
	return words[len(words)-2]
}

// t5Parts are the tensors of a block of T5.
var t5Parts = map[string]string{
	"attn_q": "layer.0.SelfAttention.q", "attn_k": "layer.0.SelfAttention.k", "attn_v": "layer.0.SelfAttention.v", "attn_o": "layer.0.SelfAttention.o",
	"attn_norm": "layer.0.layer_norm", "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias", "ffn_up": "layer.1.DenseReluDense.wi_1",
	"ffn_down": "layer.1.DenseReluDense.wo", "ffn_gate": "layer.1.DenseReluDense.wi_0", "ffn_norm": "layer.1.layer_norm",
}

func t5Name(name string) string {
	switch name {
	case "token_embd.weight":
		return "shared.weight"
	case "enc.output_norm.weight":
		return "encoder.final_layer_norm.weight"
	}
	rest, ok := strings.CutPrefix(name, "enc.blk.")
	if to, known := t5Parts[part(name)]; ok && known {
		block, _, _ := strings.Cut(rest, ".")
		return "encoder.block." + block + "." + to + name[strings.LastIndexByte(name, '.'):]
	}
	return name
}

// languageParts are the tensors of a block of a language model, fourNorms those of one with four norms where they differ.
var (
	languageParts = map[string]string{
		"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm",
		"ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "ffn_gate": "mlp.gate_proj",
	}
	fourNorms = map[string]string{
		"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
	}
)

func languageName(name string, four bool) string {
	switch name {
	case "token_embd.weight":
		return "model.embed_tokens.weight"
	case "output_norm.weight":
		return "model.norm.weight"
	case "output.weight":
		return "lm_head.weight"
	}
	rest, ok := strings.CutPrefix(name, "blk.")
	to, known := languageParts[part(name)]
	if n, other := fourNorms[part(name)]; four && other {
		to, known = n, true
	}
	if !ok || !known {
		return name
	}
	block, _, _ := strings.Cut(rest, ".")
	return "model.layers." + block + "." + to + name[strings.LastIndexByte(name, '.'):]
}

// minusOne takes one off each element.
func minusOne(e weights.Entry) (weights.Entry, error) {
	return weights.Compute(e.Name, e.Shape, weights.Computation{Op: "minus one", Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i := range dst {
			dst[i]--
		}
		return nil
	}}), nil
}

// unrotated orders the rows of each head for rotations of an element of the first half with one of the second, where
// llama.cpp has the two side by side. key ends the name of the metadata that counts the heads. Each tensor is ordered once,
// in its stored form.
func unrotated(src weights.Source, key string) func(weights.Entry) (weights.Entry, error) {
	heads := whole(src.Metadata()["llama."+key])
	if heads == 0 {
		heads = whole(src.Metadata()["llama.attention.head_count"])
	}
	var mu sync.Mutex
	made := map[string]weights.Entry{}
	return func(e weights.Entry) (weights.Entry, error) {
		mu.Lock()
		defer mu.Unlock()
		if done, ok := made[e.Name]; ok {
			return done, nil
		}
		rows := 0
		if len(e.Shape) > 0 {
			rows = e.Shape[0]
		}
		if heads == 0 || rows%(2*heads) != 0 {
			return e, nil
		}
		half := rows / heads / 2
		order := make([]int, rows)
		for i := range order {
			head, at := i/(2*half), i%(2*half)
			order[i] = head*2*half + at%half*2 + at/half
		}
		out, err := e.Reordered(order)
		if err == nil {
			made[e.Name] = out
		}
		return out, err
	}
}

// whole reads a number, 0 for none.
func whole(text string) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<20 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}
