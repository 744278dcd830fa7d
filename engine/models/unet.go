// Package models holds the model families, one file each: a config read from the checkpoint's shapes and the
// function that writes the family's graph. Detection of a checkpoint's family is here too.
//
// It knows weight names and shapes, layers and graphs; it knows nothing of the runtime, of samplers or of nodes.
package models

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// UNetConfig describes a U-Net of the Stable Diffusion 1.x and 2.x class. The block structure (levels, residual
// blocks, transformer depths, down- and upsampling) is read off the keys while the graph is written.
type UNetConfig struct {
	// InChannels are the channels of the input: 4, 8 (image editing) or 9 (inpainting).
	InChannels int
	// OutChannels are the channels of the prediction.
	OutChannels int
	// ModelChannels is the width of the first level.
	ModelChannels int
	// ContextDim is the width of the text encoding.
	ContextDim int
	// Heads is the number of attention heads; 0 when HeadChannels gives the width of one instead.
	Heads, HeadChannels int
	// AdmChannels is the width of the vector input y; 0 for none.
	AdmChannels int
	// Levels is the number of resolutions: sizes that 2^(Levels-1) divides need no rounding anywhere.
	Levels int
	// VPrediction says that the network predicts v instead of the noise.
	VPrediction bool
}

// UNetInputs are the names of the graph's inputs: x [B,in,H,W], timesteps [B], context [B,T,dim] and, with
// AdmChannels, y [B,adm], all float32. The output "out" is [B,out,H,W] float32.
var UNetInputs = []string{"x", "timesteps", "context", "y"}

// readUNet reads the config off the weights; heads come from the family.
func readUNet(s *weights.Scope) (UNetConfig, error) {
	first := s.Shape("input_blocks.0.0.weight")
	last := s.Shape("out.2.weight")
	if len(first) != 4 || len(last) != 4 {
		return UNetConfig{}, fmt.Errorf("reading the U-Net's shape: input_blocks.0.0.weight is %v, out.2.weight is %v, wanted four dimensions each", first, last)
	}
	c, err := readHalf(s)
	c.OutChannels = last[0]
	return c, err
}

// readHalf reads what the first half of a U-Net tells.
func readHalf(s *weights.Scope) (UNetConfig, error) {
	first := s.Shape("input_blocks.0.0.weight")
	if len(first) != 4 {
		return UNetConfig{}, fmt.Errorf("reading the U-Net's shape: input_blocks.0.0.weight is %v, wanted four dimensions", first)
	}
	c := UNetConfig{InChannels: first[1], ModelChannels: first[0], Levels: 1}
	for i := range s.Count("input_blocks") {
		if s.Has(fmt.Sprintf("input_blocks.%d.0.op.weight", i)) {
			c.Levels++
		}
		if k := s.Shape(fmt.Sprintf("input_blocks.%d.1.transformer_blocks.0.attn2.to_k.weight", i)); len(k) == 2 {
			c.ContextDim = k[1]
		}
	}
	if k := s.Shape("middle_block.1.transformer_blocks.0.attn2.to_k.weight"); c.ContextDim == 0 && len(k) == 2 {
		c.ContextDim = k[1]
	}
	if k := s.Shape("label_emb.0.0.weight"); len(k) == 2 {
		c.AdmChannels = k[1]
	}
	return c, nil
}

// unet is a U-Net being written.
type unet struct {
	*nn.Builder
	cfg     UNetConfig
	emb     *onnx.Value // SiLU of the time embedding, [B,4·ModelChannels]
	context *onnx.Value
	even    bool
	// controlled says that a ControlNet's results are added; see ControlledUNetGraph.
	controlled bool
}

// UNetGraph writes the network. even says that every size it will see is a multiple of 2^(Levels-1), which allows a
// cheaper upsampling (upstream: ldm/modules/diffusionmodules/openaimodel.py UNetModel).
func UNetGraph(s *weights.Scope, cfg UNetConfig, t nn.Target, even bool) (*onnx.Graph, error) {
	return buildUNet(s, cfg, t, even, false)
}

// ControlledUNetGraph is UNetGraph with the further inputs ControlInput(0), ControlInput(1), … [B,C,h,w], which are added
// to the input blocks' results on their way to the output blocks, and ControlMiddle, added to the middle block's.
func ControlledUNetGraph(s *weights.Scope, cfg UNetConfig, t nn.Target, even bool) (*onnx.Graph, error) {
	return buildUNet(s, cfg, t, even, true)
}

