package cosmos

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/latents"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(firstKind{}) }

// firstKind registers Cosmos 1, for videos from text, and from images. Upstream: ldm/cosmos/model.py GeneralDIT.
type firstKind struct{}

// Name implements family.Family.
func (firstKind) Name() string { return "Cosmos 1" }

// Rank implements family.Family.
func (firstKind) Rank() int { return 430 }

// Read implements family.Diffusion.
func (firstKind) Read(src, _ weights.Source) (family.Denoiser, error) {
	n, err := readFirst(src)
	if n == nil || err != nil {
		return nil, err
	}
	return &firstModel{model{Network: n}}, nil
}

// readFirst reads a network from its shapes, or returns nil.
func readFirst(src weights.Source) (*Network, error) {
	s := weights.NewScope(src)
	const root = "blocks.block0.blocks."
	hidden := s.Shape(root + "0.block.attn.to_q.0.weight")
	if hidden == nil {
		return nil, nil
	}
	in, norm, text, out := s.Shape("x_embedder.proj.1.weight"), s.Shape(root+"0.block.attn.to_q.1.weight"), s.Shape(root+"1.block.attn.to_k.0.weight"), s.Shape("final_layer.linear.weight")
	if len(hidden) != 2 || len(in) != 2 || len(norm) != 1 || len(text) != 2 || len(out) != 2 || norm[0] < 12 || norm[0]%2 != 0 || hidden[0]%norm[0] != 0 || in[1]%(side*side) != 0 || out[0]%(side*side) != 0 {
		return nil, fmt.Errorf("reading the shape of the network: x_embedder.proj.1.weight is %v, the first query's weight %v and norm %v, that of the keys of text %v, final_layer.linear.weight %v", in, hidden, norm, text, out)
	}
	n := &Network{
		layout: &first, Head: head(src, latents.Cosmos1), Hidden: hidden[0], Heads: hidden[0] / norm[0], Channels: in[1]/(side*side) - 1, Text: text[1], Out: out[0] / (side * side),
	}
	n.Type, n.Settings, n.Loader = sampling.EDM, sampling.Settings{SigmaData: deviation, SigmaMax: 80, SigmaMin: 0.002}, loader
	for s.HasAny(fmt.Sprintf("blocks.block%d", n.Blocks)) {
		n.Blocks++
	}
	for i, name := range tableNames {
		table := s.Shape("extra_pos_embedder." + name)
		if len(table) != 2 {
			return nil, fmt.Errorf("reading the shape of the network: the table of places extra_pos_embedder.%s is %v", name, table)
		}
		n.tables[i] = table[0]
	}
	// The figures of upstream's model_detection.py.
	const small = 4096
	n.time, n.space = 2, 2
	if n.Hidden == small {
		n.space = 1
	}
	return n, n.check()
}

// firstModel is Cosmos 1.
type firstModel struct{ model }

var (
	_ family.Denoiser  = (*firstModel)(nil)
	_ family.Bundle    = (*firstModel)(nil)
	_ family.Adaptable = (*firstModel)(nil)
	_ family.Typed     = (*firstModel)(nil)
	_ family.Keeping   = (*firstModel)(nil)
)

// deviation is the deviation of the training data.
const deviation = 0.5

// Kept implements family.Keeping: given frames are read without noise.
func (m *firstModel) Kept(sigma float32, latent *tensor.Tensor) *tensor.Tensor {
	out := latent.Clone()
	scale := float32(math.Sqrt(float64(sigma*sigma + deviation*deviation)))
	for i, v := range out.Data { // the network reads latents over that deviation
		out.Data[i] = v / deviation * scale
	}
	return out
}

// rate is the number of frames per second for which positions in time have steps of one.
const rate = 24

// Inputs implements family.Denoiser.
func (m *firstModel) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	in, err := m.given(c, r)
	if err != nil || c.Values[sampling.KeyFrameRate] == nil {
		return in, err
	}
	fps, err := sampling.Number(c, sampling.KeyFrameRate)
	if err != nil {
		return nil, err
	}
	if fps <= 0 {
		return nil, fmt.Errorf("reading a conditioning entry: its %s is %g: it has to be above zero", sampling.KeyFrameRate, fps)
	}
	pace := &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(rate / fps)}}
	return append(in, sampling.Input{Name: inputPace, Value: pace, Rule: sampling.Shared}), nil
}

var _ family.Modular = firstKind{}

// Module implements family.Modular.
func (firstKind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.cosmos.model.GeneralDIT" {
		return nil, nil
	}
	doc := struct {
		Time float64 `json:"rope_t_extrapolation_ratio"`
		Row  float64 `json:"rope_h_extrapolation_ratio"`
	}{1, 1}
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, fmt.Errorf("reading the module's config: %w", err)
	}
	n, err := readFirst(src)
	if err != nil || n == nil {
		return nil, err
	}
	n.time, n.space = doc.Time, doc.Row
	return firstModule{n}, nil
}

// firstModule runs the network by itself.
type firstModule struct{ *Network }

// Role implements family.Module.
func (firstModule) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m firstModule) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	x, times, text, fps := args.Tensors["x"], args.Tensors["timesteps"], args.Tensors["context"], args.Tensors["fps"]
	if x == nil || times == nil || text == nil {
		return nil, fmt.Errorf("running the module: it needs x, timesteps and context")
	}
	pace := 1.0
	if fps != nil && len(fps.Data) == 1 && fps.Data[0] > 0 {
		pace = rate / float64(fps.Data[0])
	}
	y, err := m.paced(ctx, run, pace, x, times, text, nil)
	return []*tensor.Tensor{y}, err
}
