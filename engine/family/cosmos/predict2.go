package cosmos

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers Cosmos Predict2.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Cosmos Predict2" }

// Rank implements family.Family.
func (kind) Rank() int { return 450 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	n, err := ReadNetwork(src)
	if n == nil || err != nil {
		return nil, err
	}
	n.Type, n.Settings, n.Loader = sampling.FlowCosmos, sampling.Settings{SigmaData: 1, SigmaMax: 80, SigmaMin: 0.002}, loader
	return &model{Network: n}, nil
}

// side is the side of a patch.
const side = 2

// Network is the transformer of Cosmos Predict2, which other families build on. Upstream: ldm/cosmos/predict2.py
// MiniTrainDIT.
type Network struct {
	// Head's process and text encoders are those of the family.
	dit.Head
	// Hidden is the width of a token, Heads the number of attention heads, Blocks that of blocks.
	Hidden, Heads, Blocks int
	// Channels are the channels of the latent and of the additional inputs, without the padding mask; Text is the width of the
	// text encoding, Out the number of channels of the prediction.
	Channels, Text, Out int

	layout *layout
	// time and space are the factors by which positions in time and in the image are compressed.
	time, space float64
	// tables are the numbers of rows of the tables of learned places, for frames, rows and columns; zero for none.
	tables [3]int

	activations family.Activations
}

// ReadNetwork reads a network from its shapes. It returns nil if the file holds none, or one of another family with the same
// blocks.
func ReadNetwork(src weights.Source) (*Network, error) {
	s := weights.NewScope(src)
	if !s.Has("blocks.0.mlp.layer1.weight") || s.Has("llm_adapter.blocks.0.cross_attn.q_proj.weight") {
		return nil, nil
	}
	return NewNetwork(src)
}

// loader is the type of the families' text encoder in the CLIP loaders.
const loader = "cosmos"

// head returns the settings that models of these networks have in common. Types are upstream's supported_inference_dtypes.
func head(src weights.Source, format sampling.LatentFormat) dit.Head {
	return dit.Head{Source: src, Format: format, Types: []dtype.DType{dtype.BF16, dtype.F16, dtype.F32}}
}

// NewNetwork reads the network of a file that is known to hold one.
func NewNetwork(src weights.Source) (*Network, error) {
	s := weights.NewScope(src)
	in, norm, text, out := s.Shape("x_embedder.proj.1.weight"), s.Shape("blocks.0.self_attn.q_norm.weight"), s.Shape("blocks.0.cross_attn.k_proj.weight"), s.Shape("final_layer.linear.weight")
	if len(in) != 2 || len(norm) != 1 || len(text) != 2 || len(out) != 2 || norm[0] < 12 || norm[0]%2 != 0 || in[0]%norm[0] != 0 || in[1]%(side*side) != 0 || out[0]%(side*side) != 0 {
		return nil, fmt.Errorf("reading the shape of the network: x_embedder.proj.1.weight is %v, blocks.0.self_attn.q_norm.weight %v, blocks.0.cross_attn.k_proj.weight %v, final_layer.linear.weight %v", in, norm, text, out)
	}
	n := &Network{
		layout: &second, Head: head(src, latents.Wan21), Hidden: in[0], Heads: in[0] / norm[0], Blocks: s.Count("blocks"), Channels: in[1]/(side*side) - 1, Text: text[1], Out: out[0] / (side * side),
	}
	n.time, n.space = n.stretch()
	return n, n.check()
}

// check fails for a network of other latents.
func (n *Network) check() error {
	if n.Out != n.Format.Channels || n.Channels < n.Out || n.Channels > n.Out+1 {
		return fmt.Errorf("it reads %d channels and gives %d: models of this kind read %d, or one more for videos from images", n.Channels, n.Out, n.Format.Channels)
	}
	return nil
}

// masked reports that the network reads a mask of given frames, to generate videos from images.
func (n *Network) masked() bool { return n.Channels > n.Out }

// head is the width of a head.
func (n *Network) head() int { return n.Hidden / n.Heads }

// stretch returns the factors by which positions in time and in the image are compressed, the figures of upstream's
// model_detection.py.
func (n *Network) stretch() (time, space float64) {
	const small, large = 2048, 5120
	switch {
	case !n.masked():
		return 1, 4
	case n.Hidden == small:
		return 1, 3
	case n.Hidden == large:
		return 0.8333333333333334, 2
	}
	return 1, 1
}

