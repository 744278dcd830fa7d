package unet

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// Variant distinguishes the graphs of one U-Net.
type Variant struct {
	// Even reports that every size the graph will see is a multiple of 2^(Levels-1), which permits a cheaper upsampling.
	Even bool
	// Input are the input blocks whose outputs get the inputs ResidualInput(i) [B,C,h,w] added, Output those whose outputs
	// get Residual(i) added on their way to the output blocks; Middle reports that the middle block's output gets
	// ResidualMiddle.
	Input, Output []int
	Middle        bool
	// Patches are the graph patches that the graph applies.
	Patches patch.GraphPatches
	// Height and Width, when set, are the sizes of the latents that the graph is for: patches may need to know them.
	Height, Width int
	// Pointing reports that the graph ends in the head that finds key points.
	Pointing bool
	// Attached are the model patches of the graph, each a Fusion.
	Attached []family.Attached
}

// Digest is the variant as a key.
func (v Variant) Digest() string {
	return family.Digest(v.Even, v.Input, v.Output, v.Middle, v.Patches.Digest(), v.Height, v.Width, v.Pointing, len(v.Attached))
}

// Points lists the points at which the graph applies patches.
var Points = []patch.Point{patch.InputBlock, patch.InputSkip, patch.MiddleBlock, patch.OutputBlock, patch.SelfAttention, patch.CrossAttention}

// ResidualMiddle names the input of the residual of the middle block's output.
const ResidualMiddle = "control.middle"

// Residual names the input of the residual of input block i's output.
func Residual(i int) string { return "control." + strconv.Itoa(i) }

// ResidualInput names the input of the residual that input block i passes to all following blocks.
func ResidualInput(i int) string { return "control.in." + strconv.Itoa(i) }

// Graph writes the network: inputs x [B,in,H,W], timesteps [B], context [B,T,dim] and, with AdmChannels, y [B,adm], all
// float32; the output "out" is [B,out,H,W] float32 (upstream: ldm/modules/diffusionmodules/openaimodel.py UNetModel).
func Graph(src weights.Source, cfg Config, v Variant, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("unet", dit.WithAttached(src, v.Attached), func(b *nn.Builder, s *weights.Scope) {
		u := &Writer{Builder: b, cfg: cfg, variant: v}
		u.write(s)
	})
}

// NewWriter returns a writer of the blocks of a U-Net with the given config into b.
func NewWriter(b *nn.Builder, cfg Config) *Writer { return &Writer{Builder: b, cfg: cfg} }

// Writer writes the blocks of a U-Net.
type Writer struct {
	*nn.Builder
	cfg     Config
	variant Variant
	emb     *onnx.Value            // SiLU of the time embedding, [B,4·ModelChannels]
	shifts  map[string]*onnx.Value // what residual blocks add of it, by the prefix of their projection
	// Embed, when set, changes the time embedding [B,4·ModelChannels].
	Embed   func(e *onnx.Value) *onnx.Value
	context *onnx.Value
	site    patch.Site // of the block that is being written
	blocks  int        // transformer blocks so far
	formers int        // transformers so far
	batch   onnx.Dim
	// x, times and y are the inputs, y is nil without vectors.
	x, times, y *onnx.Value
	fused       []Fused
	tokens      map[string]*onnx.Value // further inputs that patches read
	time        *timing                // of a network with a time axis
}

