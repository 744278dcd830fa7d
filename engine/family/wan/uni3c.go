package wan

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

func init() { family.Register(renderKind{}) }

// renderKind registers the ControlNet of Uni3C, by which the camera of a video of Wan 2.1 follows that of a rendered one.
type renderKind struct{}

// Name implements family.Family.
func (renderKind) Name() string { return "Uni3C ControlNet for Wan 2.1" }

// Rank implements family.Family.
func (renderKind) Rank() int { return 51 }

const (
	// renderHeads is the number of its heads, renderChannels that of the model's input that it reads: the latent and the mask of frames that are
	// given, and zeros for models without a mask.
	renderHeads    = 16
	renderChannels = 20
	renderEps      = 1e-5
)

// renderPatch is a ControlNet that was read from a file: a transformer beside the model, whose block i adds to the tokens behind the model's.
// Upstream: ldm/wan/uni3c.py WanUni3CControlnet.
type renderPatch struct {
	src weights.Source
	rendering
	// model is the width of the model's tokens, channels those of the rendered video's latent.
	model, channels int
}

// rendering is what a graph knows of the ControlNet: its number among the model patches of a call, the number of blocks, the width of its tokens,
// of patches and of its feed-forward layers.
type rendering struct {
	Number, Blocks, Width, Patch, Inner int
}

// ReadPatch implements family.ModelPatch.
func (renderKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	s := weights.NewScope(src)
	if !s.Has("controlnet_patch_embedding.weight") {
		return nil, nil
	}
	p := &renderPatch{
		src: src, model: dim(s, "proj_out.0.weight", 0), channels: dim(s, "controlnet_patch_embedding.weight", 1) - renderChannels,
		rendering: rendering{
			Blocks: s.Count("proj_out"), Width: dim(s, "proj_out.0.weight", 1), Patch: dim(s, "controlnet_patch_embedding.weight", 0),
			Inner: dim(s, "controlnet_blocks.0.ffn.0.weight", 0),
		},
	}
	if p.model == 0 || p.Width == 0 || p.Width%(2*renderHeads) != 0 || p.Inner == 0 || p.channels != latents.Wan21.Channels || dim(s, "controlnet_blocks.0.norm1.linear.weight", 1) != p.model {
		return nil, fmt.Errorf("controlnet_patch_embedding.weight is %v, proj_out.0.weight %v, controlnet_blocks.0.norm1.linear.weight %v and ffn.0.weight %v: wanted %d channels and %d heads",
			s.Shape("controlnet_patch_embedding.weight"), s.Shape("proj_out.0.weight"), s.Shape("controlnet_blocks.0.norm1.linear.weight"), s.Shape("controlnet_blocks.0.ffn.0.weight"),
			renderChannels+latents.Wan21.Channels, renderHeads)
	}
	return p, nil
}

// Patches implements family.PatchNetwork.
func (*renderPatch) Patches() string { return "Wan 2.1 for videos from images or text" }

// Weights implements family.PatchNetwork.
func (p *renderPatch) Weights() weights.Source { return p.src }

// Fits implements family.PatchNetwork.
func (p *renderPatch) Fits(d family.Denoiser) error {
	m, ok := d.(*model)
	if f, is := d.(*framed); is {
		m, ok = f.model, true
	}
	switch {
	case !ok:
		return errors.New("the model is of another family")
	case m.kind.form != formText && m.kind.form != formImage && m.kind.form != formVACE && m.kind.form != formCamera && m.kind.form != formCamera22 || m.out != p.channels:
		return fmt.Errorf("the model is %s", m.kind.name)
	case m.hidden != p.model:
		return fmt.Errorf("it is for tokens of width %d, and the model has %d", p.model, m.hidden)
	}
	return nil
}

