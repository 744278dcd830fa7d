package family

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Runner runs the graphs of one network: the runtime as families see it. It is bound to the network's files, and to the
// device and compute type that the engine chose for it.
type Runner interface {
	// Run computes outputs of a graph, float32 each. The session is made by g.Build unless one is ready under the key of
	// files, g.Part, g.Variant, device and target.
	Run(ctx context.Context, g Graph, in []Value, outputs ...string) (map[string]*tensor.Tensor, error)
	// Patched returns a network's weights with the changes of the adapters that the network has, for computations outside
	// graphs.
	Patched(src weights.Source) (weights.Source, error)
	// Fits reports whether the given bytes of activations fit into the device's memory.
	Fits(bytes int64) bool
	// Check returns an error with the required memory and its purpose if the bytes do not fit after idle networks were evicted.
	Check(what string, bytes int64) error
	// Log is for what a user should know.
	Log() *slog.Logger
}

// Graph is one graph of a network.
type Graph struct {
	// Part names the graph among those of the network's files, such as "unet" or "vae decoder"; its first word is what
	// progress and metrics call the network.
	Part string
	// Variant distinguishes the graphs of one part; see Variant.Digest.
	Variant string
	// Steps reports that the graph runs many times in a row with inputs of one size: its memory is kept between runs.
	Steps bool
	// Steady are the inputs, beside a prompt's encoding (sampling.InputContext), that stay the same from step to step. On a GPU
	// values that depend only on them are computed when they change.
	Steady []string
	// Streamed keeps the weights mapped from the file and widens them just before their use, whatever the user's settings
	// prefer: for networks that run once and are large against their activations.
	Streamed bool
	// Wide reports that the activations exceed the range of float16: on a GPU the network computes in bfloat16 unless the user
	// asks for another type.
	Wide bool
	// Build writes the graph.
	Build func(s Spec) (*onnx.Graph, error)
}

// Spec is what a graph is built for. Equal specs give equal graphs.
type Spec struct {
	Target nn.Target
	// Adapters are the LoRA changes of the network's weights, or nil; Scope and Build apply them.
	Adapters *patch.Part
}

// Scope returns the root scope of a network's weights, with the changes that are computed while weights are read.
func (o Spec) Scope(src weights.Source) (*weights.Scope, error) {
	changed, err := o.Adapters.Source(src)
	if err != nil {
		return nil, err
	}
	return weights.NewScope(changed), nil
}

// Build writes a graph called name of the weights in src, which write takes from the scope: the error lists all missing or
// misshapen keys.
func (o Spec) Build(name string, src weights.Source, write func(b *nn.Builder, s *weights.Scope)) (*onnx.Graph, error) {
	s, err := o.Scope(src)
	if err != nil {
		return nil, err
	}
	adapters := o.Adapters.Adapters()
	g, err := onnx.Build(name, func(g *onnx.Graph) error {
		b := &nn.Builder{Graph: g, Target: o.Target}
		if o.Target.Flash {
			g.PreferFlash()
		}
		if adapters != nil {
			b.Adapters = adapters
		}
		write(b, s)
		return nil
	})
	if kerr := s.Err(); kerr != nil {
		return nil, kerr
	}
	if err == nil {
		err = adapters.Err()
	}
	return g, err
}

// Value is one input of a graph.
type Value struct {
	Name string
	// Tensor is the value of a float32 input.
	Tensor *tensor.Tensor
	// Ints and Shape are the value of an int64 input, used when Tensor is nil.
	Ints  []int64
	Shape []int
}

// Floats is an input of type float32.
func Floats(name string, t *tensor.Tensor) Value { return Value{Name: name, Tensor: t} }

// Vector is a float32 input of one dimension.
func Vector(name string, v []float32) Value {
	return Value{Name: name, Tensor: &tensor.Tensor{Shape: []int{len(v)}, Data: v}}
}

// Ints is an input of type int64.
func Ints(name string, v []int64, shape ...int) Value {
	return Value{Name: name, Ints: v, Shape: shape}
}

// Role is what a network does; the user's settings of device and compute type go by it.
type Role int

// The roles.
const (
	RoleDiffusion Role = iota
	RoleText
	RoleVAE
	RoleControl
	RoleUpscale
	RoleVision
	RoleGrounding
	RoleStyle
	RolePatch
	RoleAudio
	RoleLatentUpscale
	RoleInterpolation
	RoleOpticalFlow
	RoleGeometry
	RoleBackground
	RoleFace
	RoleIdentity
)

// String returns what a network of the role is called, such as "diffusion model".
func (r Role) String() string {
	if r < 0 || int(r) >= len(roles) {
		return fmt.Sprintf("role %d", int(r))
	}
	return roles[r]
}

var roles = [...]string{
	RoleDiffusion: "diffusion model", RoleText: "text encoder", RoleVAE: "VAE", RoleControl: "ControlNet", RoleUpscale: "upscale model", RoleVision: "image encoder", RolePatch: "model patch", RoleGrounding: "grounding network",
	RoleStyle: "style model", RoleAudio: "audio encoder", RoleLatentUpscale: "latent upscale model",
	RoleInterpolation: "frame interpolation model", RoleOpticalFlow: "optical flow model", RoleGeometry: "geometry model",
	RoleBackground: "background removal model", RoleFace: "face landmark model",
	RoleIdentity: "identity encoder",
}

// Preferred is the compute type of a role on a GPU where neither the user nor the file asks for another.
func (r Role) Preferred() dtype.DType {
	switch r {
	case RoleVAE, RoleUpscale, RoleLatentUpscale, RoleOpticalFlow, RoleGeometry, RoleBackground, RoleFace:
		return dtype.F32
	}
	return dtype.F16
}

// Digest joins the parts of a variant into a key. Parts are separated so that no two lists give one key.
func Digest(parts ...any) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = fmt.Sprintf("%q", fmt.Sprint(p))
	}
	return strings.Join(texts, " ")
}
