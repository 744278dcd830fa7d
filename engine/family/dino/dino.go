// Package dino is the family of the image encoders DINOv2, and the network that models of depth and geometry build on.
package dino

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers DINOv2 as an image encoder.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "DINOv2" }

// Rank implements family.Family.
func (kind) Rank() int { return 20 }

// Mean and Std normalise the channels of images in 0…1.
var (
	Mean = [3]float32{0.485, 0.456, 0.406}
	Std  = [3]float32{0.229, 0.224, 0.225}
)

// Read implements family.Vision: an encoder in the layout of transformers. Upstream: clip_vision.py load_clipvision_from_sd.
func (kind) Read(src weights.Source) (family.ImageEncoder, error) {
	s := weights.NewScope(src)
	if !s.Has("encoder.layer.0.layer_scale2.lambda1") {
		return nil, nil
	}
	c, err := ReadConfig(s)
	if err != nil {
		return nil, err
	}
	if c.Special() {
		return nil, fmt.Errorf("its attention layers have norms or its tokens have a camera: it is the backbone of a model of depth, not an image encoder")
	}
	image := clipvision.Config{Image: c.Grid * c.Patch, Mean: Mean, Std: Std}
	return &encoder{Config: c, src: src, pixels: clipvision.New(src, image)}, nil
}

// encoder is an image encoder that was read from a file.
type encoder struct {
	Config
	src    weights.Source
	pixels *clipvision.Encoder

	activations family.Activations
}

// Weights implements family.ImageEncoder.
func (e *encoder) Weights() weights.Source { return e.src }

// Encode implements family.ImageEncoder. Embeds are the class token.
func (e *encoder) Encode(ctx context.Context, run family.Runner, images *tensor.Tensor, crop bool) (family.ImageEncoding, error) {
	x, err := e.pixels.Preprocess(images, crop)
	if err != nil {
		return family.ImageEncoding{}, err
	}
	table, err := Positions(e.src, e.Config, e.Grid, e.Grid)
	if err != nil {
		return family.ImageEncoding{}, err
	}
	if merr := run.Check("encoding an image", e.activations.Of(e.graph(), map[string]int{"B": x.Dim(0), "h": e.Grid, "w": e.Grid})); merr != nil {
		return family.ImageEncoding{}, merr
	}
	res, err := run.Run(ctx, e.graph(), []family.Value{family.Floats("pixels", x), family.Floats("positions", table)}, "last", "penultimate", "class")
	if err != nil {
		return family.ImageEncoding{}, err
	}
	return family.ImageEncoding{Last: res["last"], Penultimate: res["penultimate"], Embeds: res["class"], Size: e.Grid * e.Patch}, nil
}

func (e *encoder) graph() family.Graph {
	return family.Graph{Part: "clip_vision", Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("dinov2", e.src, func(b *nn.Builder, s *weights.Scope) { e.write(b, s) })
	}}
}

// write writes the encoder. Inputs: those of Inputs. Outputs: last and penultimate [B,1+h·w,C], class [B,C]. Upstream: Dinov2Model.forward.
func (e *encoder) write(b *nn.Builder, s *weights.Scope) {
	n := Net{Builder: b, Config: e.Config}
	pixels, positions := n.Inputs()
	x := n.Embed(s.At("embeddings"), pixels, positions)
	for i := range e.Layers {
		x = n.Layer(s.At("encoder.layer").Index(i), x, nil)
		if i == max(e.Layers-2, 0) {
			dit.Output(b, "penultimate", x)
		}
	}
	x = n.Norm(s, x)
	dit.Output(b, "last", x)
	dit.Output(b, "class", b.Squeeze(b.Slice(x, 1, 0, 1), 1))
}