// Input implements family.PatchNetwork: the rendered video as a latent [1,C,F,2h,2w] as the model reads it. A longer one is cut, of a shorter one
// the last frame is repeated. Upstream: WanUni3CCnetPatch.encode_render_video.
func (p *renderPatch) Input(ctx context.Context, _ family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	if c.Image == nil {
		return nil, errors.New("it needs a rendered video: connect one")
	}
	if c.Side == 0 {
		return nil, errors.New("it reads a video and there is no VAE to encode it: connect one")
	}
	cells := func(n int) int { return (n + side - 1) / side * side }
	frames, width, height := (c.Frames-1)*max(c.Pace, 1)+1, cells(c.Width)*c.Side, cells(c.Height)*c.Side
	video := c.Image.Slice(0, min(frames, c.Image.Dim(0)))
	if video.Len() == 0 {
		return nil, fmt.Errorf("the rendered video has shape %v: connect one with frames", c.Image.Shape)
	}
	if video.Dim(1) != height || video.Dim(2) != width {
		var err error
		if video, err = imaging.UpscaleImage(video, width, height, "bilinear", "center"); err != nil {
			return nil, fmt.Errorf("scaling the video: %w", err)
		}
	}
	if have := video.Dim(0); have < frames {
		if err := imaging.CheckSize("the frames of the rendered video", append([]int{frames}, video.Shape[1:]...)...); err != nil {
			return nil, err
		}
		long := tensor.New(append([]int{frames}, video.Shape[1:]...)...)
		for at := copy(long.Data, video.Data); at < len(long.Data); {
			at += copy(long.Data[at:], video.Index(have-1).Data)
		}
		video = long
	}
	z, err := c.EncodeVideo(ctx, video)
	if err != nil {
		return nil, err
	}
	if len(z.Shape) != 5 || z.Dim(1) != p.channels || z.Dim(2) != c.Frames {
		return nil, fmt.Errorf("the latent of the rendered video has shape %v, wanted %d channels and %d frames: connect the VAE of Wan 2.1", z.Shape, p.channels, c.Frames)
	}
	return latents.Wan21.In(z), nil
}

// places of the tokens' angles among the inputs.
func inputCos(k int) string { return dit.AttachedName(k) + ".cos" }
func inputSin(k int) string { return dit.AttachedName(k) + ".sin" }

// axes are the widths of a head that time, row and column turn.
func (r rendering) axes() []int {
	head := r.Width / renderHeads
	plane := 2 * (head / 6)
	return []int{head - 2*plane, plane, plane}
}

// follow adds the ControlNet number k of a call to a batch.
func (b *batch) follow(k int, a family.Attached, p *renderPatch) error {
	if a.Input.Dim(2) != b.frames || a.Input.Dim(3) != b.grid.Height*side || a.Input.Dim(4) != b.grid.Width*side {
		return fmt.Errorf("the latent of the rendered video has shape %v, that of the model %d frames of %dx%d", a.Input.Shape, b.frames, b.grid.Width*side, b.grid.Height*side)
	}
	rows := tensor.New(append([]int{b.call.X.Dim(0)}, a.Input.Shape[1:]...)...)
	for i := range rows.Dim(0) {
		copy(rows.Index(i).Data, a.Input.Data)
	}
	a.Input = rows
	r := p.rendering
	r.Number = k
	b.v.Renders = append(b.v.Renders, r)
	b.in = append(b.in, dit.AttachedValues(k, a)...)
	const theta = 10000
	at := places(nil, b.frames, b.grid, 0, dit.Unscaled)
	for i, v := range dit.Angles(at, theta, r.axes()...) {
		v.Name = []string{inputCos(k), inputSin(k)}[i]
		b.in = append(b.in, v)
	}
	return nil
}

// render is the ControlNet while a graph is written: its tokens [B,S,C] behind the blocks so far.
type render struct {
	rendering
	s              *weights.Scope
	x              *onnx.Value
	time, strength *onnx.Value
	rope           *nn.Rotary
}

