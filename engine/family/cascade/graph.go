package cascade

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// epsilon is the epsilon of the normalisations, headWidth the width of an attention head.
const (
	epsilon   = 1e-6
	headWidth = 64
)

// build writes the network: inputs x [B,C,H,W], timesteps [B] in 0…1, pooled [B,P,width]; for stage C context [B,T,width] and
// image [B,I,width], for stage B prior [B,16,h,w] and pixels [1,3,1,1] of zeros. The output "out" is [B,C,H,W]. Upstream:
// ldm/cascade/stage_c.py and stage_b.py (Pernias et al. 2023, arXiv:2306.00637).
//
// At the residual blocks of the numbers in steered, counted in their order, inputs "control.N" [B,C,ch,cw] are added, in any size.
func (m *Model) build(spec family.Spec, steered []int) (*onnx.Graph, error) {
	return spec.Build("unet", m.Source, func(b *nn.Builder, s *weights.Scope) {
		w := &writer{Builder: b, c: m.Config}
		w.batch = onnx.Sym("B")
		h, wide := onnx.Sym("h"), onnx.Sym("w")
		x := w.input("x", onnx.D(m.Channels), h.Times(onnx.D(m.Patch)), wide.Times(onnx.D(m.Patch)))
		w.times(w.Input("timesteps", dtype.F32, w.batch))
		w.steered = steered
		x = w.embed(s, x, h, wide)
		if m.Prior {
			w.textAndImages(s)
		} else {
			x = w.priorAndPooled(s, x, h, wide)
		}
		x = w.levels(s, x)
		x = w.conv(s.At("clf", "1"), w.norm(x), 1, onnx.Window{Stride: 1})
		if m.Patch > 1 {
			x = w.PixelShuffle(x, m.Patch)
		}
		w.Output("out", w.Cast(x, dtype.F32))
	})
}

// writer writes the blocks of a network.
type writer struct {
	*nn.Builder
	c     Config
	batch onnx.Dim
	// time are the embeddings of the timestep and of the further numbers, which are always zero; clip is the conditioning
	// [B,tokens,Cond].
	time []*onnx.Value
	clip *onnx.Value
	// steered are the numbers of the residual blocks that a ControlNet adds to, blocks is the number of written blocks.
	steered []int
	blocks  int
}

// input declares an input of features.
func (w *writer) input(name string, dims ...onnx.Dim) *onnx.Value {
	return w.Cast(w.Input(name, dtype.F32, append([]onnx.Dim{w.batch}, dims...)...), w.Target.Compute)
}

// further names the numbers that are embedded beside the timestep.
func (c Config) further() []string {
	if c.Prior {
		return []string{"mapper_sca", "mapper_crp"}
	}
	return []string{"mapper_sca"}
}

// times embeds the timesteps [B].
func (w *writer) times(t *onnx.Value) {
	w.time = append(w.time, w.embedTime(t))
	zero := w.embedTime(w.Mul(t, w.Scalar(dtype.F32, 0)))
	for range w.c.further() {
		w.time = append(w.time, zero)
	}
}

// embedTime returns sines and cosines of numbers in 0…1 at Time/2 frequencies from 10000 down to 1.
func (w *writer) embedTime(t *onnx.Value) *onnx.Value {
	const most = 10000
	half := w.c.Time / 2
	freqs := make([]float32, half)
	k := float32(math.Log(most) / float64(max(half-1, 1)))
	for i := range freqs {
		freqs[i] = float32(math.Exp(float64(float32(i) * -k)))
	}
	args := w.Mul(w.Unsqueeze(w.Mul(t, w.Scalar(dtype.F32, most)), 1), w.Floats(freqs, 1, half))
	e := w.Concat(1, w.Sin(args), w.Cos(args))
	if w.c.Time%2 == 1 {
		e = w.Concat(1, e, w.Mul(w.Unsqueeze(t, 1), w.Scalar(dtype.F32, 0)))
	}
	return w.Cast(e, w.Target.Compute)
}

// embed converts patches of the latent to the width of the first level.
func (w *writer) embed(s *weights.Scope, x *onnx.Value, h, wide onnx.Dim) *onnx.Value {
	if p := onnx.D(w.c.Patch); w.c.Patch > 1 {
		x = w.Transpose(w.Reshape(x, x.Dim(0), x.Dim(1), h, p, wide, p), 0, 1, 3, 5, 2, 4)
		x = w.Reshape(x, x.Dim(0), onnx.D(w.c.Channels*w.c.Patch*w.c.Patch), h, wide)
	}
	return w.norm(w.conv(s.At("embedding", "1"), x, 1, onnx.Window{Stride: 1}))
}

