package mageflow

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/kl"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const (
	// epsilon is the epsilon of all norms.
	epsilon = 1e-6
	// groups is the number of groups of the group norms, window the side of a window of attention in cells.
	groups = 32
	window = 32
)

type writer struct{ *nn.Builder }

// size is an axis of a weight, 1 for a missing one.
func size(s *weights.Scope, axis int) int {
	if sh := s.Shape("weight"); axis < len(sh) {
		return sh[axis]
	}
	return 1
}

// to is a linear layer with the width of its weight.
func (w writer) to(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.Linear(s, x, size(s, 0)) }

// decoder writes the decoder. Inputs: z [1,C,h,w], time [1,256], places [1,P²,64], the places of cells that fill windows, rows
// and cols, and of those without, rows_back and cols_back. Output: out [1,h·w,P²·3].
func (w writer) decoder(s *weights.Scope, v *vae) {
	h, wide := onnx.Sym("h"), onnx.Sym("w")
	z := dit.Input(w.Builder, "z", onnx.Sym("B"), onnx.D(v.channels), h, wide)
	t := w.time(s)
	cond := w.condition(s.At("y_embedder", "decoder"), z)

	// The model starts from a zero image, so only the conditioning's columns of the layers that read both count.
	tokens := w.ToTokens(cond)
	x := w.columns(s.At("s_embedder", "proj2"), tokens, size(s.At("s_embedder", "proj1"), 0), v.width)
	for i := range s.Count("blocks") {
		b := s.At("blocks").Index(i)
		m := dit.Mods(w.Builder, w.Linear(b.At("adaLN_modulation", "1"), w.SiLU(t), 6*v.width), 2)
		x = w.block(b, x, cond, m)
	}
	area := v.patch * v.patch
	rows := x.Dim(0).Times(x.Dim(1))
	// Each pixel of a cell: its own part of the conditioning, and its place.
	own := w.Reshape(w.to(s.At("y_embedder_x"), tokens), rows, onnx.D(v.pixel), onnx.D(area))
	e := s.At("x_embedder", "embedder", "0")
	pixels := w.columns(e, w.Transpose(own, 0, 2, 1), rgb, v.pixel)
	places := dit.Input(w.Builder, "places", onnx.D(1), onnx.D(area), onnx.D(frequencies*frequencies))
	pixels = w.Add(pixels, w.columnsOnly(e, places, rgb+v.pixel))
	pixels = w.pixels(s.At("dec_net"), pixels, w.Reshape(x, rows, onnx.D(v.width)), v)
	last := s.At("final_layer")
	pixels = w.Linear(last.At("linear"), w.rmsNorm(last.At("norm"), pixels), rgb)
	dit.Output(w.Builder, "out", w.Reshape(pixels, x.Dim(0), x.Dim(1), onnx.D(area*rgb)))
}

// rmsNorm is RMSNorm written out: the operator needs an opset in which CUDA has no instance norm.
func (w writer) rmsNorm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	root := w.Sqrt(w.Add(w.ReduceMean(w.Mul(x, x), true, x.Rank()-1), w.Const(epsilon)))
	return w.Mul(w.Div(x, root), w.Table(s.Weight("weight", x.Dim(-1).N)))
}

// time embeds the timestep.
func (w writer) time(s *weights.Scope) *onnx.Value {
	m := s.At("t_embedder", "mlp")
	return w.to(m.At("2"), w.SiLU(w.to(m.At("0"), dit.Input(w.Builder, "time", onnx.D(1), onnx.D(256)))))
}

// condition converts a latent to the conditioning [B,width,h,w]. Upstream: CoDDecoder.
func (w writer) condition(s *weights.Scope, z *onnx.Value) *onnx.Value {
	v := &kl.Writer{Builder: w.Builder}
	x := v.Conv3(s.At("conv_in"), z)
	rows, cols := onnx.Sym("rows").Times(onnx.D(window)), onnx.Sym("cols").Times(onnx.D(window))
	index := func(name string, n onnx.Dim) *onnx.Value { return w.Input(name, dtype.I64, n) }
	down, across := index("rows", rows), index("cols", cols)
	backDown, backAcross := index("rows_back", x.Dim(2)), index("cols_back", x.Dim(3))
	for i := range s.Count("block") {
		b := s.At("block").Index(i)
		if b.Has("conv1.weight") {
			x = v.Resnet(b, x)
			continue
		}
		n := w.GroupNorm(b.At("norm"), x, groups, epsilon)
		n = w.GatherAxis(w.GatherAxis(n, down, 2), across, 3)
		c := n.Dim(1)
		n = w.Patchify(n, nn.ChannelsLast, window, window)
		whole := n.Shape
		n = w.Reshape(n, n.Dim(0).Times(n.Dim(1)), onnx.D(window*window), c)
		n = w.Attention(w.Linear(b.At("q"), n, c.N), w.Linear(b.At("k"), n, c.N), w.Linear(b.At("v"), n, c.N), nil, 1)
		n = w.Unpatchify(w.Reshape(w.Linear(b.At("proj_out"), n, c.N), whole...), nn.ChannelsLast, []int{window, window}, rows, cols)
		x = w.Add(x, w.GatherAxis(w.GatherAxis(n, backDown, 2), backAcross, 3))
	}
	return v.Conv3(s.At("conv_out"), w.GroupNormSiLU(s.At("norm_out"), x, groups, epsilon))
}