// angles are the angles of the tokens of the given number of frames, on the axes time, with steps of pace, row and column. Upstream:
// position_embedding.py VideoRopePosition3DEmb.
func (n *Network) angles(frames int, g dit.Grid, pace float64) []family.Value {
	var pos []float64
	for f := range frames {
		pos = dit.AppendGrid(pos, g, float64(f)*pace)
	}
	d := n.head()
	plane := d / 6 * 2
	line := d - 2*plane
	theta := func(stretch float64, width int) float64 {
		const plain = 10000
		return plain * math.Pow(stretch, float64(width)/float64(width-2))
	}
	return dit.AxisAngles(pos, []float64{theta(n.time, line), theta(n.space, plane), theta(n.space, plane)}, line, plane, plane)
}

// Predict runs the network on a latent [N,C,T,H,W] or [N,C,H,W] with timesteps [N] or [N,T], a text encoding and, for
// models that make videos from images, the mask [N,1,T,H,W] of given frames. LLLite networks change the prediction for
// single images.
func (n *Network) Predict(ctx context.Context, run family.Runner, latent, times, text, given *tensor.Tensor, lites ...family.Attached) (*tensor.Tensor, error) {
	return n.paced(ctx, run, 1, latent, times, text, given, lites...)
}

// paced is Predict for frames whose positions have steps of pace.
func (n *Network) paced(ctx context.Context, run family.Runner, pace float64, latent, times, text, given *tensor.Tensor, lites ...family.Attached) (*tensor.Tensor, error) {
	x := dit.Video(latent)
	frames := dit.FramesOf(x.Shape)
	if err := dit.CheckText(text, x.Dim(0), n.Text); err != nil {
		return nil, err
	}
	grid := dit.GridOf(x.Shape, side)
	var all []*tensor.Tensor
	if n.masked() {
		if given == nil {
			given = tensor.New(x.Dim(0), 1, frames, x.Dim(3), x.Dim(4))
		}
		all = append(all, given)
	}
	padding := tensor.New(x.Dim(0), 1, frames, x.Dim(3), x.Dim(4)) // a mask of padding: all zero, as nothing is padded
	tokens, _, err := dit.PatchifyFrames(dit.Channels(append(append([]*tensor.Tensor{x}, all...), padding)...), side, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	v := variant{Framed: times.Len() != x.Dim(0)}
	if v.Framed {
		if times.Len() != x.Dim(0)*frames {
			return nil, fmt.Errorf("%d timesteps for %d rows of %d frames", times.Len(), x.Dim(0), frames)
		}
		times = &tensor.Tensor{Shape: []int{x.Dim(0), frames}, Data: times.Data}
		tokens.Shape = []int{x.Dim(0), frames, grid.Tokens(), tokens.Dim(2)}
	} else {
		times = &tensor.Tensor{Shape: []int{x.Dim(0)}, Data: times.Data}
	}
	if len(lites) > 0 && (frames != 1 || lites[0].Input.Dim(1) != grid.Tokens()) {
		return nil, fmt.Errorf("a patch has %d tokens for a single image, and the latent has %d frames of %d tokens", lites[0].Input.Dim(1), frames, grid.Tokens())
	}
	patches := v.attach(lites, x.Dim(0))
	in := append([]family.Value{family.Floats("x", tokens), family.Floats("timesteps", times), family.Floats("context", text)}, n.angles(frames, grid, pace)...)
	in = append(in, patches...)
	places, err := n.places(frames, grid)
	if err != nil {
		return nil, err
	}
	in = append(in, places...)
	if err := run.Check("running the model", n.memory(v, x.Dim(0), frames, grid.Tokens(), text.Dim(1))); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, n.graph(v, lites...), in, "out")
	if err != nil {
		return nil, err
	}
	shape := append([]int{x.Dim(0), n.Out}, x.Shape[2:]...)
	y, err := dit.UnpatchifyFrames(out["out"], side, tensor.ChannelsLast, shape)
	if err != nil {
		return nil, err
	}
	return y.Reshape(latent.Shape...)
}

// Memory estimates the bytes of activations; see family.Denoiser.
func (n *Network) Memory(shape []int, tokens int) int64 {
	return n.memory(variant{}, shape[0], dit.FramesOf(shape), dit.GridOf(shape, side).Tokens(), tokens)
}

// memory is Memory for frames of the given number of tokens.
func (n *Network) memory(v variant, rows, frames, tokens, text int) int64 {
	v.Lites = nil // whose activations are small
	return n.activations.Of(n.graph(v), map[string]int{"B": rows, "F": frames, "L": tokens, "S": frames * tokens, "T": text})
}

