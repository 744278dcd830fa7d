package flux

import (
	"fmt"

	"comfygo/engine/family/dit"
	"comfygo/engine/weights"
)

// Config describes a network of this kind. The numbers of blocks are read off the keys.
type Config struct {
	dit.Streams
	// Channels are the latent channels that are predicted, Patch is the side of a patch.
	Channels, Patch int
	// In is the number of input channels: those of the latent and of the additional inputs.
	In int
	// InLayer is the name of the layer that reads the image's tokens.
	InLayer string
	// Context is the width of the text encoding, Vector that of the pooled one, 0 for none.
	Context, Vector int
	// Guidance reports that the network reads a guidance.
	Guidance bool
	// Shared reports that all blocks of a kind share their modulation (Flux.2).
	Shared bool
	// Distilled, when set, is the width of the network that makes all modulations at once from the timestep and the
	// guidance (Chroma).
	Distilled int
	// Headless reports that there is no last layer: the graph gives the tokens of the image.
	Headless bool
	// TextNorm reports that the text encoding is normalised.
	TextNorm bool
	// Axes are the widths of a head that each axis of positions takes; Theta is the period of the slowest pair.
	Axes  []int
	Theta float64
	// TextAxes are the axes along which text tokens are numbered.
	TextAxes []int
	// Method is the default placement of reference latents; RefScale is the step of their index.
	Method   string
	RefScale float64
}

// Tokens returns the number of values of a token with the given number of channels.
func (c Config) Tokens(channels int) int { return channels * c.Patch * c.Patch }

// Plain shows a network's tensors with the norms' scales named as weights, and in its own layout where they are in that of
// diffusers.
func Plain(src weights.Source) weights.Source {
	if e, ok := src.Lookup("x_embedder.weight"); ok && len(e.Shape) == 2 {
		if _, ok := src.Lookup("single_transformer_blocks.0.attn.to_q.weight"); ok {
			s := weights.NewScope(src)
			depth, single := s.Count("transformer_blocks"), s.Count("single_transformer_blocks")
			return names(depth, single, e.Shape[0]).View(src)
		}
	}
	return dit.Rename(src, dit.NormWeights)
}

// keyNorm is the key by which upstream knows the networks of this kind.
const keyNorm = "double_blocks.0.img_attn.norm.key_norm.weight"

// Looks reports whether a source, in the layout of Plain, holds a network of this kind.
func Looks(src weights.Source) bool {
	_, norm := src.Lookup(keyNorm)
	_, in := src.Lookup("img_in.weight")
	_, patches := src.Lookup("img_in_patch.weight")
	return norm && (in || patches)
}

// Read reads the config off a network of this kind; s is in the layout of Plain. axes are the widths of the positions' axes.
func Read(s *weights.Scope, patch int, axes ...int) (Config, error) {
	out := s.Shape("final_layer.linear.weight")
	if len(out) != 2 || out[0]%(patch*patch) != 0 {
		return Config{}, fmt.Errorf("reading the shape of the network: final_layer.linear.weight is %v, wanted two dimensions and patches of %d by %d", out, patch, patch)
	}
	c, err := ReadTrunk(s, patch, axes...)
	c.Channels = out[0] / (patch * patch)
	return c, err
}

// ReadTrunk is Read for a network without a last layer: it has equal numbers of input and output channels.
func ReadTrunk(s *weights.Scope, patch int, axes ...int) (Config, error) {
	c := Config{Patch: patch, Axes: axes, Theta: 10000}
	c.InLayer = "img_in"
	if s.Has("img_in_patch.weight") {
		c.InLayer = "img_in_patch"
	}
	in, txt := s.Shape(c.InLayer+".weight"), s.Shape("txt_in.weight")
	for name, sh := range map[string][]int{c.InLayer + ".weight": in, "txt_in.weight": txt} {
		if len(sh) != 2 {
			return c, fmt.Errorf("reading the shape of the network: %s is %v, wanted two dimensions", name, sh)
		}
	}
	head := 0
	for _, a := range axes {
		head += a
	}
	area := patch * patch
	c.Hidden, c.In, c.Context, c.Channels = in[0], in[1]/area, txt[1], in[1]/area
	c.Heads = c.Hidden / head
	if c.Heads == 0 || c.Hidden%head != 0 || in[1]%area != 0 || txt[0] != c.Hidden {
		return c, fmt.Errorf("reading the shape of the network: img_in.weight is %v, txt_in.weight %v: wanted heads of %d and patches of %d by %d", in, txt, head, patch, patch)
	}
	if v := s.Shape("vector_in.in_layer.weight"); len(v) == 2 {
		c.Vector = v[1]
	}
	c.Guidance = s.Has("guidance_in.in_layer.weight")
	c.TextNorm = s.Has("txt_norm.weight")
	mlp := s.At("double_blocks.0.img_mlp")
	switch {
	case mlp.Has("gate_proj.weight"):
		c.Kind = dit.NamedGate
		c.MLP = rows(mlp.Shape("gate_proj.weight"))
	default:
		c.MLP = rows(mlp.Shape("0.weight"))
	}
	if c.MLP == 0 {
		return c, fmt.Errorf("reading the shape of the network: double_blocks.0.img_mlp has no first layer")
	}
	return c, nil
}

func rows(shape []int) int {
	if len(shape) == 0 {
		return 0
	}
	return shape[0]
}