func (u *Writer) write(s *weights.Scope) {
	h := u.Inputs(s)
	u.attach(s)
	var skips []*onnx.Value
	for i := range s.Count("input_blocks") {
		u.site = patch.Site{Block: patch.InputBlock, Index: i, Model: u.cfg.ModelChannels}
		h = u.Block(s.At("input_blocks").Index(i), h, nil)
		if slices.Contains(u.variant.Input, i) {
			h = u.steered(h, ResidualInput(i))
		}
		h, _ = u.variant.Patches.Block(u.Builder, patch.InputBlock, u.site, h, nil)
		skips = append(skips, h)
		h, _ = u.variant.Patches.Block(u.Builder, patch.InputSkip, u.site, h, nil)
	}
	u.site = patch.Site{Block: patch.MiddleBlock, Model: u.cfg.ModelChannels}
	if s.HasAny("middle_block") {
		h = u.Block(s.At("middle_block"), h, nil)
	}
	if u.variant.Middle {
		h = u.steered(h, ResidualMiddle)
	}
	if s.HasAny("middle_block") {
		h, _ = u.variant.Patches.Block(u.Builder, patch.MiddleBlock, u.site, h, nil)
	}
	for _, f := range u.fused {
		h = f.Middle(h)
	}
	for _, i := range u.variant.Output {
		if i < len(skips) {
			skips[i] = u.steered(skips[i], Residual(i))
		}
	}
	end := -1
	if u.variant.Pointing {
		end = featureBlock(s, u.cfg)
	}
	for i := range s.Count("output_blocks") {
		if i == end {
			u.Output("out", u.Cast(u.heatmaps(s.At("heatmap_head"), h), dtype.F32))
			return
		}
		if len(skips) == 0 {
			u.missing(s, "input block for output_blocks", i)
		}
		skip := skips[len(skips)-1]
		skips = skips[:len(skips)-1]
		u.site = patch.Site{Block: patch.OutputBlock, Index: i, Model: u.cfg.ModelChannels}
		h, skip = u.variant.Patches.Block(u.Builder, patch.OutputBlock, u.site, h, skip)
		var next *onnx.Value
		if len(skips) > 0 {
			next = skips[len(skips)-1]
		}
		h = u.Block(s.At("output_blocks").Index(i), u.join(h, skip), next)
	}
	h = u.GroupNormSiLU(s.At("out", "0"), h, 32, 1e-5)
	h = u.Conv2d(s.At("out", "2"), h, u.cfg.OutChannels, 3, onnx.Pad1())
	u.Output("out", u.Cast(h, dtype.F32))
}

// Inputs declares the inputs x, timesteps, context and y and returns x in the type that is computed in.
func (u *Writer) Inputs(s *weights.Scope) *onnx.Value {
	batch := onnx.Sym("B").Times(onnx.D(max(u.variant.Patches.Entries(), 1)))
	if u.cfg.Temporal {
		batch = u.timeInputs(batch)
	}
	height, width := onnx.Sym("H"), onnx.Sym("W")
	if u.variant.Height > 0 {
		height, width = onnx.D(u.variant.Height), onnx.D(u.variant.Width)
	}
	x := u.Input("x", dtype.F32, batch, onnx.D(u.cfg.InChannels), height, width)
	u.batch = batch
	ts := u.Input("timesteps", dtype.F32, batch)
	u.context = u.Cast(u.Input("context", dtype.F32, batch, onnx.Sym("T"), onnx.D(max(u.cfg.ContextDim, 1))), u.Target.Compute)
	u.times = ts
	u.emb = u.SiLU(u.embedding(s))
	u.projectEmbedding(s)
	if u.cfg.Temporal {
		u.time.context = u.firstContext()
	}
	u.x = u.Cast(x, u.Target.Compute)
	return u.x
}

// missing lets the scope note that a block has no counterpart; the graph is not used then.
func (u *Writer) missing(s *weights.Scope, what string, i int) {
	panic(&onnx.BuildError{Graph: u.Name, Scope: s.Prefix(), Op: "UNet", Message: fmt.Sprintf("there is no %s.%d", what, i)})
}

func (u *Writer) embedding(s *weights.Scope) *onnx.Value {
	dim := u.cfg.ModelChannels * 4
	e := u.MLP(s.At("time_embed"), u.TimestepEmbedding(u.times, u.cfg.ModelChannels), dim)
	if u.Embed != nil {
		e = u.Embed(e)
	}
	if u.cfg.AdmChannels > 0 {
		if u.y == nil {
			u.y = u.Cast(u.Input("y", dtype.F32, u.batch, onnx.D(u.cfg.AdmChannels)), u.Target.Compute)
		}
		y := u.y
		if u.cfg.Labels == 0 {
			y = u.MLP(s.At("label_emb", "0"), y, dim)
		}
		e = u.Add(e, y)
	}
	return e
}