func (n *Network) graph(v variant, lites ...family.Attached) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(v), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("cosmos predict2", dit.WithAttached(n.Source, lites), func(b *nn.Builder, s *weights.Scope) {
			(&writer{Builder: b, Network: n, v: v}).write(s)
		})
	}}
}

// model is Cosmos Predict2, for images and videos, and what Cosmos 1 has in common with it.
type model struct{ *Network }

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Keeping   = (*model)(nil)
)

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	return map[string][]string{t5.KeyOld: {"text_encoders.t5xxl.transformer."}}
}

// Kept implements family.Keeping: given frames are read without noise.
func (m *model) Kept(sigma float32, latent *tensor.Tensor) *tensor.Tensor {
	out := latent.Clone()
	for i := range out.Data {
		out.Data[i] *= sigma + 1 // the network reads latents over sigma+1
	}
	return out
}

// The names of the inputs beside the text encoding.
const (
	// inputGiven is 1 in the frames that are given, [N,1,T,H,W].
	inputGiven = "given"
	// inputNoise is the part of each frame that is to be made [N,T], which scales its timestep.
	inputNoise = "denoise_mask"
	// inputPace is the step of the frames' positions [1].
	inputPace = "pace"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	in, err := m.given(c, r)
	if err != nil {
		return nil, err
	}
	mask, err := m.mask(c, r)
	if err != nil || mask == nil || len(mask.Shape) != 5 {
		return in, err
	}
	return append(in, sampling.Input{Name: inputNoise, Value: frameMeans(mask), Rule: sampling.ByRows}), nil
}

// mask is 0 in the given frames, or nil without given frames.
func (m *model) mask(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if mask == nil && err == nil {
		mask = r.Mask
	}
	return mask, err
}

// given are the text and the frames that are given.
func (m *model) given(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	mask, err := m.mask(c, r)
	if err != nil || mask == nil || !m.masked() {
		return in, err
	}
	given, err := sampling.FitMask(mask, r.Shape)
	if err != nil {
		return nil, err
	}
	for i, v := range given.Data {
		given.Data[i] = 1 - v
	}
	return append(in, sampling.Input{Name: inputGiven, Value: given, Rule: sampling.ByCells}), nil
}

// frameMeans are the means of the frames of a mask [N,C,T,H,W], as [N,T].
func frameMeans(mask *tensor.Tensor) *tensor.Tensor {
	n, c, t, size := mask.Dim(0), mask.Dim(1), mask.Dim(2), mask.Dim(3)*mask.Dim(4)
	out := tensor.New(n, t)
	for b := range n {
		for f := range t {
			sum := 0.0
			for ch := range c {
				for _, v := range mask.Data[((b*c+ch)*t+f)*size:][:size] {
					sum += float64(v)
				}
			}
			out.Data[b*t+f] = float32(sum / float64(c*size))
		}
	}
	return out
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if len(c.X.Shape) != 4 && len(c.X.Shape) != 5 {
		return nil, fmt.Errorf("the latent has shape %v, the model reads latents of images and of videos", c.X.Shape)
	}
	if err := dit.CheckLatent(c, m.Out, len(c.X.Shape)); err != nil {
		return nil, err
	}
	times := &tensor.Tensor{Shape: []int{len(c.T)}, Data: c.T}
	if noise := c.Inputs.Get(inputNoise); noise != nil {
		times = frameTimes(c.T, noise)
	}
	given := c.Inputs.Get(inputGiven)
	if given != nil && given.Len() != c.X.Dim(0)*tensor.Count(c.X.Shape[2:]) {
		return nil, fmt.Errorf("a mask of shape %v does not fit latents of shape %v", given.Shape, c.X.Shape)
	}
	pace := 1.0
	if p := c.Inputs.Get(inputPace); p != nil {
		pace = float64(p.Data[0])
	}
	return m.paced(ctx, run, pace, c.X, times, c.Inputs.Get(sampling.InputContext), given)
}

// frameTimes are the timesteps of rows times the part of each frame that is to be made, [N,T]; one per row [N] where all
// frames of a row are equal.
func frameTimes(t []float32, noise *tensor.Tensor) *tensor.Tensor {
	frames := noise.Len() / max(len(t), 1)
	out := tensor.New(len(t), frames)
	equal := true
	for i, v := range noise.Data[:len(out.Data)] {
		row := i / frames
		out.Data[i] = t[row] * v
		equal = equal && v == noise.Data[row*frames]
	}
	if !equal {
		return out
	}
	rows := tensor.New(len(t))
	for i := range rows.Data {
		rows.Data[i] = out.Data[i*frames]
	}
	return rows
}
