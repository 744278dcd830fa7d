package t5

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/patch"
)

var _ family.AdaptableText = (*Encoder)(nil)

// LoRAKeys implements family.AdaptableText. OneTrainer numbers T5-XXL after the CLIP encoders beside it (upstream: lora.py
// model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, keys []string) {
	n := patch.TextNames{Part: part, Names: e.src.Names()}
	m.AddTextGeneric(n)
	m.AddTextInner(n)
	if e.Config.Key == KeyXXL {
		for _, number := range numbers(slices.Contains(keys, clip.KeyL), slices.Contains(keys, clip.KeyG)) {
			m.AddKohya(fmt.Sprintf("lora_te%d_", number), "", n)
		}
	}
	// The tables are read outside the layers that adapters are branches of.
	m.Bake(func(key string) bool {
		return strings.HasPrefix(key, part) && (strings.HasSuffix(key, table) || strings.HasSuffix(key, otherTable) || strings.HasSuffix(key, biasKey))
	})
}

// numbers are the numbers of T5 beside the CLIP encoders in files.
func numbers(l, g bool) []int {
	switch {
	case l && g:
		return []int{3}
	case l:
		return []int{2, 3}
	case g:
		return []int{2}
	}
	return []int{1}
}
