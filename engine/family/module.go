package family

import (
	"context"
	"encoding/json"
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Modular is implemented by families, of any role, that can read a network by the name and the config of upstream's class
// for it, at sizes that no published model has: for checks against upstream's modules.
type Modular interface {
	Family
	// Module reads a network of an upstream class, such as "comfy.clip_model.CLIPTextModel", off src. config is a JSON
	// object of the class's settings. It returns nil for a class of another family.
	Module(class string, config []byte, src weights.Source) (Module, error)
}

// Module is a network that is run by itself.
type Module interface {
	// Role is the role of the network.
	Role() Role
	// Call runs the network. The results are those of upstream's forward, in their order; nil where upstream has None.
	Call(ctx context.Context, run Runner, args Arguments) ([]*tensor.Tensor, error)
}

// Arguments are the arguments of upstream's forward by name.
type Arguments struct {
	// Tensors holds tensors of floats, Values everything else.
	Tensors map[string]*tensor.Tensor
	Values  map[string]json.RawMessage
}

// Decode decodes a value that is not a tensor into v, which stays unchanged when the argument is missing or null.
func (a Arguments) Decode(name string, v any) error {
	raw, ok := a.Values[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("reading the argument %s: %w", name, err)
	}
	return nil
}

// Modular returns the families of all roles that read networks by upstream's class.
func (r *Registry) Modular() []Modular {
	var out []Modular
	out = appendModular(out, r.Diffusion())
	out = appendModular(out, r.Text())
	out = appendModular(out, r.VAEs())
	out = appendModular(out, r.Controls())
	out = appendModular(out, r.Upscalers())
	return appendModular(out, r.Visions())
}

func appendModular[F Family](out []Modular, list []F) []Modular {
	for _, f := range list {
		if m, ok := any(f).(Modular); ok {
			out = append(out, m)
		}
	}
	return out
}
