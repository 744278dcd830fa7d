// Package triposplat is the family of TripoSplat, which makes Gaussian splats from an image: a diffusion model of a set of vectors and a camera, and the
// decoder that turns such a set into splats.
package triposplat

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the diffusion model.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "TripoSplat" }

// Rank implements family.Family.
func (kind) Rank() int { return 710 }

// config describes a network.
type config struct {
	// hidden is the width of a token, inner that inside feed-forward layers, heads the number of attention heads.
	hidden, inner, heads int
	// channels is the width of a vector of the latent, camera that of the camera, context that of an image token, latent that of a cell of the image's
	// latent, 0 for a network without it.
	channels, camera, context, latent int
	// blocks, noise and tokens are the numbers of blocks of all tokens, of the latent alone and of the image alone.
	blocks, noise, tokens int
	// waves are the numbers of frequencies of the three coordinates of a token's place.
	waves [axes]int
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// mostVectors is the number of vectors that the published network was trained with.
const mostVectors = 8192

// Read implements family.Diffusion. Upstream: model_detection.py detect_unet_config.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("cam_out_layer.weight") || !s.Has("repo_layers.0.final_map.weight") {
		return nil, nil
	}
	c := config{
		hidden: dim(s, "input_layer.weight", 0), channels: dim(s, "input_layer.weight", 1), camera: dim(s, "cam_out_layer.weight", 0), context: dim(s, "cond_embedder.weight", 1),
		latent: dim(s, "cond_embedder2.weight", 1), heads: dim(s, "blocks.0.attn.q_norm.gamma", 0), inner: dim(s, "blocks.0.mlp.mlp.0.weight", 0),
		blocks: s.Count("blocks"), noise: s.Count("noise_refiner"), tokens: s.Count("context_refiner"),
	}
	sum := 0
	for i := range c.waves {
		c.waves[i] = dim(s, fmt.Sprintf("repo_layers.0.freqs_%d", i), 0)
		sum += c.waves[i]
	}
	if min(c.hidden, c.channels, c.camera, c.context, c.heads, c.inner, c.blocks) == 0 || c.hidden%(2*c.heads) != 0 || 2*sum != c.hidden/c.heads {
		return nil, fmt.Errorf("reading the shape of the network: %d blocks of width %d with %d heads, inner layers of %d and %v frequencies, vectors of %d, cameras of %d and image tokens of %d values do not fit together", c.blocks, c.hidden, c.heads, c.inner, c.waves, c.channels, c.camera, c.context)
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: sampling.LatentFormat{Channels: c.channels, Scale: 1, Downscale: 1, Line: true},
		Type: sampling.Flow, Settings: sampling.Settings{Shift: 3},
		Types: []dtype.DType{dtype.F16, dtype.BF16, dtype.F32},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config

	activations family.Activations
	// places are the positions of so many vectors.
	mu     sync.Mutex
	places map[int]*tensor.Tensor
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Nested    = (*model)(nil)
)

// Parts implements family.Nested.
func (m *model) Parts() [][]int {
	const few = 16
	return [][]int{{1, few, m.channels}, {1, 1, m.camera}}
}

var (
	errNoImage = errors.New("reading a conditioning entry: there is no encoded image: connect TripoSplatConditioning")
	errLatent  = errors.New("the latent is no set of vectors with a camera: connect the latent of TripoSplatConditioning")
)

// inputLatent is the latent of the image, [N,h·w,C].
const inputLatent = "image latent"

// Inputs implements family.Denoiser. Of several reference latents the first counts, as in upstream.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, errNoImage
	}
	if len(r.Parts) != 2 {
		return nil, errLatent
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	references, err := sampling.Tensors(c, sampling.KeyReferences)
	if err != nil || len(references) == 0 || m.latent == 0 {
		return in, err
	}
	const imageAxes = 4
	z := references[0]
	if z == nil || len(z.Shape) != imageAxes || z.Dim(1) != m.latent || z.Len() == 0 {
		return nil, fmt.Errorf("reading the reference latent of a conditioning entry: wanted [batch, %d, height, width]: encode the image with the VAE of Flux.2", m.latent)
	}
	return append(in, sampling.Input{Name: inputLatent, Value: rows(z), Rule: sampling.ByRows}), nil
}

