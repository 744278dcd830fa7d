package sam3

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// detector is the graph that finds the objects of a text, with examples in boxes or without.
func (m *model) detector(boxes bool) family.Graph {
	return m.graph("segment text", boxes, func(w *writer, s *weights.Scope) { w.writeDetector(s, boxes) })
}

// examples is the graph of what boxes are read from: features [1,d,grid,grid].
func (m *model) examples() family.Graph {
	return m.graph("segment boxes", nil, func(w *writer, s *weights.Scope) {
		x := w.norm(s.At("detector.geometry_encoder.img_pre_norm"), w.tokens(w.level(s.At(vision, "convs"), w.seen(), 2)))
		w.out("features", w.spatial(x, w.grid))
	})
}

// Detect implements family.Segmenter.
func (m *model) Detect(ctx context.Context, run family.Runner, seen *tensor.Tensor, text family.SegmentText, boxes *tensor.Tensor) (*family.Segments, error) {
	t := text.Hidden
	if t == nil || len(t.Shape) != 3 || t.Dim(0) != 1 || t.Dim(2) != m.text {
		return nil, fmt.Errorf("detecting objects: the text encoding does not have %d values a token: encode the prompt with the text encoder of the SAM 3 checkpoint", m.text)
	}
	mask := text.Mask
	if mask == nil {
		mask = ones(1, t.Dim(1))
	}
	if mask.Len() != t.Dim(1) {
		return nil, fmt.Errorf("detecting objects: the mask of the text is for %d tokens, the text has %d", mask.Len(), t.Dim(1))
	}
	in := []family.Value{
		family.Floats("seen", seen), family.Floats("text", t), family.Floats("mask", &tensor.Tensor{Shape: []int{1, t.Dim(1)}, Data: mask.Data}),
		family.Floats("places", sines(m.grid, m.d)), family.Floats("zero", tensor.New(1, 1, 1)),
	}
	if boxes != nil {
		found, err := run.Run(ctx, m.examples(), []family.Value{family.Floats("seen", seen)}, "features")
		if err != nil {
			return nil, err
		}
		inside, err := alignRegions(ctx, found["features"], boxes)
		if err != nil {
			return nil, err
		}
		n := boxes.Dim(0)
		in = append(in, family.Floats("examples", &tensor.Tensor{Shape: []int{1, n, 4}, Data: boxes.Data}), family.Floats("inside", inside),
			family.Floats("box places", boxPlaces(boxes, m.d)))
	}
	out, err := run.Run(ctx, m.detector(boxes != nil), in, "scores", "boxes", "masks")
	if err != nil {
		return nil, err
	}
	s, side := &family.Segments{Scores: out["scores"], Boxes: out["boxes"], Masks: out["masks"]}, out["masks"].Dim(2)
	s.Scores.Shape, s.Boxes.Shape, s.Masks.Shape = []int{m.queries}, []int{m.queries, 4}, []int{m.queries, side, side}
	for i := range m.queries {
		b := s.Boxes.Data[4*i:][:4]
		b[0], b[1], b[2], b[3] = b[0]-0.5*b[2], b[1]-0.5*b[3], b[0]+0.5*b[2], b[1]+0.5*b[3]
	}
	return s, nil
}

// ones is a tensor of ones.
func ones(shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = 1
	}
	return t
}

// boxPlaces are embeddings [1,N,d+2] of boxes [N,4]: of the row, of the column, then the height and the width.
func boxPlaces(boxes *tensor.Tensor, d int) *tensor.Tensor {
	n := boxes.Dim(0)
	out := tensor.New(1, n, d+2)
	for i := range n {
		b, row := boxes.Data[4*i:], out.Data[i*(d+2):]
		sineOf(row[:d/2], b[1])
		sineOf(row[d/2:d], b[0])
		row[d], row[d+1] = b[3], b[2]
	}
	return out
}