func buildUNet(s *weights.Scope, cfg UNetConfig, t nn.Target, even, controlled bool) (*onnx.Graph, error) {
	g, err := onnx.Build("unet", func(g *onnx.Graph) error {
		u := &unet{Builder: &nn.Builder{Graph: g, Target: t}, cfg: cfg, even: even, controlled: controlled}
		u.write(s)
		return nil
	})
	if kerr := s.Err(); kerr != nil {
		return nil, kerr
	}
	return g, err
}

func (u *unet) write(s *weights.Scope) {
	h := u.inputs(s)
	var skips []*onnx.Value
	for i := range s.Count("input_blocks") {
		h = u.block(s.At("input_blocks").Index(i), h, nil)
		skips = append(skips, h)
	}
	if s.HasAny("middle_block") {
		h = u.block(s.At("middle_block"), h, nil)
	}
	if u.controlled {
		for i, skip := range skips {
			skips[i] = u.steered(skip, ControlInput(i))
		}
		h = u.steered(h, ControlMiddle)
	}
	for i := range s.Count("output_blocks") {
		if len(skips) == 0 {
			u.missing(s, "input block for output_blocks", i)
		}
		skip := skips[len(skips)-1]
		skips = skips[:len(skips)-1]
		var next *onnx.Value
		if len(skips) > 0 {
			next = skips[len(skips)-1]
		}
		h = u.block(s.At("output_blocks").Index(i), u.Concat(1, h, skip), next)
	}
	h = u.GroupNormSiLU(s.At("out", "0"), h, 32, 1e-5)
	h = u.Conv2d(s.At("out", "2"), h, u.cfg.OutChannels, 3, onnx.Pad1())
	u.Output("out", u.Cast(h, dtype.F32))
}

// inputs declares the inputs and returns x in the type that is computed in.
func (u *unet) inputs(s *weights.Scope) *onnx.Value {
	batch := onnx.Sym("B")
	x := u.Input("x", dtype.F32, batch, onnx.D(u.cfg.InChannels), onnx.Sym("H"), onnx.Sym("W"))
	ts := u.Input("timesteps", dtype.F32, batch)
	u.context = u.Cast(u.Input("context", dtype.F32, batch, onnx.Sym("T"), onnx.D(max(u.cfg.ContextDim, 1))), u.Target.Compute)
	u.emb = u.SiLU(u.embedding(s, ts, batch))
	return u.Cast(x, u.Target.Compute)
}

// missing lets the scope note that a block has no counterpart; the graph is not used then.
func (u *unet) missing(s *weights.Scope, what string, i int) {
	panic(&onnx.BuildError{Graph: u.Name, Scope: s.Prefix(), Op: "UNet", Message: fmt.Sprintf("there is no %s.%d", what, i)})
}

func (u *unet) embedding(s *weights.Scope, ts *onnx.Value, batch onnx.Dim) *onnx.Value {
	dim := u.cfg.ModelChannels * 4
	e := u.mlp(s.At("time_embed"), u.TimestepEmbedding(ts, u.cfg.ModelChannels), dim)
	if u.cfg.AdmChannels > 0 {
		y := u.Input("y", dtype.F32, batch, onnx.D(u.cfg.AdmChannels))
		e = u.Add(e, u.mlp(s.At("label_emb", "0"), u.Cast(y, u.Target.Compute), dim))
	}
	return e
}

// mlp is linear, SiLU, linear: layers 0 and 2 of a torch Sequential.
func (u *unet) mlp(s *weights.Scope, x *onnx.Value, dim int) *onnx.Value {
	return u.Linear(s.At("2"), u.SiLU(u.Linear(s.At("0"), x, dim)), dim)
}