// columns applies the columns of the layer at s from column first on to x, with its bias.
func (w writer) columns(s *weights.Scope, x *onnx.Value, first, out int) *onnx.Value {
	y := w.columnsOnly(s, x, first)
	return w.Add(y, w.Table(s.Weight("bias", out)))
}

// columnsOnly is columns without the bias.
func (w writer) columnsOnly(s *weights.Scope, x *onnx.Value, first int) *onnx.Value {
	w.At(s.Prefix())
	r := s.Weight("weight", s.Shape("weight")...)
	if r.Missing() {
		return x
	}
	e, err := r.Entry.Columns(first, x.Dim(-1).N)
	if err != nil {
		w.Fail("columns", "%v", err)
	}
	if e, err = e.Transpose(); err != nil {
		w.Fail("columns", "%v", err)
	}
	return w.MatMul(x, w.Table(&weights.Ref{Name: e.Name, Entry: e}))
}

// block is a block of a depthwise convolution on tokens x [B,h·w,C] of a latent of the size of like. m, when set, modulates the
// norms, which then have no weights. Upstream: DiCoBlock, EncoderDiCoBlock.
func (w writer) block(s *weights.Scope, x, like *onnx.Value, m []dit.Mod) *onnx.Value {
	c := x.Dim(2).N
	norm := func(i int, x *onnx.Value) *onnx.Value {
		if m != nil {
			return m[i].Apply(w.Builder, x)
		}
		return w.LayerNorm(s.At([]string{"norm1", "norm2"}[i]), x, epsilon)
	}
	add := func(i int, x, y *onnx.Value) *onnx.Value {
		if m != nil {
			return m[i].Add(w.Builder, x, y)
		}
		return w.Add(x, y)
	}
	y := w.Transpose(w.Linear(s.At("conv1"), norm(0, x), c), 0, 2, 1)
	y = w.Reshape(y, x.Dim(0), onnx.D(c), like.Dim(2), like.Dim(3))
	y = w.Gelu(w.ToTokens(w.ConvND(s.At("conv2"), y, c, []int{3, 3}, c, onnx.Same(3, 3))), false)
	y = w.Mul(y, w.Sigmoid(w.Linear(s.At("ca", "1"), w.ReduceMean(y, true, 1), c)))
	x = add(0, x, w.Linear(s.At("conv3"), y, c))
	return add(1, x, w.Linear(s.At("conv5"), w.Gelu(w.to(s.At("conv4"), norm(1, x)), false), c))
}

// pixels is the network of the pixels x [cells,P²,pixel] of each cell. Upstream: SimpleMLPAdaLN.
func (w writer) pixels(s *weights.Scope, x, cells *onnx.Value, v *vae) *onnx.Value {
	x = w.Linear(s.At("input_proj"), x, v.pixel)
	c := w.Reshape(w.Linear(s.At("cond_embed"), cells, v.patch*v.patch*v.pixel), x.Dim(0), x.Dim(1), onnx.D(v.pixel))
	for i := range s.Count("res_blocks") {
		b := s.At("res_blocks").Index(i)
		m := w.Chunks(w.Linear(b.At("adaLN_modulation", "1"), w.SiLU(c), 3*v.pixel), 3)
		y := w.Add(w.Mul(w.LayerNorm(b.At("in_ln"), x, epsilon), w.Add(m[1], w.Const(1))), m[0])
		x = w.Gated(x, w.Linear(b.At("mlp", "2"), w.SiLU(w.Linear(b.At("mlp", "0"), y, v.pixel)), v.pixel), m[2])
	}
	return x
}

// encoder writes the encoder. Inputs: pixels [B,3,H,W], time [1,256], zeros [1,1,C]. Output: z [B,C,H/P,W/P]. Upstream:
// DConvEncoder.
func (w writer) encoder(s *weights.Scope, v *vae) {
	x := dit.Input(w.Builder, "pixels", onnx.Sym("B"), onnx.D(rgb), onnx.Sym("H"), onnx.Sym("W"))
	t := w.time(s)
	head, width := size(s.At("patch_cond_embed"), 0), size(s.At("proj_down"), 0)
	like := w.Conv2d(s.At("patch_cond_embed"), x, head, v.patch, onnx.Window{Stride: v.patch})
	y := w.ToTokens(like)
	for i := range s.Count("head_blocks") {
		y = w.block(s.At("head_blocks").Index(i), y, like, nil)
	}
	y = w.Linear(s.At("proj_down"), y, width)
	zero := w.Linear(s.At("z_proj"), dit.Input(w.Builder, "zeros", onnx.D(1), onnx.D(1), onnx.D(v.channels)), width)
	y = w.Linear(s.At("fuse_proj"), w.Concat(2, y, w.Expand(zero, y.Shape...)), width)
	for i := range s.Count("blocks") {
		b := s.At("blocks").Index(i)
		y = w.block(b, y, like, dit.Mods(w.Builder, w.Linear(b.At("adaLN_modulation", "1"), w.SiLU(t), 6*width), 2))
	}
	y = w.to(s.At("proj_out"), w.LayerNorm(s.At("norm_out"), y, epsilon))
	y = w.Transpose(w.Slice(y, 2, 0, v.channels), 0, 2, 1) // without the variance
	dit.Output(w.Builder, "z", w.Reshape(y, x.Dim(0), onnx.D(v.channels), like.Dim(2), like.Dim(3)))
}