// textAndImages declares the conditioning of stage C.
func (w *writer) textAndImages(s *weights.Scope) {
	text := w.Linear(s.At("clip_txt_mapper"), w.input(sampling.InputContext, onnx.Sym("T"), onnx.D(w.c.Text)), w.c.Cond)
	pooled := w.several(s.At("clip_txt_pooled_mapper"), w.input(InputPooled, onnx.Sym("P"), onnx.D(w.c.Pooled)))
	image := w.several(s.At("clip_img_mapper"), w.input(InputImage, onnx.Sym("I"), onnx.D(w.c.Image)))
	w.clip = w.LayerNormPlain(w.Concat(1, text, pooled, image), epsilon)
}

// several converts each vector of x [B,n,width] to a number of tokens.
func (w *writer) several(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := w.c.Cond
	if sh := s.Shape("weight"); len(sh) == 2 {
		out = sh[0]
	}
	return w.Reshape(w.Linear(s, x, out), x.Dim(0), x.Dim(1).Times(onnx.D(out/w.c.Cond)), onnx.D(w.c.Cond))
}

// priorAndPooled declares the conditioning of stage B and adds the latent of stage C, and pixels that are always black, to x.
func (w *writer) priorAndPooled(s *weights.Scope, x *onnx.Value, h, wide onnx.Dim) *onnx.Value {
	pooled := w.several(s.At("clip_mapper"), w.input(InputPooled, onnx.Sym("P"), onnx.D(w.c.Pooled)))
	w.clip = w.LayerNormPlain(pooled, epsilon)
	prior := w.input(InputPrior, onnx.D(w.c.Effnet), onnx.Sym("ph"), onnx.Sym("pw"))
	prior = w.ResizeTo(prior, onnx.Corners, w.batch, onnx.D(w.c.Effnet), h, wide)
	x = w.Add(x, w.mapped(s.At("effnet_mapper"), prior))
	const rgb = 3
	pixels := w.Cast(w.Input("pixels", dtype.F32, onnx.Dims(1, rgb, 1, 1)...), w.Target.Compute)
	return w.Add(x, w.mapped(s.At("pixels_mapper"), pixels))
}

// mapped is two 1x1 convolutions and a normalisation.
func (w *writer) mapped(s *weights.Scope, x *onnx.Value) *onnx.Value {
	one := onnx.Window{Stride: 1}
	return w.norm(w.conv(s.At("2"), w.Gelu(w.conv(s.At("0"), x, 1, one), false), 1, one))
}

// conv is a convolution with the width of its weight.
func (w *writer) conv(s *weights.Scope, x *onnx.Value, kernel int, window onnx.Window) *onnx.Value {
	out := x.Dim(1).N
	if sh := s.Shape("weight"); len(sh) == 4 {
		out = sh[0]
	}
	return w.Conv2d(s, x, out, kernel, window)
}

// norm normalises the channels at each position of x [B,C,H,W].
func (w *writer) norm(x *onnx.Value) *onnx.Value {
	return w.FromTokens(w.LayerNormPlain(w.ToTokens(x), epsilon), x)
}

// levels runs the blocks of all levels down and up again.
func (w *writer) levels(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := len(w.c.Widths)
	outputs := make([]*onnx.Value, n)
	for i := range n {
		if i > 0 {
			x = w.down(s.At("down_downscalers").Index(i), x)
		}
		x = w.level(s.At("down_blocks").Index(i), s.At("down_repeat_mappers").Index(i), x, nil)
		outputs[n-1-i] = x
	}
	for i := range n {
		var skip *onnx.Value
		if i > 0 {
			skip = outputs[i]
		}
		x = w.level(s.At("up_blocks").Index(i), s.At("up_repeat_mappers").Index(i), x, skip)
		if i < n-1 {
			x = w.up(s.At("up_upscalers").Index(i), x, w.c.Widths[n-2-i])
		}
	}
	return x
}

// down leads to the next coarser level; stage C keeps its size.
func (w *writer) down(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if c := s.At("1", "blocks", "0"); c.Has("weight") {
		return w.conv(c, w.norm(x), 1, onnx.Window{Stride: 1})
	}
	return w.conv(s.At("1"), w.norm(x), 2, onnx.Window{Stride: 2})
}

// up leads to the next finer level, of the given width.
func (w *writer) up(s *weights.Scope, x *onnx.Value, width int) *onnx.Value {
	if c := s.At("1", "blocks", "1"); c.Has("weight") {
		return w.conv(c, w.norm(x), 1, onnx.Window{Stride: 1})
	}
	return w.ConvTranspose(s.At("1"), w.norm(x), width, []int{2, 2}, 1, onnx.WindowND{Stride: []int{2, 2}})
}