// block writes the layers s.0, s.1, … as their keys say. next is the skip connection that the following block will
// be joined with: it gives an upsampling its size.
func (u *unet) block(s *weights.Scope, h, next *onnx.Value) *onnx.Value {
	for i := range s.Count("") {
		l := s.Index(i)
		switch {
		case l.Has("in_layers.0.weight"):
			h = u.resBlock(l, h)
		case l.Has("proj_in.weight"):
			h = u.spatialTransformer(l, h)
		case l.Has("op.weight"):
			h = u.Conv2d(l.At("op"), h, l.Shape("op.weight")[0], 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
		case l.Has("conv.weight"):
			h = u.upsample(l.At("conv"), h, next)
		default:
			out := h.Dim(1).N
			if sh := l.Shape("weight"); len(sh) == 4 {
				out = sh[0]
			}
			h = u.Conv2d(l, h, out, 3, onnx.Pad1())
		}
	}
	return h
}

func (u *unet) upsample(s *weights.Scope, h, next *onnx.Value) *onnx.Value {
	out := h.Dim(1).N
	if u.even {
		y := u.UpsampleConv(s, h, out)
		if next != nil {
			y = u.Declare(y, onnx.Shape{y.Dim(0), y.Dim(1), next.Dim(2), next.Dim(3)})
		}
		return y
	}
	if next == nil {
		return u.Conv2d(s, u.UpsampleNearest(h, 2), out, 3, onnx.Pad1())
	}
	return u.Conv2d(s, u.ResizeNearest(h, next), out, 3, onnx.Pad1())
}

// resBlock adds two convolutions and the time embedding to its input.
func (u *unet) resBlock(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := x.Dim(1).N
	if sh := s.Shape("in_layers.2.weight"); len(sh) == 4 {
		out = sh[0]
	}
	h := u.GroupNormSiLU(s.At("in_layers", "0"), x, 32, 1e-5)
	h = u.Conv2d(s.At("in_layers", "2"), h, out, 3, onnx.Pad1())
	h = u.Add(h, u.Unsqueeze(u.Linear(s.At("emb_layers", "1"), u.emb, out), 2, 3))
	h = u.GroupNormSiLU(s.At("out_layers", "0"), h, 32, 1e-5)
	if s.Has("skip_connection.weight") {
		x = u.Conv2d(s.At("skip_connection"), x, out, 1, onnx.Window{Stride: 1})
	}
	return u.Conv2dAdd(s.At("out_layers", "3"), h, x, out, 3, onnx.Pad1())
}

// spatialTransformer runs transformer blocks over the picture's positions (upstream: ldm/modules/attention.py
// SpatialTransformer). Its projections are linear layers in both of upstream's forms: a 1x1 convolution before
// flattening and a linear layer after it are the same thing.
func (u *unet) spatialTransformer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	inner := s.Shape("proj_in.weight")[0]
	h := u.Linear(s.At("proj_in"), u.ToTokens(u.GroupNorm(s.At("norm"), x, 32, 1e-6)), inner)
	for i := range s.Count("transformer_blocks") {
		h = u.transformerBlock(s.At("transformer_blocks").Index(i), h)
	}
	return u.Add(u.FromTokens(u.Linear(s.At("proj_out"), h, c), x), x)
}

func (u *unet) transformerBlock(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := u.LayerNorm(s.At("norm1"), x, 1e-5)
	x = u.Add(u.crossAttention(s.At("attn1"), n, n), x)
	n = u.LayerNorm(s.At("norm2"), x, 1e-5)
	x = u.Add(u.crossAttention(s.At("attn2"), n, u.context), x)
	n = u.LayerNorm(s.At("norm3"), x, 1e-5)
	return u.Add(u.geglu(s.At("ff", "net"), n), x)
}

func (u *unet) crossAttention(s *weights.Scope, x, context *onnx.Value) *onnx.Value {
	dim := x.Dim(-1).N
	heads := u.cfg.Heads
	if heads == 0 {
		heads = max(dim/u.cfg.HeadChannels, 1)
	}
	q := u.Linear(s.At("to_q"), x, dim)
	k := u.Linear(s.At("to_k"), context, dim)
	v := u.Linear(s.At("to_v"), context, dim)
	return u.Linear(s.At("to_out", "0"), u.Attention(q, k, v, nil, heads), dim)
}

// geglu is the gated feed-forward layer: the first half of the projection times the GELU of the second.
func (u *unet) geglu(s *weights.Scope, x *onnx.Value) *onnx.Value {
	dim := x.Dim(-1).N
	inner := 8 * dim
	if sh := s.Shape("0.proj.weight"); len(sh) == 2 {
		inner = sh[0]
	}
	parts := u.Split(u.Linear(s.At("0", "proj"), x, inner), -1, inner/2, inner-inner/2)
	return u.Linear(s.At("2"), u.Mul(parts[0], u.Gelu(parts[1], false)), dim)
}
