package trellis2

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// denseKey is the place of the decoder of structures in a file.
const denseKey = "struct_dec"

// normEpsilon is torch's default.
const normEpsilon = 1e-5

// dense is the decoder of structures.
type dense struct {
	src weights.Source
	// latent is the number of channels of a latent, width that of the first layer, growth by how much a side grows.
	latent, width, growth, middle, blocks int

	activations family.Activations
}

// readDense reads the sizes of the decoder, nil if the file lacks it.
func readDense(src weights.Source) (*dense, error) {
	s := weights.NewScope(src).At(denseKey)
	if !s.Has("input_layer.weight") {
		return nil, nil
	}
	d := &dense{src: src, latent: dim(s, "input_layer.weight", 1), width: dim(s, "input_layer.weight", 0), growth: 1, middle: s.Count("middle_block"), blocks: s.Count("blocks")}
	for i := range d.blocks {
		if s.At("blocks").Index(i).Has("conv.weight") {
			d.growth *= 2
		}
	}
	if d.latent < 1 || d.latent > channels || d.width == 0 || d.blocks == 0 || dim(s, "out_layer.2.weight", 0) != 1 {
		return nil, fmt.Errorf("reading the shape of the decoder %s: input_layer.weight is %v, out_layer.2.weight %v, with %d blocks", denseKey, s.Shape("input_layer.weight"), s.Shape("out_layer.2.weight"), d.blocks)
	}
	return d, nil
}

func (d *dense) graph() family.Graph {
	return family.Graph{Part: "vae decoder structure", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("trellis2 structure", d.src, func(b *nn.Builder, s *weights.Scope) { d.write(b, s.At(denseKey)) })
	}}
}

// decode decodes a latent [1,C,R,R,R] to [R',R',R'].
func (d *dense) decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	const widest = 128 // cells along an axis
	if len(z.Shape) != axes+2 || z.Dim(0) != 1 || z.Dim(1) != d.latent || z.Len() == 0 || max(z.Dim(2), z.Dim(3), z.Dim(4)) > widest {
		return nil, fmt.Errorf("the latent has shape %v, wanted [1, %d, %d, %d, %d]: connect a sampled latent of EmptyTrellis2LatentStructure", z.Shape, d.latent, side, side, side)
	}
	for _, v := range z.Data {
		if v-v != 0 { // infinite or not a number
			return nil, errFinite
		}
	}
	if err := run.Check("decoding the structure", d.memory(z.Shape)); err != nil {
		return nil, err
	}
	res, err := run.Run(ctx, d.graph(), []family.Value{family.Floats("z", z)}, "out")
	if err != nil {
		return nil, err
	}
	return res["out"].Reshape(res["out"].Shape[2:]...)
}

func (d *dense) memory(z []int) int64 {
	if family.Product(z[2], z[3], z[4]) > math.MaxInt32 {
		return math.MaxInt64
	}
	return d.activations.Of(d.graph(), map[string]int{"x": z[2], "y": z[3], "z": z[4]})
}

// write writes the decoder. Input: z [1,C,x,y,z]. Output: out [1,1,…]. Upstream: SparseStructureDecoder.
func (d *dense) write(b *nn.Builder, s *weights.Scope) {
	x := dit.Input(b, "z", onnx.D(1), onnx.D(d.latent), onnx.Sym("x"), onnx.Sym("y"), onnx.Sym("z"))
	x = convolution(b, s.At("input_layer"), x, d.width)
	for i := range d.middle {
		x = residual(b, s.At("middle_block").Index(i), x)
	}
	for i := range d.blocks {
		at := s.At("blocks").Index(i)
		if !at.Has("conv.weight") {
			x = residual(b, at, x)
			continue
		}
		out := max(dim(at, "conv.weight", 0)/parts, 1)
		x = shuffle(b, convolution(b, at.At("conv"), x, out*parts), out)
	}
	dit.Output(b, "out", convolution(b, s.At("out_layer.2"), b.SiLU(channelNorm(b, s.At("out_layer.0"), x)), 1))
}

// convolution is one of three cells along each axis.
func convolution(b *nn.Builder, s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	return b.Conv3d(s, x, out, [3]int{3, 3, 3}, onnx.WindowND{Before: []int{1, 1, 1}, After: []int{1, 1, 1}})
}

// residual adds two convolutions. Upstream: ResBlock3d.
func residual(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := max(dim(s, "conv1.weight", 0), 1)
	y := convolution(b, s.At("conv1"), b.SiLU(channelNorm(b, s.At("norm1"), x)), out)
	y = convolution(b, s.At("conv2"), b.SiLU(channelNorm(b, s.At("norm2"), y)), out)
	if s.Has("skip_connection.weight") {
		x = b.Conv3d(s.At("skip_connection"), x, out, [3]int{1, 1, 1}, onnx.WindowND{})
	}
	return b.Add(y, x)
}

// channelNorm is a layer norm over the channels of x [B,C,x,y,z].
func channelNorm(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	return b.Transpose(b.LayerNorm(s, b.Transpose(x, 0, 2, 3, 4, 1), normEpsilon), 0, 4, 1, 2, 3)
}

// shuffle makes two cells along each axis of the channels of one. Upstream: pixel_shuffle_3d.
func shuffle(b *nn.Builder, x *onnx.Value, out int) *onnx.Value {
	two := onnx.D(2)
	h, w, d := x.Dim(2), x.Dim(3), x.Dim(4)
	y := b.Reshape(x, x.Dim(0), onnx.D(out), two, two, two, h, w, d)
	return b.Reshape(b.Transpose(y, 0, 1, 5, 2, 6, 3, 7, 4), x.Dim(0), onnx.D(out), h.Times(two), w.Times(two), d.Times(two))
}
