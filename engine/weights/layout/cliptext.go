package layout

import (
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/weights"
)

// CLIPText shows a CLIP text encoder in the layout of OpenAI's and open_clip's code (transformer.resblocks.0…) in that of
// transformers (text_model.encoder.layers.0…): in_proj is split in queries, keys and values, and text_projection, which
// multiplies from the other side there, is transposed. It transposes a lone text_projection of a file in transformers'
// layout, too.
//
// Upstream: utils.py clip_text_transformers_convert.
func CLIPText(src weights.Source) weights.Source {
	openCLIP := has(src, "transformer.resblocks.0.ln_1.weight")
	if !openCLIP && (!has(src, "text_projection") || !has(src, "text_model.encoder.layers.0.mlp.fc1.weight")) {
		return src
	}
	v := newView(src)
	for _, n := range src.Names() {
		switch {
		case n == "text_projection":
			v.add("text_projection.weight", n, weights.Entry.Transpose)
		case openCLIP:
			v.addBlock(n, "", "text_model.", clipTextNames)
		default:
			v.add(n, n, nil)
		}
	}
	return v
}

var clipTextNames = map[string]string{
	"positional_embedding": "embeddings.position_embedding.weight", "token_embedding.weight": "embeddings.token_embedding.weight",
	"ln_final.weight": "final_layer_norm.weight", "ln_final.bias": "final_layer_norm.bias",
}

// OpenCLIPText shows a CLIP text encoder in transformers' layout in that of open_clip, as checkpoints of Stable Diffusion 2
// and XL hold it: the inverse of CLIPText.
//
// Upstream: diffusers_convert.py convert_text_enc_state_dict_v20.
func OpenCLIPText(src weights.Source) weights.Source {
	v := newView(src)
	own := map[string]string{}
	for name, of := range clipTextNames {
		own["text_model."+of] = name
	}
	for _, n := range src.Names() {
		rest, block := strings.CutPrefix(n, "text_model.encoder.layers.")
		index, part, _ := strings.Cut(rest, ".")
		kind, query := strings.CutPrefix(part, "self_attn.q_proj.")
		switch name := own[n]; {
		case n == "text_projection.weight":
			v.add("text_projection", n, weights.Entry.Transpose)
		case name != "":
			v.add(name, n, nil)
		case !block:
			v.add(n, n, nil)
		case query:
			v.add("transformer.resblocks."+index+".attn.in_proj_"+kind, n, func(q weights.Entry) (weights.Entry, error) {
				return stacked(src, q, strings.Replace(n, "q_proj", "k_proj", 1), strings.Replace(n, "q_proj", "v_proj", 1))
			})
		case strings.HasPrefix(part, "self_attn.k_proj.") || strings.HasPrefix(part, "self_attn.v_proj."):
		default:
			v.add("transformer.resblocks."+index+"."+openBlockNames.Replace(part), n, nil)
		}
	}
	return v
}

// stacked returns the rows of an entry and of others of one or two axes.
func stacked(src weights.Source, first weights.Entry, names ...string) (weights.Entry, error) {
	all := []weights.Entry{first}
	rows := first.Shape[0]
	for _, n := range names {
		e, ok := src.Lookup(n)
		if !ok || len(e.Shape) != len(first.Shape) {
			return e, fmt.Errorf("%q is missing or of another shape", n)
		}
		all = append(all, e)
		rows += e.Shape[0]
	}
	if len(first.Shape) == 2 {
		return weights.Concat(0, all...)
	}
	for i, e := range all {
		column, err := e.Reshape(e.Count(), 1)
		if err != nil {
			return e, err
		}
		all[i] = column
	}
	joined, err := weights.Concat(0, all...)
	if err != nil {
		return joined, err
	}
	return joined.Reshape(rows)
}

// CLIPVision shows a CLIP image encoder in the layout of OpenAI's and open_clip's code (visual.transformer.resblocks.0…) in
// that of transformers (vision_model.encoder.layers.0…).
//
// Upstream: clip_vision.py convert_to_transformers.
func CLIPVision(src weights.Source) weights.Source {
	prefix := ""
	for _, p := range []string{"visual.", "vision."} {
		if has(src, p+"transformer.resblocks.0.attn.in_proj_weight") {
			prefix = p
		}
	}
	if prefix == "" {
		return src
	}
	v := newView(src)
	for _, n := range src.Names() {
		switch {
		case n == prefix+"proj":
			v.add("visual_projection.weight", n, weights.Entry.Transpose)
		case strings.HasPrefix(n, prefix):
			v.addBlock(n, prefix, "vision_model.", clipVisionNames)
		}
	}
	return v
}

// clipVisionNames has transformers' own misspelling.
var clipVisionNames = map[string]string{
	"class_embedding": "embeddings.class_embedding", "conv1.weight": "embeddings.patch_embedding.weight",
	"positional_embedding": "embeddings.position_embedding.weight", "ln_post.weight": "post_layernorm.weight", "ln_post.bias": "post_layernorm.bias",
	"ln_pre.weight": "pre_layrnorm.weight", "ln_pre.bias": "pre_layrnorm.bias",
}

var clipBlockNames = strings.NewReplacer("ln_1.", "layer_norm1.", "ln_2.", "layer_norm2.", "mlp.c_fc.", "mlp.fc1.", "mlp.c_proj.", "mlp.fc2.", "attn.out_proj.", "self_attn.out_proj.")

var openBlockNames = strings.NewReplacer("layer_norm1.", "ln_1.", "layer_norm2.", "ln_2.", "mlp.fc1.", "mlp.c_fc.", "mlp.fc2.", "mlp.c_proj.", "self_attn.out_proj.", "attn.out_proj.")

// addBlock adds tensor n, which begins with prefix, below to: by the table of names outside the blocks, or as a part of a block.
// Tensors that are neither keep their names.
func (v *view) addBlock(n, prefix, to string, names map[string]string) {
	rest := strings.TrimPrefix(n, prefix)
	if own, ok := names[rest]; ok {
		v.add(to+own, n, nil)
		return
	}
	rest, ok := strings.CutPrefix(rest, "transformer.resblocks.")
	index, part, whole := strings.Cut(rest, ".")
	if !ok || !whole {
		v.add(n, n, nil)
		return
	}
	layer := to + "encoder.layers." + index + "."
	kind, ok := strings.CutPrefix(part, "attn.in_proj_")
	if !ok {
		v.add(layer+clipBlockNames.Replace(part), n, nil)
		return
	}
	for i, which := range []string{"q", "k", "v"} {
		v.add(layer+"self_attn."+which+"_proj."+kind, n, func(e weights.Entry) (weights.Entry, error) {
			if len(e.Shape) == 0 {
				return e, errors.New("no rows")
			}
			third := e.Shape[0] / 3
			return e.Rows(i*third, third)
		})
	}
}
