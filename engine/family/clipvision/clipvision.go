// Package clipvision is the family of CLIP's image encoders: ViT-L of OpenAI, ViT-H and ViT-bigG of OpenCLIP, and SigLIP.
package clipvision

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "CLIP vision" }

// Rank implements family.Family.
func (kind) Rank() int { return 10 }

// Activation is the activation function of the MLPs.
type Activation int

// The activations.
const (
	QuickGELU Activation = iota // x·sigmoid(1.702x)
	GELU
	TanhGELU
)

// Config describes an image encoder (upstream: clip_model.py CLIPVision and its config files).
type Config struct {
	Width, Layers, Heads, MLP int
	// Image is the side of the square that the network reads, in pixels; 0 for one that reads any size.
	Image int
	// Patch is the side of a patch in pixels.
	Patch int
	// Patches is the greatest number of patches of a network that reads any size.
	Patches    int
	Activation Activation
	// SigLIP has no class token and normalises all tokens at the end. The fixed-size model returns the hidden states of every
	// layer.
	SigLIP bool
	// LinearPatches reads patches as rows of pixels and interpolates the position table: SigLIP 2 of any size.
	LinearPatches bool
	// Projection is the width of visual_projection, 0 for a file without one.
	Projection int
	// Projector is the width of a multimodal projector (LLaVA), 0 without one.
	Projector int
	// Mean and Std normalise the channels of images in 0…1.
	Mean, Std [3]float32
}

func (c Config) allLayers() bool { return c.SigLIP && !c.LinearPatches }

// Keys by which encoders are distinguished.
const (
	keyPositions = "vision_model.embeddings.position_embedding.weight"
	keyPatches   = "vision_model.embeddings.patch_embedding.weight"
	keyNorm      = "vision_model.encoder.layers.0.layer_norm1.weight"
	keyMLP       = "vision_model.encoder.layers.0.mlp.fc1.weight"
)

// leastLayers is the minimum number of layers of an encoder of this family (ViT-L has 24), layersH the minimum for an
// OpenCLIP encoder (upstream: clip_vision.py load_clipvision_from_sd).
const (
	leastLayers = 23
	layersH     = 31
)

// heads is the number of attention heads in all of them.
const heads = 16

// siglipWidth is the width of SigLIP So400m. Its model for 384 pixels has 27² patches of 14 pixels: the last six pixels of a
// side are not read.
const (
	siglipWidth      = 1152
	siglip384Patches = 27 * 27
)

// Read implements family.Vision: an encoder in the layout of transformers or of OpenCLIP.
func (kind) Read(src weights.Source) (family.ImageEncoder, error) {
	src = layout.CLIPVision(src)
	s := weights.NewScope(src)
	if s.Count("vision_model.encoder.layers") < leastLayers {
		return nil, nil
	}
	c, err := read(s)
	if err != nil {
		return nil, err
	}
	return New(src, c), nil
}

func read(s *weights.Scope) (Config, error) {
	norm, fc, patches, positions := s.Shape(keyNorm), s.Shape(keyMLP), s.Shape(keyPatches), s.Shape(keyPositions)
	if len(norm) != 1 || len(fc) != 2 || len(positions) != 2 || len(patches) != 2 && len(patches) != 4 {
		return Config{}, fmt.Errorf("reading the image encoder's shape: layer_norm1 %v, mlp.fc1 %v, patch_embedding %v, position_embedding %v, wanted 1, 2, 4 (or 2) and 2 dimensions", norm, fc, patches, positions)
	}
	c := Config{
		Width: norm[0], Layers: s.Count("vision_model.encoder.layers"), Heads: heads, MLP: fc[0],
		Mean: [3]float32{0.48145466, 0.4578275, 0.40821073}, Std: [3]float32{0.26862954, 0.26130258, 0.27577711},
	}
	tokens := positions[0]
	switch {
	case c.Layers >= layersH:
		c.Activation = GELU
	case c.Width == siglipWidth:
		c.Activation, c.SigLIP = TanhGELU, true
		c.Mean, c.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	}
	if p := s.Shape("visual_projection.weight"); len(p) == 2 {
		c.Projection = p[0]
	}
	if p := s.Shape("multi_modal_projector.linear_1.bias"); len(p) == 1 {
		c.Projector = p[0]
	}
	if len(patches) == 2 {
		c.Patch, c.Patches, c.LinearPatches = root(patches[1]/3), tokens, true
		if !c.SigLIP || c.Patch == 0 || root(tokens) == 0 {
			return Config{}, fmt.Errorf("reading the image encoder's shape: patch_embedding %v with %d positions and width %d is no SigLIP 2", patches, tokens, c.Width)
		}
		return c, nil
	}
	if !c.SigLIP {
		tokens-- // the class token
	}
	c.Patch = patches[3]
	if c.Image = root(tokens) * c.Patch; c.Image == 0 {
		return Config{}, fmt.Errorf("reading the image encoder's shape: %d positions are no square of patches", positions[0])
	}
	if c.SigLIP && tokens == siglip384Patches {
		c.Image = 384
	}
	return c, nil
}

// root returns the square root of a square number, 0 for other numbers.
func root(n int) int {
	for i := 1; i*i <= n; i++ {
		if i*i == n {
			return i
		}
	}
	return 0
}

// Encoder is an image encoder.
type Encoder struct {
	Config
	src weights.Source
}

var _ family.ImageEncoder = (*Encoder)(nil)

// New returns the encoder of the given config with the tensors of src, in the layout of transformers.
func New(src weights.Source, c Config) *Encoder { return &Encoder{Config: c, src: src} }

// Weights implements family.ImageEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Encode implements family.ImageEncoder. SigLIP's Embeds are those of all tokens, [B,tokens,width], as in upstream.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, images *tensor.Tensor, crop bool) (family.ImageEncoding, error) {
	pixels, err := e.Preprocess(images, crop)
	if err != nil {
		return family.ImageEncoding{}, err
	}
	out, err := e.Forward(ctx, run, pixels)
	out.Size = pixels.Dim(2)
	return out, err
}

// Forward runs the network on preprocessed pixels [B,3,H,W].
func (e *Encoder) Forward(ctx context.Context, run family.Runner, pixels *tensor.Tensor) (family.ImageEncoding, error) {
	g := e.grid(pixels)
	in := []family.Value{family.Floats(inPixels, pixels)}
	if e.LinearPatches {
		table, err := e.positions(g)
		if err != nil {
			return family.ImageEncoding{}, err
		}
		in = []family.Value{family.Floats(inPixels, patches(pixels, e.Patch)), family.Floats(inPositions, table)}
	}
	names := []string{outLast, outPenultimate, outEmbeds}
	if e.allLayers() {
		names = append(names, outAll)
	}
	if e.Projector > 0 {
		names = append(names, outProjected)
	}
	res, err := run.Run(ctx, e.graph(false), in, names...)
	if err != nil {
		return family.ImageEncoding{}, err
	}
	out := family.ImageEncoding{
		Last: res[outLast], Penultimate: res[outPenultimate], Embeds: res[outEmbeds], All: res[outAll], Projected: res[outProjected],
	}
	if e.LinearPatches {
		out.Rows, out.Columns = g.h, g.w
	}
	return out, nil
}

// Last runs a network of a fixed size on preprocessed pixels [B,3,H,W] for its last hidden states alone, [B,tokens,width].
func (e *Encoder) Last(ctx context.Context, run family.Runner, pixels *tensor.Tensor) (*tensor.Tensor, error) {
	res, err := run.Run(ctx, e.graph(true), []family.Value{family.Floats(inPixels, pixels)}, outLast)
	return res[outLast], err
}
