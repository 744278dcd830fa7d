package lumina

import (
	"fmt"
	"strings"

	"comfygo/engine/patch"
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet, utils.py z_image_to_diffusers.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	add := func(name string, t patch.Target) {
		t.Key = part + t.Key
		for _, n := range []string{part + name, "transformer." + name, "lycoris_" + strings.ReplaceAll(name, ".", "_"), name} {
			keys.Add(n, t)
		}
	}
	for _, blocks := range []struct {
		name string
		n    int
	}{{"layers", m.Layers}, {"context_refiner", m.Context}, {"noise_refiner", m.Noise}} {
		for i := range blocks.n {
			m.blockKeys(fmt.Sprintf("%s.%d.", blocks.name, i), add)
		}
	}
	for theirs, ours := range map[string]string{
		"all_final_layer.2-1.linear": "final_layer.linear", "all_final_layer.2-1.adaLN_modulation.1": "final_layer.adaLN_modulation.1",
		"all_x_embedder.2-1": "x_embedder", "cap_embedder.0": "cap_embedder.0", "cap_embedder.1": "cap_embedder.1",
		"t_embedder.mlp.0": "t_embedder.mlp.0", "t_embedder.mlp.2": "t_embedder.mlp.2",
	} {
		add(theirs, patch.Target{Key: ours + ".weight"})
	}
}

// blockKeys adds the names that diffusers gives the layers of a block, with those of a fused projection apart.
func (m *Model) blockKeys(block string, add func(name string, t patch.Target)) {
	queries, keys := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	fused := block + "attention.qkv.weight"
	if _, ok := m.Source.Lookup(fused); ok {
		add(block+"attention.to_q", patch.Target{Key: fused, Rows: queries})
		add(block+"attention.to_k", patch.Target{Key: fused, From: queries, Rows: keys})
		add(block+"attention.to_v", patch.Target{Key: fused, From: queries + keys, Rows: keys})
	} else {
		for _, p := range []string{"to_q", "to_k", "to_v"} {
			add(block+"attention."+p, patch.Target{Key: block + "attention." + p + ".weight"})
		}
	}
	for theirs, ours := range map[string]string{
		"attention.norm_q": "attention.q_norm", "attention.norm_k": "attention.k_norm", "attention.to_out.0": "attention.out",
		"attention_norm1": "attention_norm1", "attention_norm2": "attention_norm2", "ffn_norm1": "ffn_norm1", "ffn_norm2": "ffn_norm2",
		"feed_forward.w1": "feed_forward.w1", "feed_forward.w2": "feed_forward.w2", "feed_forward.w3": "feed_forward.w3",
		"adaLN_modulation.0": "adaLN_modulation.0",
	} {
		if _, ok := m.Source.Lookup(block + ours + ".weight"); ok {
			add(block+theirs, patch.Target{Key: block + ours + ".weight"})
		}
	}
}