// level runs the blocks of scope s once more than there are 1x1 convolutions in repeats, one between each two runs. skip,
// when set, is the additional input of the first block.
func (w *writer) level(s, repeats *weights.Scope, x, skip *onnx.Value) *onnx.Value {
	again := repeats.Count("")
	for run := range again + 1 {
		for i := range s.Count("") {
			beside := skip
			if i > 0 {
				beside = nil
			}
			x = w.block(s.Index(i), x, beside)
		}
		if run < again {
			x = w.conv(repeats.Index(run), x, 1, onnx.Window{Stride: 1})
		}
	}
	return x
}

// block runs the block of scope s; its keys determine the kind.
func (w *writer) block(s *weights.Scope, x, skip *onnx.Value) *onnx.Value {
	switch {
	case s.Has("mapper.weight"):
		return w.timestep(s, x)
	case s.Has("kv_mapper.1.weight"):
		return w.attention(s, x)
	}
	return w.residual(s, x, skip)
}

// residual adds a depthwise convolution and a layer over the channels to x; without the convolution it is a feed-forward layer.
func (w *writer) residual(s *weights.Scope, x, skip *onnx.Value) *onnx.Value {
	if skip != nil && (skip.Dim(2) != x.Dim(2) || skip.Dim(3) != x.Dim(3)) {
		x = w.ResizeTo(x, onnx.Corners, x.Dim(0), x.Dim(1), skip.Dim(2), skip.Dim(3))
	}
	h, c := x, x.Dim(1).N
	if s.Has("depthwise.weight") {
		x = w.controlled(x)
		h = x
		k := 3
		if sh := s.Shape("depthwise.weight"); len(sh) == 4 {
			k = sh[3]
		}
		h = w.ConvND(s.At("depthwise"), h, c, []int{k, k}, c, onnx.Same(k, k))
	}
	t := w.LayerNormPlain(w.ToTokens(h), epsilon)
	if skip != nil {
		t = w.Concat(2, t, w.ToTokens(skip))
	}
	t = w.Gelu(w.Linear(s.At("channelwise", "0"), t, 4*c), false)
	t = w.Linear(s.At("channelwise", "4"), w.response(s.At("channelwise", "2"), t), c)
	return w.Add(w.FromTokens(t, x), x)
}

// controlled adds to x what a ControlNet gives for the next residual block.
func (w *writer) controlled(x *onnx.Value) *onnx.Value {
	n := w.blocks
	w.blocks++
	if !slices.Contains(w.steered, n) {
		return x
	}
	c := w.input(controlInput(n), x.Dim(1), onnx.Sym("ch"), onnx.Sym("cw"))
	return w.Add(x, w.ResizeTo(c, onnx.Corners, x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)))
}

// response is global response normalisation of x [B,N,C] (Woo et al. 2023, arXiv:2301.00808).
func (w *writer) response(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(2).N
	wide := w.Cast(x, dtype.F32)
	length := w.ReduceL2(wide, true, 1)
	share := w.Cast(w.Div(length, w.Add(w.ReduceMean(length, true, 2), w.Scalar(dtype.F32, epsilon))), x.DType)
	gamma, beta := w.shaped(s, "gamma", []int{1, 1, 1, c}, 1, 1, c), w.shaped(s, "beta", []int{1, 1, 1, c}, 1, 1, c)
	return w.Add(w.Add(w.Mul(gamma, w.Mul(x, share)), beta), x)
}

// shaped takes a weight stored in one shape in another.
func (w *writer) shaped(s *weights.Scope, name string, stored []int, as ...int) *onnx.Value {
	r := s.Weight(name, stored...)
	if e, err := r.Entry.Reshape(as...); err == nil && !r.Missing() {
		r = &weights.Ref{Name: fmt.Sprintf("%s%v", r.Name, as), Entry: e}
	}
	return w.Table(r)
}

// attention adds attention of each position to all positions and the conditioning.
func (w *writer) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	kv := w.Linear(s.At("kv_mapper", "1"), w.SiLU(w.clip), c)
	t := w.LayerNormPlain(w.ToTokens(x), epsilon)
	a := s.At("attention", "attn")
	all := w.Concat(1, t, kv)
	y := w.Attention(w.Linear(a.At("to_q"), t, c), w.Linear(a.At("to_k"), all, c), w.Linear(a.At("to_v"), all, c), nil, max(c/headWidth, 1))
	return w.Add(x, w.FromTokens(w.Linear(a.At("out_proj"), y, c), x))
}

// timestep scales and shifts x by the embeddings of the timestep and the further numbers.
func (w *writer) timestep(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	sum := w.Linear(s.At("mapper"), w.time[0], 2*c)
	for i, name := range w.c.further() {
		sum = w.Add(sum, w.Linear(s.At(name), w.time[i+1], 2*c))
	}
	parts := w.Split(w.Unsqueeze(sum, 2, 3), 1, c, c)
	return w.Add(w.Mul(x, w.Add(parts[0], w.Const(1))), parts[1])
}
