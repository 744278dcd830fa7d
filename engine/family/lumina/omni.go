package lumina

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Reference images of Z-Image: the latents of some images, with a text before each and their encodings by SigLIP 2, are tokens beside those of
// the image that is made, at the timestep zero. Upstream: ldm/lumina/model.py patchify_and_embed, omni.

// inputReferenceText and inputReferenceVision are the names of the text before reference image i [N,T,Text] and of its encoding [N,h,w,Vision].
func inputReferenceText(i int) string   { return fmt.Sprintf("ref_contexts.%d", i) }
func inputReferenceVision(i int) string { return fmt.Sprintf("siglip_feats.%d", i) }

// references are the inputs for the reference images of an entry. Without latents the texts and encodings have no effect.
func (m *Model) references(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if m.Pad == 0 || m.Pooled > 0 {
		return nil, nil
	}
	refs, err := sampling.References(c, r.Format)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	in := dit.ReferenceInputs(refs)
	texts, err := sampling.Tensors(c, sampling.KeyReferenceText)
	if err != nil {
		return nil, err
	}
	for i, t := range texts {
		if len(t.Shape) != 3 || t.Dim(2) != m.Text {
			return nil, fmt.Errorf("reading a conditioning entry: %d of its %s has shape %v, the model reads %d values a token", i, sampling.KeyReferenceText, t.Shape, m.Text)
		}
		in = append(in, sampling.Input{Name: inputReferenceText(i), Value: t, Rule: sampling.ByRows})
	}
	if m.Vision == 0 {
		return in, nil
	}
	encoded, err := visionOf(c)
	if err != nil {
		return nil, err
	}
	for i, v := range encoded {
		e, ok := v.(family.ImageEncoding)
		if !ok || e.Last == nil || len(e.Last.Shape) != 3 || e.Last.Dim(1) != e.Rows*e.Columns || e.Last.Dim(2) != m.Vision {
			return nil, fmt.Errorf("reading a conditioning entry: image encoding %d is not one of %d values a patch: take SigLIP 2, the image encoder of Z-Image Omni", i, m.Vision)
		}
		x, err := e.Last.Reshape(e.Last.Dim(0), e.Rows, e.Columns, m.Vision)
		if err != nil {
			return nil, err
		}
		in = append(in, sampling.Input{Name: inputReferenceVision(i), Value: x, Rule: sampling.ByRows})
	}
	return in, nil
}

// visionOf returns the encoded images of an entry: those of TextEncodeZImageOmni, or those of unCLIPConditioning.
func visionOf(c *sampling.Cond) ([]any, error) {
	if list, err := sampling.Value[[]any](c, sampling.KeyVisionOutputs); err != nil || list != nil {
		return list, err
	}
	list, err := sampling.Value[[]any](c, sampling.KeyUnCLIP)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, v := range list {
		if entry, ok := v.(map[string]any); ok && entry[sampling.KeyVisionOutput] != nil {
			out = append(out, entry[sampling.KeyVisionOutput])
		}
	}
	return out, nil
}

// tokens are some tokens of one kind: values [B,S,W], which of them are real, and positions, three a token.
type tokens struct {
	values    []*tensor.Tensor
	real      []float32
	positions []float64
}

// add appends tokens x [B,S,W] with their positions and the padding after them.
func (t *tokens) add(c Config, x *tensor.Tensor, positions []float64) {
	padded, is := c.pad(x)
	t.values, t.real = append(t.values, padded), append(t.real, is.Data...)
	t.positions = append(t.positions, positions...)
	for len(t.positions) < 3*len(t.real) {
		t.positions = append(t.positions, 0)
	}
}

// none appends a block of padding for a missing input.
func (t *tokens) none(c Config, rows, width int, positions []float64) {
	t.values, t.real = append(t.values, tensor.New(rows, c.Pad, width)), append(t.real, make([]float32, c.Pad)...)
	t.positions = append(t.positions, positions...)
}

// inputs appends the graph's inputs called name.
func (t *tokens) inputs(in []family.Value, c Config, name, of string) []family.Value {
	rows, width := t.values[0].Dim(0), t.values[0].Dim(2)
	all := tensor.New(rows, len(t.real), width)
	for b := range rows {
		to := all.Index(b).Data
		for _, v := range t.values {
			to = to[copy(to, v.Index(b).Data):]
		}
	}
	in = append(in, family.Floats(name, all), family.Floats("real_"+of, &tensor.Tensor{Shape: []int{1, len(t.real), 1}, Data: t.real}))
	return c.angles(in, of, t.positions)
}

// omni collects the tokens of a call with reference images.
type omni struct {
	*Model
	rows                        int
	texts, seen, earlier, image tokens
	// at is the position at which the next image begins.
	at int
}