// alignRegions averages features [1,C,h,w] within the cells of a grid of roi² in each box [N,4] (center, width, height): [N,C,roi,roi]. Each cell takes as
// many samples as it has features along a side. Source: He and others, "Mask R-CNN", as torchvision.ops.roi_align without aligned.
func alignRegions(ctx context.Context, x, boxes *tensor.Tensor) (*tensor.Tensor, error) {
	n, c, h, w := boxes.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	out := tensor.New(n, c, roi, roi)
	for i := range n {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		b := boxes.Data[4*i:]
		x1, y1 := (b[0]-0.5*b[2])*float32(w), (b[1]-0.5*b[3])*float32(h)
		x2, y2 := (b[0]+0.5*b[2])*float32(w), (b[1]+0.5*b[3])*float32(h)
		bw, bh := max(x2-x1, 1)/roi, max(y2-y1, 1)/roi
		across, down := int(math.Ceil(float64(max(x2-x1, 1)/roi))), int(math.Ceil(float64(max(y2-y1, 1)/roi)))
		across, down = min(max(across, 1), w), min(max(down, 1), h)
		for cell := range roi * roi {
			var taps []tap
			for k := range across * down {
				fy := y1 + float32(cell/roi)*bh + (float32(k/across)+0.5)*bh/float32(down)
				fx := x1 + float32(cell%roi)*bw + (float32(k%across)+0.5)*bw/float32(across)
				taps = append(taps, sample(fx, fy, w, h)...)
			}
			for ch := range c {
				plane, sum := x.Data[ch*h*w:][:h*w], float32(0)
				for _, t := range taps {
					sum += t.share * plane[t.at]
				}
				out.Data[(i*c+ch)*roi*roi+cell] = sum / float32(max(across*down, 1))
			}
		}
	}
	return out, nil
}

// tap is a share of an element.
type tap struct {
	at    int
	share float32
}

// sample interpolates a plane at a place; outside it there are zeros.
func sample(x, y float32, w, h int) []tap {
	if !(y >= -1 && y <= float32(h) && x >= -1 && x <= float32(w)) {
		return nil
	}
	x, y = max(x, 0), max(y, 0)
	x0, y0 := int(x), int(y)
	x1, y1 := x0+1, y0+1
	if x0 >= w-1 {
		x0, x1, x = w-1, w-1, float32(w-1)
	}
	if y0 >= h-1 {
		y0, y1, y = h-1, h-1, float32(h-1)
	}
	lx, ly := x-float32(x0), y-float32(y0)
	return []tap{{y0*w + x0, (1 - ly) * (1 - lx)}, {y0*w + x1, (1 - ly) * lx}, {y1*w + x0, ly * (1 - lx)}, {y1*w + x1, ly * lx}}
}

// writeDetector writes the detector. Inputs: seen, text [1,T,text], mask [1,T], places [1,grid²,d] as sines gives them, zero [1,1,1], and for boxes examples
// [1,N,4], inside [N,d,roi,roi], box places [1,N,d+2]. Outputs: scores [1,Q], boxes [1,Q,4], masks [1,Q,h,h].
func (w *writer) writeDetector(s *weights.Scope, boxes bool) {
	det := s.At("detector")
	tokens, d := onnx.Sym("T"), onnx.D(w.d)
	levels := make([]*onnx.Value, 3)
	seen := w.seen()
	for i := range levels {
		levels[i] = w.level(s.At(vision, "convs"), seen, i)
	}
	image, places, zero := w.tokens(levels[2]), w.in("places", d1, onnx.D(w.cells()), d), w.in("zero", d1, d1, d1)
	prompt := []*onnx.Value{w.linear(det.At("backbone.language_backbone.resizer"), w.in("text", d1, tokens, onnx.D(w.text)))}
	mask := []*onnx.Value{w.in("mask", d1, tokens)}
	geo := det.At("geometry_encoder")
	more := onnx.D(1)
	if boxes {
		prompt = append(prompt, w.boxTokens(geo, image, zero))
		more = more.Plus(onnx.Sym("N"))
	}
	prompt = append(prompt, w.summary(geo, image, places, zero))
	mask = append(mask, w.Add(w.Expand(w.Reshape(zero, d1, d1), d1, more), w.Const(1)))
	text, known := w.Concat(1, prompt...), w.Concat(1, mask...)
	keys := w.Cast(known, dtype.I32)

	memory := image
	for i := range det.Count("transformer.encoder.layers") {
		memory = w.encode(det.At("transformer.encoder.layers").Index(i), memory, places, text, keys)
	}
	found, at := w.decode(det.At("transformer.decoder"), memory, places, text, keys, zero)
	w.out("boxes", at)
	w.out("scores", w.score(det.At("dot_prod_scoring"), found, text, known))
	w.out("masks", w.masks(det.At("segmentation_head"), levels, memory, found, text, keys))
}

