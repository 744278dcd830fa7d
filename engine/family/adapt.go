package family

import "comfygo/engine/patch"

// Adaptable is implemented by diffusion models to which adapter files (LoRA) can be applied.
type Adaptable interface {
	// LoRAKeys adds what adapter files call the model's weights. part is the prefix of the keys, such as "diffusion_model.".
	LoRAKeys(m *patch.KeyMap, part string)
}

// AdaptableText is implemented by text encoders to which adapter files can be applied.
type AdaptableText interface {
	// LoRAKeys adds what adapter files call the encoder's weights, when it acts together with encoders of the given keys,
	// its own among them. part is the prefix of the keys, such as "clip_l.transformer.".
	LoRAKeys(m *patch.KeyMap, part string, keys []string)
}
