package hidream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind is the family of diffusion models.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "HiDream I1" }

// Rank implements family.Family.
func (kind) Rank() int { return 720 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("caption_projection.0.linear.weight") || !s.Has("double_stream_blocks.0.block.attn1.to_q.weight") {
		return nil, nil
	}
	c, err := read(s)
	if err != nil {
		return nil, err
	}
	return &Model{Config: c, Source: src}, nil
}

// Model is a diffusion model of the family.
type Model struct {
	Config
	// Source holds the network's tensors without prefix.
	Source weights.Source

	activations family.Activations
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
	_ family.Typed     = (*Model)(nil)
)

// Latent implements family.Denoiser.
func (m *Model) Latent() sampling.LatentFormat { return latents.Flux }

// Sampling implements family.Denoiser.
func (m *Model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flow, sampling.Settings{}
}

// Weights implements family.Denoiser.
func (m *Model) Weights() weights.Source { return m.Source }

// ComputeTypes implements family.Typed, by upstream's supported_inference_dtypes.
func (m *Model) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.BF16, dtype.F32} }

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.Source.Names())
	for _, n := range m.Source.Names() {
		if layer, ok := strings.CutSuffix(n, ".weight"); ok {
			keys.AddKey("lycoris_"+strings.ReplaceAll(layer, ".", "_"), part+n)
			keys.AddKey("transformer."+layer, part+n)
		}
	}
}

// The names of inputs beside T5's text encoding, and the conditioning's key of the second one.
const (
	// inputLayers are the hidden states of the language model's layers [N,layers,tokens,width].
	inputLayers = "conditioning_llama3"
	// inputVector is the pooled text encoding [N,width].
	inputVector = "y"
	// inputImage is the latent of the image to edit [N,C,H,W], which is read to the right of the noisy one.
	inputImage = "image_cond"
)

// Inputs implements family.Denoiser.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	layers, err := sampling.Value[*tensor.Tensor](c, inputLayers)
	if err != nil {
		return nil, err
	}
	if c.Tokens == nil || c.Pooled == nil || layers == nil {
		return nil, errors.New("reading a conditioning entry: this model needs the encodings of CLIP-L, CLIP-G, T5-XXL and Llama 3.1: load them with QuadrupleCLIPLoader and connect the output of CLIP Text Encode")
	}
	in := []sampling.Input{
		{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows},
		{Name: inputLayers, Value: layers, Rule: sampling.ByRows},
		{Name: inputVector, Value: c.Pooled, Rule: sampling.ByRows},
	}
	image, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if image != nil {
		in = append(in, sampling.Input{Name: inputImage, Value: r.Format.In(image), Rule: sampling.ByCells})
	}
	return in, err
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := m.check(c); err != nil {
		return nil, err
	}
	x, err := beside(c.X, c.Inputs.Get(inputImage))
	if err != nil {
		return nil, err
	}
	tokens, grid, err := dit.Patchify(x, m.Patch, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	text, layers := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputLayers)
	texts := text.Dim(1) + 2*layers.Dim(2)
	if err := run.Check("running the model", m.memory(layers.Dim(1), c.X.Dim(0), grid.Tokens(), text.Dim(1), layers.Dim(2))); err != nil {
		return nil, err
	}
	in := []family.Value{
		family.Floats("x", tokens), family.Floats("context", text), family.Floats("llama", layers), family.Floats("y", c.Inputs.Get(inputVector)),
		family.Vector("timesteps", c.T),
	}
	in = append(in, dit.Angles(places(grid, texts), theta, m.axes()...)...)
	out, err := run.Run(ctx, m.graph(layers.Dim(1)), in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	return tensor.Crop(y, c.X.Dim(2), c.X.Dim(3))
}

// check fails for a call that does not fit the network.
func (m *Model) check(c family.Call) error {
	rows := c.X.Dim(0)
	layers, pooled := c.Inputs.Get(inputLayers), c.Inputs.Get(inputVector)
	if err := dit.CheckLatent(c, m.Channels, 4); err != nil {
		return err
	}
	if err := dit.CheckText(c.Inputs.Get(sampling.InputContext), rows, m.Text); err != nil {
		return err
	}
	switch {
	case layers == nil || len(layers.Shape) != 4 || layers.Dim(0) != rows || layers.Dim(3) != m.Layer || layers.Dim(1)*layers.Dim(2) == 0:
		return fmt.Errorf("it needs the hidden states of Llama 3.1, %d values a token, for each row", m.Layer)
	case pooled == nil || len(pooled.Shape) != 2 || pooled.Dim(0) != rows || pooled.Dim(1) != m.Vector:
		return fmt.Errorf("it needs a pooled text encoding of %d values for each row", m.Vector)
	}
	return nil
}

// beside joins two latents along their width; the second may be nil.
func beside(x, image *tensor.Tensor) (*tensor.Tensor, error) {
	if image == nil {
		return x, nil
	}
	if len(image.Shape) != 4 || image.Dim(0) != x.Dim(0) || image.Dim(1) != x.Dim(1) || image.Dim(2) != x.Dim(2) {
		return nil, fmt.Errorf("the latent to edit has shape %v, which does not fit beside %v", image.Shape, x.Shape)
	}
	w, more := x.Dim(3), image.Dim(3)
	out := tensor.New(x.Dim(0), x.Dim(1), x.Dim(2), w+more)
	for row := range x.Dim(0) * x.Dim(1) * x.Dim(2) {
		to := out.Data[row*(w+more):]
		copy(to[:w], x.Data[row*w:])
		copy(to[w:w+more], image.Data[row*more:])
	}
	return out, nil
}

// places are the positions of an image's tokens, zero for those of the text after them.
func places(g dit.Grid, texts int) []float64 {
	out := make([]float64, 3*(g.Tokens()+texts))
	for i := range g.Tokens() {
		out[3*i+1], out[3*i+2] = float64(i/g.Width), float64(i%g.Width)
	}
	return out
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	return m.memory(plainLayers, shape[0], dit.GridOf(shape, m.Patch).Tokens(), tokens, tokens)
}

// plainLayers is the number of layers of the language model whose hidden states the network reads.
const plainLayers = 32

func (m *Model) memory(count, rows, image, text, words int) int64 {
	return m.activations.Of(m.graph(count), map[string]int{"B": rows, "X": image, "T": text, "L": words})
}

// graph is that for the hidden states of the given number of layers of the language model.
func (m *Model) graph(count int) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.Config, count), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("hidream", m.Source, func(b *nn.Builder, s *weights.Scope) { network{b, m.Config}.write(s, count) })
	}}
}
