package patch

import (
	"fmt"
	"strings"
)

// clipLayers are the layers of a CLIP text model's block that adapter files change.
var clipLayers = []string{"mlp.fc1", "mlp.fc2", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj", "self_attn.out_proj"}

// TextNames are the tensors of one of the text encoders that act together.
type TextNames struct {
	// Part is the prefix of the encoder's keys, such as "clip_l.transformer.".
	Part string
	// Names lists the encoder's tensors, without prefix ("text_model.encoder.layers.0.mlp.fc1.weight").
	Names []string
}

// CLIPNames are the names of a CLIP text encoder in adapter files.
type CLIPNames struct {
	TextNames
	// Kohya are the prefixes of kohya's names without the last underscore ("lora_te1"), Diffusers those of diffusers'
	// ("text_encoder").
	Kohya, Diffusers []string
	// Also maps further names to tensors of the encoder ("lora_te2_text_projection": "text_projection.weight").
	Also map[string]string
}

// AddCLIP adds the names of a CLIP text encoder's layers and its generic ones. (Upstream: comfy/lora.py
// model_lora_keys_clip.)
func (m *KeyMap) AddCLIP(n CLIPNames) {
	m.AddTextGeneric(n.TextNames)
	has := map[string]bool{}
	for _, name := range n.Names {
		has[name] = true
	}
	for i := 0; ; i++ {
		block := fmt.Sprintf("text_model.encoder.layers.%d.", i)
		if !has[block+"mlp.fc1.weight"] {
			break
		}
		for _, l := range clipLayers {
			if !has[block+l+".weight"] {
				continue
			}
			key := n.Part + block + l + ".weight"
			for _, p := range n.Kohya {
				m.AddKey(p+"_"+underscored(block+l), key)
			}
			for _, p := range n.Diffusers {
				m.AddKey(p+"."+block+l, key)
			}
		}
	}
	for name, tensor := range n.Also {
		if has[tensor] {
			m.AddKey(name, n.Part+tensor)
		}
	}
	m.Bake(func(key string) bool { return strings.HasPrefix(key, n.Part) && isTable(key) })
}

// isTable reports whether a key names an embedding table.
func isTable(key string) bool { return strings.HasSuffix(key, "embedding.weight") }

// AddTextGeneric adds "text_encoders." and the key of each weight of a text encoder. The names of kohya and diffusers differ
// by encoder and are added by AddCLIP, AddKohya or AddKey.
func (m *KeyMap) AddTextGeneric(n TextNames) {
	for _, name := range n.Names {
		if layer, ok := stem(name); ok {
			m.AddKey("text_encoders."+n.Part+layer, n.Part+name)
		}
	}
}

// AddTextInner adds the generic names without the encoder's key, "text_encoders.transformer." and the key of each weight, by
// which files change encoders other than CLIP.
func (m *KeyMap) AddTextInner(n TextNames) {
	_, inner, ok := strings.Cut(n.Part, ".")
	if !ok {
		return
	}
	for _, name := range n.Names {
		if layer, ok := stem(name); ok {
			m.AddKey("text_encoders."+inner+layer, n.Part+name)
		}
	}
}

// AddKohya adds kohya's name for each weight: prefix, then the key after inner with dots as underscores. Weights elsewhere
// get none.
func (m *KeyMap) AddKohya(prefix, inner string, n TextNames) {
	for _, name := range n.Names {
		rest, ok := strings.CutPrefix(name, inner)
		layer, isWeight := stem(rest)
		if ok && isWeight {
			m.AddKey(prefix+underscored(layer), n.Part+name)
		}
	}
}