// text adds the text before an image, which may be nil, and moves to the place after it.
func (o *omni) text(x *tensor.Tensor) {
	positions := func(n int) []float64 {
		p := textPositions(n)
		for i := range n {
			p[3*i] += float64(o.at)
		}
		return p
	}
	if x == nil {
		o.texts.none(o.Config, o.rows, o.Text, positions(o.Pad))
		if o.Vision == 0 {
			o.at += o.Pad
		}
		return
	}
	n := x.Dim(1)
	padded := (n + o.Pad - 1) / o.Pad * o.Pad
	o.texts.add(o.Config, x, positions(padded))
	if o.Vision == 0 {
		n = padded
	}
	o.at += n
}

// add adds an image x [B,C,H,W] with the text before it and its encoding [B,h,w,Vision], which may be nil.
func (o *omni) add(to *tokens, x, text, seen *tensor.Tensor) error {
	o.text(text)
	switch {
	case o.Vision == 0:
	case seen == nil:
		o.seen.none(o.Config, o.rows, o.Vision, make([]float64, 3*o.Pad))
	default:
		o.seen.add(o.Config, mixed(seen), visionPositions(o.at+2, seen.Dim(1), seen.Dim(2)))
	}
	cut, err := tensor.ToPatches(x, o.Patch, tensor.ChannelsLast)
	if err != nil {
		return err
	}
	to.add(o.Config, cut, imagePositions(o.at+1, x.Dim(2)/o.Patch, x.Dim(3)/o.Patch, cut.Dim(1)))
	o.at += 2
	return nil
}

// mixed returns the features of an image [B,h,w,W] as tokens [B,h·w,W], whose elements upstream takes in the order of channels.
func mixed(x *tensor.Tensor) *tensor.Tensor {
	cells, width := x.Dim(1)*x.Dim(2), x.Dim(3)
	out := tensor.New(x.Dim(0), cells, width)
	for b := range x.Dim(0) {
		from, to := x.Index(b).Data, out.Index(b).Data
		for i := range cells {
			for c := range width {
				to[c*cells+i] = from[i*width+c]
			}
		}
	}
	return out
}

// visionPositions spreads the tokens of an encoded image over rows and columns eight apart, at a place on the first axis.
func visionPositions(at, h, w int) []float64 {
	line := func(n int) []float64 { // torch.linspace in float32
		out, last := make([]float64, n), float32(8*n-1)
		step := last / float32(max(n-1, 1))
		for i := range out {
			v := step * float32(i)
			if i >= n/2 && n > 1 {
				v = last - step*float32(n-1-i)
			}
			out[i] = math.Floor(float64(v))
		}
		return out
	}
	ys, xs := line(h), line(w)
	out := make([]float64, 0, 3*h*w)
	for _, y := range ys {
		for _, x := range xs {
			out = append(out, float64(at), y, x)
		}
	}
	return out
}

