package engine

import "comfygo/engine/family"

// Scheme names the type of the CLIP loaders by which the model's text encoders act together, "" when it has none.
func (m *Model) Scheme() string {
	if b, ok := m.net.(family.Bundle); ok {
		return b.Scheme()
	}
	return ""
}