// projectEmbedding projects the time embedding for all residual blocks that the target has one product for.
func (u *Writer) projectEmbedding(s *weights.Scope) {
	u.shifts = map[string]*onnx.Value{}
	if !u.Target.CUDA {
		return
	}
	var widths []int
	scopes := map[int][]nn.Rows{}
	block := func(b *weights.Scope) {
		for i := range b.Count("") {
			l := b.Index(i).At("emb_layers", "1")
			if sh := l.Shape("weight"); len(sh) == 2 {
				if scopes[sh[0]] == nil {
					widths = append(widths, sh[0])
				}
				scopes[sh[0]] = append(scopes[sh[0]], nn.Rows{Scope: l, Total: sh[0]})
			}
		}
	}
	for i := range s.Count("input_blocks") {
		block(s.At("input_blocks").Index(i))
	}
	block(s.At("middle_block"))
	for i := range s.Count("output_blocks") {
		block(s.At("output_blocks").Index(i))
	}
	for _, w := range widths {
		for i, shift := range u.LinearStack(scopes[w], u.emb, w, 0) {
			if shift != nil {
				u.shifts[scopes[w][i].Prefix()] = shift
			}
		}
	}
}

// shift is the projected time embedding [B,C] that a residual block with the given number of channels adds.
func (u *Writer) shift(s *weights.Scope, channels int) *onnx.Value {
	if v := u.shifts[s.Prefix()]; v != nil {
		return v
	}
	return u.Linear(s, u.emb, channels)
}

// MLP is linear, SiLU, linear: layers 0 and 2 of a torch Sequential.
func (u *Writer) MLP(s *weights.Scope, x *onnx.Value, dim int) *onnx.Value {
	return u.Linear(s.At("2"), u.SiLU(u.Linear(s.At("0"), x, dim)), dim)
}