// rows turns z [B,C,h,w] into [B,h·w,C].
func rows(z *tensor.Tensor) *tensor.Tensor {
	n, c, area := z.Dim(0), z.Dim(1), z.Dim(2)*z.Dim(3)
	out := tensor.New(n, area, c)
	for i, v := range z.Data {
		b, k, at := i/(c*area), i/area%c, i%area
		out.Data[(b*area+at)*c+k] = v
	}
	return out
}

// Predict implements family.Denoiser. Upstream: LatentSeqMMFlowModel.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	parts, err := m.parts(c)
	if err != nil {
		return nil, err
	}
	image, n := c.Inputs.Get(sampling.InputContext), c.X.Dim(0)
	if image == nil || len(image.Shape) != 3 || image.Dim(0) != n || image.Dim(1) == 0 || image.Dim(2) != m.context {
		return nil, fmt.Errorf("it needs an encoded image of width %d for each row: connect TripoSplatConditioning with DINOv3 ViT-H+/16", m.context)
	}
	if err := run.Check("running the model", m.memory(n, parts[0].Dim(1), image.Dim(1))); err != nil {
		return nil, err
	}
	in := []family.Value{
		family.Floats("x", parts[0]), family.Floats("camera", parts[1]), family.Floats("context", image), family.Vector("t", c.T),
		family.Floats("places", m.placesOf(parts[0].Dim(1))),
	}
	seen := false
	if z := c.Inputs.Get(inputLatent); z != nil {
		padded, err := padded(z, n, image.Dim(1))
		if err != nil {
			return nil, err
		}
		in, seen = append(in, family.Floats("latent", padded)), true
	}
	res, err := run.Run(ctx, m.graph(seen), in, "out", "camera out")
	if err != nil {
		return nil, err
	}
	out, err := sampling.Pack([]*tensor.Tensor{res["out"], res["camera out"]})
	if err != nil {
		return nil, err
	}
	return out.Reshape(c.X.Shape...)
}

// parts are the vectors [B,L,C] and the camera [B,1,C'] of a call.
func (m *model) parts(c family.Call) ([]*tensor.Tensor, error) {
	if len(c.Inputs.Parts) != 2 {
		return nil, errLatent
	}
	parts, err := sampling.Unpack(c.X, c.Inputs.Parts)
	if err != nil {
		return nil, err
	}
	x, camera := parts[0], parts[1]
	if len(x.Shape) != 3 || x.Dim(2) != m.channels || x.Dim(1) == 0 || x.Dim(1) > mostVectors || len(camera.Shape) != 3 || camera.Dim(1) != 1 || camera.Dim(2) != m.camera || len(c.T) != x.Dim(0) {
		return nil, fmt.Errorf("the latent has parts of shape %v and %v, wanted [batch, up to %d, %d] and [batch, 1, %d]: connect the latent of TripoSplatConditioning", x.Shape, camera.Shape, mostVectors, m.channels, m.camera)
	}
	return parts, nil
}

// padded puts zeros before the cells z [B,S,C] of an image, for tokens that are no patches.
func padded(z *tensor.Tensor, n, tokens int) (*tensor.Tensor, error) {
	if len(z.Shape) != 3 || z.Dim(0) != n || z.Dim(1) > tokens {
		return nil, fmt.Errorf("the image's latent has shape %v for %d rows of %d image tokens: encode one image with both encoders, as TripoSplatConditioning does", z.Shape, n, tokens)
	}
	out := tensor.New(n, tokens, z.Dim(2))
	for b := range n {
		row := out.Index(b).Data
		copy(row[(tokens-z.Dim(1))*z.Dim(2):], z.Index(b).Data)
	}
	return out, nil
}

// placesOf are the positions of n vectors, [1,n,hidden].
func (m *model) placesOf(n int) *tensor.Tensor {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.places[n] == nil {
		m.places = map[int]*tensor.Tensor{n: anchors(n, m.hidden)}
	}
	return m.places[n]
}

func (m *model) graph(seen bool) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(seen), Steps: true, Steady: []string{"places", "latent"}, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("triposplat", m.Source, func(b *nn.Builder, s *weights.Scope) { writer{b, m.config}.write(s, seen) })
	}}
}

// Memory implements family.Denoiser. shape is that of a packed latent.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(shape[0], max((tensor.Count(shape[1:])-m.camera)/m.channels, 1), tokens)
}

func (m *model) memory(n, length, tokens int) int64 {
	return m.activations.Of(m.graph(m.latent > 0), map[string]int{"B": n, "L": length, "T": max(tokens, 1)})
}