// encode is a layer of the encoder: tokens x attend to each other, at their places (nil for none), and to text, where keys is not 0 (nil for all).
func (w *writer) encode(s *weights.Scope, x, places, text, keys *onnx.Value) *onnx.Value {
	y := w.norm(s.At("norm1"), x)
	q := y
	if places != nil {
		q = w.Add(y, places)
	}
	x = w.Add(x, w.attend(s.At("self_attn"), q, q, y, onnx.Attention{}))
	x = w.Add(x, w.attend(s.At("cross_attn_image"), w.norm(s.At("norm2"), x), text, text, onnx.Attention{KeyMask: keys}))
	return w.feedForward(s, x)
}

// feedForward adds the layers linear1 and linear2 of norm3.
func (w *writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.LinearAdd(s.At("linear2"), w.Relu(w.linear(s.At("linear1"), w.norm(s.At("norm3"), x))), x, w.d)
}

// boxTokens are tokens [1,N,d] of boxes.
func (w *writer) boxTokens(s *weights.Scope, image, zero *onnx.Value) *onnx.Value {
	n, d := onnx.Sym("N"), onnx.D(w.d)
	x := w.linear(s.At("boxes_direct_project"), w.in("examples", d1, n, onnx.D(4)))
	inside := w.Conv2d(s.At("boxes_pool_project"), w.in("inside", n, d, onnx.D(roi), onnx.D(roi)), w.d, roi, onnx.Window{Stride: 1})
	x = w.Add(x, w.Reshape(inside, d1, n, d))
	x = w.Add(x, w.linear(s.At("boxes_pos_enc_project"), w.in("box places", d1, n, onnx.D(w.d+2))))
	positive := s.Weight("label_embed.weight", 2, w.d) // its second row: no negative boxes come here
	x = w.Add(x, w.Slice(w.Add(zero, w.Table(positive)), 1, 1, 2))
	x = w.norm(s.At("norm"), x)
	for i := range s.Count("encode") {
		x = w.encode(s.At("encode").Index(i), x, nil, image, nil)
	}
	return w.linear(s.At("final_proj"), w.norm(s.At("encode_norm"), x))
}

// summary is the token [1,1,d] of all boxes and of the image.
func (w *writer) summary(s *weights.Scope, image, places, zero *onnx.Value) *onnx.Value {
	x := w.Add(zero, w.Table(s.Weight("cls_embed.weight", 1, w.d)))
	x = w.norm(s.At("norm"), w.linear(s.At("final_proj"), x))
	for i := range s.Count("encode") {
		at := s.At("encode").Index(i)
		y := w.norm(at.At("norm1"), x)
		x = w.Add(x, w.attend(at.At("self_attn"), y, y, y, onnx.Attention{}))
		x = w.Add(x, w.attend(at.At("cross_attn_image"), w.norm(at.At("norm2"), x), w.Add(image, places), image, onnx.Attention{}))
		x = w.feedForward(at, x)
	}
	return w.norm(s.At("encode_norm"), x)
}

