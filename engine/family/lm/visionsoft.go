package lm

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// SoftVision is the vision tower of Gemma 3: SigLIP, whose patches are averaged and projected (upstream: llama.py
// Gemma3MultiModalProjector).
type SoftVision struct {
	*clipvision.Encoder
	// Side is the number of rows, and of columns, of the tokens that represent an image. Out is their width.
	Side, Out int
}

const (
	softSide       = 16
	softHeads      = 16
	softEpsilon    = 1e-6
	softProjection = "multi_modal_projector.mm_input_projection_weight"
	softPatches    = "vision_model.embeddings.patch_embedding.weight"
	softPositions  = "vision_model.embeddings.position_embedding.weight"
)

// readSoft returns the tower of Gemma 3 in the file, or nil.
func readSoft(s *weights.Scope, src weights.Source) (tower, error) {
	patches, positions, out, fc := s.Shape(softPatches), s.Shape(softPositions), s.Shape(softProjection), s.Shape("vision_model.encoder.layers.0.mlp.fc1.weight")
	if patches == nil {
		return nil, nil
	}
	if len(patches) != 4 || len(positions) != 2 || len(out) != 2 || len(fc) != 2 {
		return nil, fmt.Errorf("reading the vision tower's shape: patch_embedding %v, position_embedding %v, mm_input_projection_weight %v, fc1 %v", patches, positions, out, fc)
	}
	side := int(math.Sqrt(float64(positions[0])))
	if side*side != positions[0] || side%softSide != 0 {
		return nil, fmt.Errorf("reading the vision tower's shape: %d positions are no square that %d tokens a side divide", positions[0], softSide)
	}
	return NewSoftVision(src, clipvision.Config{
		Width: patches[0], Layers: s.Count("vision_model.encoder.layers"), Heads: softHeads, MLP: fc[0], Image: side * patches[3], Patch: patches[3],
	}, softSide, out[1]), nil
}

// NewSoftVision returns a tower of the given sizes, whose images become side by side tokens of out values.
func NewSoftVision(src weights.Source, c clipvision.Config, side, out int) *SoftVision {
	c.Activation, c.SigLIP = clipvision.TanhGELU, true
	c.Mean, c.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	return &SoftVision{Encoder: clipvision.New(src, c), Side: side, Out: out}
}

// look implements tower. Images are first resized to the area of the network's square, as upstream's tokenizer does.
func (v *SoftVision) look(ctx context.Context, run family.Runner, image *tensor.Tensor) (seen, error) {
	if err := checkImage(image); err != nil {
		return seen{}, err
	}
	h, w := float64(image.Dim(1)), float64(image.Dim(2))
	scale := math.Sqrt(float64(v.Image*v.Image) / (w * h))
	width, height := int(math.RoundToEven(w*scale)), int(math.RoundToEven(h*scale))
	if min(width, height) < 1 || max(width, height) > 16*v.Image {
		return seen{}, fmt.Errorf("encoding an image: one side of %gx%g is too long against the other", w, h)
	}
	x, err := imaging.UpscaleImage(image.Slice(0, 1), width, height, "area", "disabled")
	if err != nil {
		return seen{}, fmt.Errorf("encoding an image: %w", err)
	}
	pixels, err := v.Preprocess(x, true)
	if err != nil {
		return seen{}, err
	}
	patches := int64(v.Image/v.Patch) * int64(v.Image/v.Patch)
	if err := run.Check("encoding an image", patches*int64(4*(8*v.Width+2*v.MLP))); err != nil {
		return seen{}, err
	}
	states, err := v.Last(ctx, run, pixels)
	if err != nil {
		return seen{}, fmt.Errorf("encoding an image: %w", err)
	}
	res, err := run.Run(ctx, v.projector(), []family.Value{family.Floats(inPatches, states)}, outVectors)
	if err != nil {
		return seen{}, fmt.Errorf("encoding an image: %w", err)
	}
	return seen{vectors: res[outVectors]}, nil
}

// projector is the graph from states [1,patches,width] to vectors [tokens,out].
func (v *SoftVision) projector() family.Graph {
	return family.Graph{Part: "vision projector", Variant: family.Digest(v.Side, v.Out), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("vision projector", v.Weights(), func(b *nn.Builder, s *weights.Scope) {
			side := v.Image / v.Patch
			pool := side / v.Side
			x := b.Cast(b.Input(inPatches, dtype.F32, onnx.D(1), onnx.D(side*side), onnx.D(v.Width)), b.Target.Compute)
			x = b.Reshape(x, onnx.D(v.Side), onnx.D(pool), onnx.D(v.Side), onnx.D(pool), onnx.D(v.Width))
			x = b.Reshape(b.ReduceMean(x, false, 1, 3), onnx.D(1), onnx.D(v.Side*v.Side), onnx.D(v.Width))
			p := s.At("multi_modal_projector")
			x = b.RMSNormPlusOne(p.At("mm_soft_emb_norm"), x, softEpsilon)
			x = b.MatMul(x, b.Table(p.Weight("mm_input_projection_weight", v.Width, v.Out)))
			b.Output(outVectors, b.Cast(b.Reshape(x, onnx.D(v.Side*v.Side), onnx.D(v.Out)), dtype.F32))
		})
	}}
}