// renders declares the inputs of ControlNets for the model's input x [B,C,F,2h,2w]. s is the scope of the whole network.
func (w *writer) renders(s *weights.Scope, x *onnx.Value, c conditions) []*render {
	out := make([]*render, len(w.v.Renders))
	for i, f := range w.v.Renders {
		r := &render{rendering: f, s: s.At(dit.AttachedName(f.Number))}
		video, strength := dit.AttachedInputs(w.Builder, f.Number, x.Dim(0), onnx.D(latents.Wan21.Channels), x.Dim(2), x.Dim(3), x.Dim(4))
		r.strength = strength
		read := w.Slice(x, 1, 0, min(renderChannels, x.Dim(1).N))
		if lacks := renderChannels - read.Dim(1).N; lacks > 0 {
			read = w.PadAxes(read, onnx.Zeros, []int{0, 0, 0, 0, 0}, []int{0, lacks, 0, 0, 0})
		}
		patches := w.Conv3d(r.s.At("controlnet_patch_embedding"), w.Concat(1, read, video), f.Patch, [3]int{1, side, side}, onnx.WindowND{Stride: []int{1, side, side}})
		r.x = w.ToTokens(patches)
		if r.s.Has("proj_in.weight") {
			r.x = w.Linear(r.s.At("proj_in"), r.x, f.Width)
		}
		half := onnx.D(f.Width / renderHeads / 2)
		r.rope = &nn.Rotary{
			Cos: dit.Input(w.Builder, inputCos(f.Number), onnx.D(1), r.x.Dim(1), half), Sin: dit.Input(w.Builder, inputSin(f.Number), onnx.D(1), r.x.Dim(1), half), Interleaved: true,
		}
		r.time = w.SiLU(w.firstTime(c))
		out[i] = r
	}
	return out
}

// firstTime is the embedding of each row's first timestep [B,C].
func (w *writer) firstTime(c conditions) *onnx.Value {
	if w.v.Times == 0 {
		return c.embedded
	}
	rows := onnx.Sym("B")
	units := onnx.Sym("U")
	if w.v.Times == perFrame {
		units = onnx.Sym("F")
	}
	return w.Squeeze(w.Slice(w.Reshape(c.embedded, rows, units, onnx.D(w.hidden)), 1, 0, 1), 1)
}

// rendered is x behind block i with what ControlNets add to the tokens of the video.
func (w *writer) rendered(x *onnx.Value, list []*render, i int) *onnx.Value {
	for _, r := range list {
		if i >= r.Blocks {
			continue
		}
		r.x = w.renderBlock(r, r.s.At("controlnet_blocks").Index(i))
		more := w.Mul(w.Linear(r.s.At("proj_out").Index(i), r.x, w.hidden), r.strength)
		from := onnx.D(0)
		if w.v.Ref {
			from = w.plane()
		}
		x = dit.OnFirst(w.Builder, x, from, from.Plus(r.x.Dim(1)), func(x *onnx.Value) *onnx.Value { return w.Add(x, more) })
	}
	return x
}

// renderBlock is a block of a ControlNet. Upstream: Uni3CAttentionBlock.
func (w *writer) renderBlock(r *render, s *weights.Scope) *onnx.Value {
	normed := func(s *weights.Scope) (x, gate *onnx.Value) {
		m := w.Chunks(w.Linear(s.At("linear"), r.time, 3*r.Width), 3)
		x = w.LayerNorm(s.At("norm"), r.x, renderEps)
		return w.Add(w.Mul(x, w.Add(m[1], w.Const(1))), m[0]), m[2]
	}
	at := s.At("self_attn")
	layer := func(name, stored string) *weights.Scope { // as converted, and as its authors store it
		if at.HasAny(name) {
			return at.At(name)
		}
		return at.At(stored)
	}
	x, gate := normed(s.At("norm1"))
	q := w.RMSNorm(at.At("norm_q"), w.Linear(layer("q", "to_q"), x, r.Width), epsilon)
	k := w.RMSNorm(at.At("norm_k"), w.Linear(layer("k", "to_k"), x, r.Width), epsilon)
	v := w.Linear(layer("v", "to_v"), x, r.Width)
	a := onnx.Attention{Heads: renderHeads, Scale: float32(1 / math.Sqrt(float64(r.Width/renderHeads)))}
	y := w.Attend(w.Rotate(q, r.rope, renderHeads), w.Rotate(k, r.rope, renderHeads), v, a)
	r.x = w.Gated(r.x, w.Linear(layer("o", "to_out.0"), y, r.Width), gate)
	x, gate = normed(s.At("norm2"))
	y = w.Linear(s.At("ffn.2"), w.Gelu(w.Linear(s.At("ffn.0"), x, r.Inner), true), r.Width)
	return w.Gated(r.x, y, gate)
}