// decode finds objects: their states [1,Q,d] and boxes [1,Q,4].
func (w *writer) decode(s *weights.Scope, memory, places, text, keys, zero *onnx.Value) (found, boxes *onnx.Value) {
	x := w.Add(zero, w.Table(s.Weight("query_embed.weight", w.queries, w.d)))
	presence := w.Add(zero, w.Table(s.Weight("presence_token.weight", 1, w.d)))
	at := w.Sigmoid(w.Add(zero, w.Table(s.Weight("reference_points.weight", w.queries, 4))))
	keysAt := w.Add(memory, places)
	layers := s.Count("layers")
	for i := range layers {
		l := s.At("layers").Index(i)
		pos := w.PadAxes(w.mlp(s.At("ref_point_head"), w.boxSines(at)), onnx.Zeros, []int{0, 1, 0}, []int{0, 0, 0})
		bias := w.boxBias(s, at)
		y := w.Concat(1, presence, x)
		q := w.Add(y, pos)
		y = w.norm(l.At("norm2"), w.Add(y, w.attend(l.At("self_attn"), q, q, y, onnx.Attention{})))
		y = w.norm(l.At("catext_norm"), w.Add(y, w.attend(l.At("ca_text"), w.Add(y, pos), text, text, onnx.Attention{KeyMask: keys})))
		y = w.norm(l.At("norm1"), w.Add(y, w.attend(l.At("cross_attn"), w.Add(y, pos), keysAt, memory, onnx.Attention{Bias: bias})))
		y = w.norm(l.At("norm3"), w.LinearAdd(l.At("linear2"), w.Relu(w.linear(l.At("linear1"), y)), y, w.d))
		parts := w.Split(y, 1, 1, w.queries)
		presence, x = parts[0], parts[1]
		found = w.norm(s.At("norm"), x)
		at = w.Sigmoid(w.Add(w.inverseSigmoid(at), w.mlp(s.At("bbox_embed"), found)))
	}
	return found, at
}

func (w *writer) inverseSigmoid(x *onnx.Value) *onnx.Value {
	const small = 1e-6
	x = w.Cast(x, dtype.F32)
	k := func(v float32) *onnx.Value { return w.Scalar(dtype.F32, v) }
	y := w.Log(w.Add(w.Div(x, w.Add(w.Sub(k(1), x), k(small))), k(small)))
	return w.Cast(y, w.Target.Compute)
}

// boxSines embeds each number of boxes [1,Q,4] at d/2 sines and cosines in turn: [1,Q,2·d].
func (w *writer) boxSines(at *onnx.Value) *onnx.Value {
	n := w.d / 4
	factors := make([]float32, n)
	for i := range factors {
		factors[i] = float32(2 * math.Pi / math.Pow(theta, 2*float64(i)/float64(w.d/2)))
	}
	q := at.Dim(1)
	angles := w.Mul(w.Reshape(w.Cast(at, dtype.F32), d1, q, onnx.D(4), d1, d1), w.Floats(factors, 1, 1, 1, n, 1))
	x := w.Concat(4, w.Sin(angles), w.Cos(angles))
	return w.Cast(w.Reshape(x, d1, q, onnx.D(2*w.d)), w.Target.Compute)
}

