package lm

import (
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
		m.AddKohya("lora_te_", "model.", n)
	}
	// The table is read outside the layers that adapters are branches of.
	m.Bake(func(key string) bool { return key == part+table })
}
