package lm

import (
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/patch"
)

var _ family.AdaptableText = (*Encoder)(nil)

// LoRAKeys implements family.AdaptableText. kohya's names are those of an encoder that stands alone (upstream: lora.py
// model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, keys []string) {
	n := patch.TextNames{Part: part, Names: e.src.Names()}
	m.AddTextGeneric(n)
	m.AddTextInner(n)
	if len(keys) == 1 {
		for _, name := range n.Names {
			inner, ok := strings.CutPrefix(name, "model.")
			layer, isWeight := strings.CutSuffix(inner, ".weight")
			if ok && isWeight {
				m.AddKey("lora_te_"+strings.ReplaceAll(layer, ".", "_"), part+name)
			}
		}
	}
	// The table is read outside of the layers that adapters are branches of.
	m.Bake(func(key string) bool { return key == part+table })
}