// boxBias favours the cells in and around a box: [1,heads,Q+1,grid²] of boxes [1,Q,4], zero for the presence token.
func (w *writer) boxBias(s *weights.Scope, boxes *onnx.Value) *onnx.Value {
	q, g, n := boxes.Dim(1), onnx.D(w.grid), onnx.D(heads)
	parts := w.Split(w.Cast(boxes, dtype.F32), 2, 2, 2)
	half := w.Mul(parts[1], w.Scalar(dtype.F32, 0.5))
	edges := w.Concat(3, w.Unsqueeze(w.Sub(parts[0], half), 3), w.Unsqueeze(w.Add(parts[0], half), 3)) // [1,Q,2,2]: axis, then start and end
	places := make([]float32, w.grid)
	for i := range places {
		places[i] = float32(i) / float32(w.grid)
	}
	at := w.Floats(places, 1, 1, w.grid, 1)
	of := func(axis int, name string) *onnx.Value {
		x := w.Sub(at, w.Slice(edges, 2, axis, axis+1))
		const wide = 8
		k := func(v float64) *onnx.Value { return w.Scalar(dtype.F32, float32(v)) }
		x = w.Mul(x, k(wide))
		size := w.Mul(w.Log(w.Add(w.Abs(x), k(1))), k(1/math.Log(wide)))
		x = w.Where(w.Less(x, k(0)), w.Neg(size), size)
		return w.Transpose(w.mlp(s.At(name), w.Cast(x, w.Target.Compute)), 0, 3, 1, 2) // [1,heads,Q,grid]
	}
	x, y := of(0, "boxRPB_embed_x"), of(1, "boxRPB_embed_y")
	sum := w.Add(w.Reshape(y, d1, n, q, g, d1), w.Reshape(x, d1, n, q, d1, g))
	return w.PadAxes(w.Reshape(sum, d1, n, q, onnx.D(w.cells())), onnx.Zeros, []int{0, 0, 1, 0}, []int{0, 0, 0, 0})
}

// score compares objects [1,Q,d] with the mean of the prompt's tokens [1,T,d] that are known: [1,Q].
func (w *writer) score(s *weights.Scope, found, text, known *onnx.Value) *onnx.Value {
	x := text
	layers := s.At("prompt_mlp.layers")
	n := s.Count("prompt_mlp.layers")
	for i := range n {
		if x = w.linear(layers.Index(i), x); i < n-1 {
			x = w.Relu(x)
		}
	}
	x = w.norm(s.At("prompt_mlp.out_norm"), w.Add(x, text))
	weight := w.Unsqueeze(known, 2)
	x = w.Div(w.ReduceSum(w.Mul(x, weight), true, 1), w.Max(w.ReduceSum(weight, true, 1), w.Const(1)))
	y := w.MatMul(w.linear(s.At("hs_proj"), found), w.Transpose(w.linear(s.At("prompt_proj"), x), 0, 2, 1))
	y = w.Clip(w.Mul(y, w.Const(float32(1/math.Sqrt(float64(w.d))))), -12, 12)
	return w.Reshape(y, d1, y.Dim(1))
}

// masks are the mask logits [1,Q,h,h] of objects.
func (w *writer) masks(s *weights.Scope, levels []*onnx.Value, memory, found, text, keys *onnx.Value) *onnx.Value {
	x := w.Add(memory, w.attend(s.At("cross_attend_prompt"), w.norm(s.At("cross_attn_norm"), memory), text, text, onnx.Attention{KeyMask: keys}))
	var lower []*onnx.Value // the levels that are added, the smallest first
	side := w.grid
	if w.multiplex {
		lower = []*onnx.Value{levels[1], levels[0]}
	} else { // the first quarter of the tokens stands for the level of half the sides, as upstream has it
		side /= 2
		x = w.Slice(x, 1, 0, side*side)
		lower = []*onnx.Value{levels[2], levels[1], levels[0]}
	}
	x = w.spatial(x, side)
	for i, level := range lower {
		x = w.conv(s.At("pixel_decoder.conv_layers").Index(i), w.Add(level, w.UpsampleNearest(x, 2)), 1, 1)
		x = w.Relu(w.GroupNorm(s.At("pixel_decoder.norms").Index(i), x, 8, epsilon))
	}
	x = w.conv(s.At("instance_seg_head"), x, 1, 0)
	h := x.Dim(2)
	y := w.MatMul(w.mlp(s.At("mask_predictor.mask_embed"), found), w.Reshape(x, d1, onnx.D(w.d), h.Times(h)))
	return w.Reshape(y, d1, y.Dim(1), h, h)
}