// predictOmni is Predict with the latents of reference images.
func (m *Model) predictOmni(ctx context.Context, run family.Runner, c family.Call, refs []*tensor.Tensor) (*tensor.Tensor, error) {
	if len(c.Attached) > 0 {
		return nil, errors.New("reference images and a Fun ControlNet cannot be combined: leave one of them out")
	}
	x, err := tensor.WrapTo(c.X, m.Patch)
	if err != nil {
		return nil, err
	}
	o := &omni{Model: m, rows: c.X.Dim(0)}
	for i, ref := range refs {
		ref = dit.Image(ref)
		if len(ref.Shape) != 4 || ref.Dim(0) != o.rows || ref.Dim(1) != m.Channels || ref.Dim(2)%m.Patch != 0 || ref.Dim(3)%m.Patch != 0 {
			return nil, fmt.Errorf("reference latent %d has shape %v, the model reads %d channels and sizes that %d divides: scale the reference image to multiples of %d pixels", i, ref.Shape, m.Channels, m.Patch, m.Patch*m.Latent().Downscale)
		}
		if err := o.add(&o.earlier, ref, c.Inputs.Get(inputReferenceText(i)), c.Inputs.Get(inputReferenceVision(i))); err != nil {
			return nil, err
		}
	}
	before := len(o.texts.real)
	if err := o.add(&o.image, x, c.Inputs.Get(sampling.InputContext), nil); err != nil {
		return nil, err
	}
	for i := len(refs); ; i++ {
		text := c.Inputs.Get(inputReferenceText(i))
		if text == nil {
			break
		}
		at := o.at
		o.text(text)
		o.at = at + text.Dim(1)
	}
	times := make([]float32, len(c.T))
	for i, s := range c.T {
		times[i] = (1 - s) * m.TimeScale
	}
	in := []family.Value{family.Vector("times", times), family.Vector("time_zero", []float32{m.TimeScale})}
	in = o.texts.inputs(in, m.Config, "context", "text")
	in = o.earlier.inputs(in, m.Config, "references", "references")
	in = o.image.inputs(in, m.Config, "tokens", "image")
	if m.Vision > 0 {
		in = o.seen.inputs(in, m.Config, "vision", "vision")
	}
	if m.Pixel > 0 {
		in = append(in, family.Floats("places", dit.PixelPlaces(1, m.Frequencies, float32(m.Frequencies-1))))
	}
	now := tensor.New(1, len(o.texts.real), 1)
	for i := before; i < len(now.Data); i++ {
		now.Data[i] = 1
	}
	in = append(in, family.Floats("now", now))
	g := m.graph(variant{Omni: true})
	sizes := map[string]int{"B": o.rows, "X": len(o.image.real), "R": len(o.earlier.real), "T": len(o.texts.real), "V": len(o.seen.real)}
	if err := run.Check("running the model", m.activations.Of(g, sizes)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	return m.result(c, x, out)
}

// writeOmni writes the network with reference images: their tokens references [B,R,·] before those of the image, vision [B,V,Vision] where
// the model reads it, and the text tokens [1,T,1] that belong to the image's timestep, now. time is that of the image.
func (n network) writeOmni(s *weights.Scope, tokens, context, time *onnx.Value) {
	rows, images, texts, refs := tokens.Dim(0), tokens.Dim(1), context.Dim(1), onnx.Sym("R")
	one := onnx.D(1)
	stream := func(x *onnx.Value, of, pad string) stream {
		count := x.Dim(1)
		t := stream{x: n.padded(s, pad, x, dit.Input(n.Builder, "real_"+of, one, count, one))}
		t.cos, t.sin = dit.Input(n.Builder, "cos_"+of, one, count, onnx.D(n.c.HeadDim/2)), dit.Input(n.Builder, "sin_"+of, one, count, onnx.D(n.c.HeadDim/2))
		return t
	}
	embed := func(x *onnx.Value) *onnx.Value { return n.Linear(s.At("x_embedder"), x, n.c.Dim) }
	text := stream(n.Linear(s.At("cap_embedder.1"), n.RMSNorm(s.At("cap_embedder.0"), context, eps), n.c.Dim), "text", "cap_pad_token")
	image := stream(embed(tokens), "image", "x_pad_token")
	image = n.joined(stream(embed(dit.Input(n.Builder, "references", rows, refs, onnx.D(n.c.Channels*n.c.Patch*n.c.Patch))), "references", "x_pad_token"), image)
	zero := n.time(s, n.Input("time_zero", dtype.F32, one), one)

	for i := range n.c.Context {
		text.x = n.block(s.At("context_refiner").Index(i), text, nil)
	}
	front, seen := text, onnx.D(0)
	if n.c.Vision > 0 {
		seen = onnx.Sym("V")
		embedder := s.At("siglip_embedder")
		x := n.RMSNorm(embedder.At("0"), dit.Input(n.Builder, "vision", rows, seen, onnx.D(n.c.Vision)), eps)
		vision := stream(n.Linear(embedder.At("1"), x, n.c.Dim), "vision", "siglip_pad_token")
		for i := range s.Count("siglip_refiner") {
			vision.x = n.block(s.At("siglip_refiner").Index(i), vision, nil)
		}
		front = n.joined(text, vision)
	}
	now := dit.Input(n.Builder, "now", one, texts, one)
	still := func(count onnx.Dim, v float32) *onnx.Value {
		return n.Expand(n.Unsqueeze(n.Const(v), 0, 1, 2), one, count, one)
	}
	inImage := n.Concat(1, still(refs, 0), still(images, 1))
	inAll := []*onnx.Value{now}
	if n.c.Vision > 0 {
		inAll = append(inAll, still(seen, 0))
	}
	inAll = append(inAll, inImage)
	pair := func(of *weights.Scope, now *onnx.Value) []*onnx.Value {
		a, b := n.modulation(of, time), n.modulation(of, zero)
		image, out := n.Less(n.Const(0.5), now), make([]*onnx.Value, len(a))
		for i := range out {
			out[i] = n.Where(image, a[i], b[i])
		}
		return out
	}
	for i := range n.c.Noise {
		at := s.At("noise_refiner").Index(i)
		image.x = n.modulated(at, image, pair(at, inImage))
	}
	joint, chosen := n.joined(front, image), n.Concat(1, inAll...)
	for i := range n.c.Layers {
		at := s.At("layers").Index(i)
		joint.x = n.modulated(at, joint, pair(at, chosen))
	}
	from := texts.Plus(seen).Plus(refs)
	n.finish(s, tokens, n.SliceDims(joint.x, 1, from, from.Plus(images)), time)
}

// joined puts tokens before others.
func (n network) joined(a, b stream) stream {
	return stream{x: n.Concat(1, a.x, b.x), cos: n.Concat(1, a.cos, b.cos), sin: n.Concat(1, a.sin, b.sin)}
}