// Block writes the layers s.0, s.1, … according to their keys. next is the skip connection of the following block, which
// determines the size of an upsampling.
func (u *Writer) Block(s *weights.Scope, h, next *onnx.Value) *onnx.Value {
	for i := range s.Count("") {
		l := s.Index(i)
		switch {
		case l.Has("in_layers.0.weight"):
			h = u.resBlock(l, h)
			if u.cfg.Temporal {
				h = u.timeResBlock(l, h)
			}
		case l.Has("proj_in.weight"):
			h = u.spatialTransformer(l, h)
		case l.Has("op.weight"):
			h = u.Conv2d(l.At("op"), h, l.Shape("op.weight")[0], 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
		case l.Has("conv.weight"):
			for _, f := range u.fused {
				h = f.Upsampled(h)
			}
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

func (u *Writer) upsample(s *weights.Scope, h, next *onnx.Value) *onnx.Value {
	out := h.Dim(1).N
	if u.variant.Even {
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
func (u *Writer) resBlock(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := x.Dim(1).N
	if sh := s.Shape("in_layers.2.weight"); len(sh) == 4 {
		out = sh[0]
	}
	h := u.GroupNormSiLU(s.At("in_layers", "0"), x, 32, 1e-5)
	h = u.Conv2d(s.At("in_layers", "2"), h, out, 3, onnx.Pad1())
	h = u.GroupNormShifted(s.At("out_layers", "0"), h, u.shift(s.At("emb_layers", "1"), out), 32, 1e-5)
	if s.Has("skip_connection.weight") {
		x = u.Conv2d(s.At("skip_connection"), x, out, 1, onnx.Window{Stride: 1})
	}
	return u.Conv2dAdd(s.At("out_layers", "3"), h, x, out, 3, onnx.Pad1())
}

// spatialTransformer runs transformer blocks over the latent's positions (upstream: ldm/modules/attention.py
// SpatialTransformer). Its projections are linear layers in both of upstream's forms: a 1x1 convolution before
// flattening and a linear layer after it are the same thing.
func (u *Writer) spatialTransformer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	inner := s.Shape("proj_in.weight")[0]
	h := u.LinearOfImage(s.At("proj_in"), u.GroupNorm(s.At("norm"), x, 32, 1e-6), inner)
	var frames *onnx.Value
	if u.cfg.Temporal {
		frames = u.frameEmbedding(s.At("time_pos_embed"), c)
	}
	for i := range s.Count("transformer_blocks") {
		u.site.Layer, u.site.Number, u.site.Transformer = i, u.blocks, u.formers
		u.blocks++
		h = u.transformerBlock(s.At("transformer_blocks").Index(i), h)
		if frames != nil {
			h = u.timeBlock(s, i, h, frames)
		}
	}
	u.formers++
	return u.Add(u.LinearToImage(s.At("proj_out"), h, x, c), x)
}

func (u *Writer) transformerBlock(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := u.LayerNorm(s.At("norm1"), x, 1e-5)
	attended := n
	if sh := s.Shape("attn1.to_k.weight"); len(sh) == 2 && sh[1] == u.cfg.ContextDim && sh[1] != n.Dim(-1).N {
		attended = u.context // some networks attend to the text twice
	}
	x = u.attention(patch.SelfAttention, s.At("attn1"), n, attended, x)
	x = u.variant.Patches.Between(u.Builder, patch.SelfAttention, u.site, x, u.further)
	n = u.LayerNorm(s.At("norm2"), x, 1e-5)
	x = u.attention(patch.CrossAttention, s.At("attn2"), n, u.context, x)
	n = u.LayerNorm(s.At("norm3"), x, 1e-5)
	return u.geglu(s.At("ff", "net"), n, x)
}

// further declares an input that patches read, once.
func (u *Writer) further(in patch.TokenInput) *onnx.Value {
	if u.tokens == nil {
		u.tokens = map[string]*onnx.Value{}
	}
	if u.tokens[in.Name] == nil {
		u.tokens[in.Name] = u.Cast(u.Input(in.Name, dtype.F32, u.batch, onnx.D(in.Count), onnx.D(in.Width)), u.Target.Compute)
	}
	return u.tokens[in.Name]
}

// attention adds the attention of x to context to residual.
func (u *Writer) attention(at patch.Point, s *weights.Scope, x, context, residual *onnx.Value) *onnx.Value {
	dim := x.Dim(-1).N
	heads := u.cfg.Heads
	if heads == 0 {
		heads = max(dim/u.cfg.HeadChannels, 1)
	}
	if len(u.variant.Patches) == 0 && x == context {
		if qkv := u.PackedQKV(s.At("to_q"), s.At("to_k"), s.At("to_v"), x, dim, heads); qkv != nil {
			y := u.PackedAttention(qkv, float32(1/math.Sqrt(float64(dim/heads))))
			return u.LinearAdd(s.At("to_out", "0"), y, residual, dim)
		}
	}
	forKeys, forValues := u.variant.Patches.Context(u.Builder, at, u.site, context)
	of := u.Linear
	if fixed := context == u.context || u.time != nil && context == u.time.context; fixed && forKeys == context && forValues == context {
		of = u.LinearOnce // the prompt is that of the step before
	}
	project := func(p patch.Projection, y *onnx.Value) *onnx.Value {
		return u.variant.Patches.Project(u.Builder, at, p, y)
	}
	queries, back := u.variant.Patches.Tokens(u.Builder, at, u.site, x)
	q := project(patch.Query, u.Linear(s.At("to_q"), queries, dim))
	k := project(patch.Key, of(s.At("to_k"), forKeys, dim))
	v := project(patch.Value, of(s.At("to_v"), forValues, dim))
	u.site.Heads = heads
	y := u.variant.Patches.Attend(u.Builder, at, u.site, q, k, v, func(q, k, v *onnx.Value) *onnx.Value {
		return u.Attention(q, k, v, nil, heads)
	})
	out := s.At("to_out", "0")
	if len(u.variant.Patches) == 0 {
		return u.LinearAdd(out, y, residual, dim)
	}
	return u.Add(back(project(patch.Output, u.Linear(out, y, dim))), residual)
}

// geglu adds the gated feed-forward layer of x to residual.
func (u *Writer) geglu(s *weights.Scope, x, residual *onnx.Value) *onnx.Value {
	dim := x.Dim(-1).N
	inner := 8 * dim
	if sh := s.Shape("0.proj.weight"); len(sh) == 2 {
		inner = sh[0]
	}
	return u.LinearAdd(s.At("2"), u.LinearGated(s.At("0", "proj"), x, inner/2), residual, dim)
}

// steered adds what a ControlNet gives, which comes as a further input.
func (u *Writer) steered(h *onnx.Value, name string) *onnx.Value {
	return u.Add(h, u.Cast(u.Input(name, dtype.F32, h.Shape...), u.Target.Compute))
}
