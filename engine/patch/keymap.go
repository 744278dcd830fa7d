package patch

import (
	"iter"
	"strings"
)

// Target is the meaning of a name in an adapter file: a weight of a model, or some rows of one.
type Target struct {
	// Key is the weight's key: a part of the model, which ends in a dot, and the weight's name in it, such as
	// "diffusion_model.input_blocks.0.0.weight" or "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight".
	Key string
	// From and Rows choose rows of the weight, such as the query part of a fused query-key-value weight; Rows 0 means
	// the whole weight.
	From, Rows int
	// SwapHalves reports that the first and the second half of the change's rows trade places.
	SwapHalves bool
	// Baked reports that the model does not apply the weight by a linear or convolution layer, so that a change cannot be a
	// branch beside it: a table of embeddings.
	Baked bool
}

// bias returns the target of the bias that belongs to a weight.
func (t Target) bias() Target {
	return Target{Key: strings.TrimSuffix(t.Key, ".weight") + ".bias", From: t.From, Rows: t.Rows, SwapHalves: t.SwapHalves}
}

// KeyMap maps the names that adapter files use to weights of a model. If two names of a file map to one weight, the one
// added later counts. The zero value is an empty map; it is not safe for concurrent changes.
type KeyMap struct {
	names   []string
	targets map[string]Target
}

// Add adds a name. A name that is there already gets the new target and keeps its place.
func (m *KeyMap) Add(name string, t Target) {
	if m.targets == nil {
		m.targets = map[string]Target{}
	}
	if _, ok := m.targets[name]; !ok {
		m.names = append(m.names, name)
	}
	m.targets[name] = t
}

// AddKey adds a name for a whole weight.
func (m *KeyMap) AddKey(name, key string) { m.Add(name, Target{Key: key}) }

// Join adds all names of o.
func (m *KeyMap) Join(o *KeyMap) {
	if o == nil {
		return
	}
	for name, t := range o.All() {
		m.Add(name, t)
	}
}

// Bake marks the targets for whose key f is true as Baked.
func (m *KeyMap) Bake(f func(key string) bool) {
	for name, t := range m.targets {
		if f(t.Key) {
			t.Baked = true
			m.targets[name] = t
		}
	}
}

// Lookup returns the target of a name.
func (m *KeyMap) Lookup(name string) (Target, bool) {
	t, ok := m.targets[name]
	return t, ok
}

// All lists the names in the order in which they were added.
func (m *KeyMap) All() iter.Seq2[string, Target] {
	return func(yield func(string, Target) bool) {
		for _, n := range m.names {
			if !yield(n, m.targets[n]) {
				return
			}
		}
	}
}

// Len returns the number of names.
func (m *KeyMap) Len() int { return len(m.names) }

// stem returns the layer's name in a weight's name, or false if the name is not that of a weight.
func stem(name string) (string, bool) { return strings.CutSuffix(name, ".weight") }

// underscored is how kohya's trainers write a layer's name.
func underscored(name string) string { return strings.ReplaceAll(name, ".", "_") }

// AddGeneric adds the names by which every diffusion model is known: "lora_unet_" with dots as underscores for weights,
// and the key itself, without ".weight". part is the prefix of the keys ("diffusion_model."), names lists the model's
// tensors.
func (m *KeyMap) AddGeneric(part string, names []string) {
	for _, n := range names {
		if layer, ok := stem(n); ok {
			m.AddKey("lora_unet_"+underscored(layer), part+n)
			m.AddKey(part+layer, part+n)
		} else {
			m.AddKey(part+n, part+n)
		}
	}
}
