package rtdetr

import (
	"math"

	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// writer writes the graph. Images are [B,C,H,W], tokens [B,N,C].
type writer struct {
	*nn.Builder
	*model
}

// write writes the network. Input: images [B,3,640,640]; outputs: logits [B,300,classes] and boxes [B,300,4].
func (w writer) write(s *weights.Scope) {
	x := dit.Input(w.Builder, "images", onnx.Sym("B"), onnx.D(rgb), onnx.D(side), onnx.D(side))
	logits, boxes := w.decoder(s.At("decoder"), w.encoder(s.At("encoder"), w.backbone(s.At("backbone"), x)))
	dit.Output(w.Builder, "logits", logits)
	dit.Output(w.Builder, "boxes", boxes)
}

// backbone writes the convolutions that see the image and returns the last three resolutions. Upstream: HGNetv2.
func (w writer) backbone(s *weights.Scope, x *onnx.Value) []*onnx.Value {
	stem := s.At("stem")
	x = w.padded(w.active(stem.At("stem1"), x, 2))
	y := w.padded(w.active(stem.At("stem2a"), x, 1))
	y = w.active(stem.At("stem2b"), y, 1)
	x = w.active(stem.At("stem4"), w.active(stem.At("stem3"), w.Concat(1, w.pooled(x), y), 2), 1)
	var out []*onnx.Value
	for i := range levels + 1 {
		stage := s.At("stages").Index(i)
		if down := stage.At("downsample.conv"); down.Has("weight") {
			x = w.conv(down, x, 2)
		}
		for k := range min(stage.Count("blocks"), mostLayers) {
			y := w.block(stage.At("blocks").Index(k), x)
			if k > 0 {
				y = w.Add(y, x)
			}
			x = y
		}
		out = append(out, x)
	}
	return out[1:]
}

// block joins what a chain of convolutions makes. Upstream: _HG_Block.
func (w writer) block(s *weights.Scope, x *onnx.Value) *onnx.Value {
	parts := []*onnx.Value{x}
	for i := range min(s.Count("layers"), mostLayers) {
		if at := s.At("layers").Index(i); at.HasAny("conv1") {
			x = w.active(at.At("conv2"), w.conv(at.At("conv1.conv"), x, 1), 1)
		} else {
			x = w.active(at, x, 1)
		}
		parts = append(parts, x)
	}
	join := s.At("aggregation")
	return w.active(join.Index(1), w.active(join.Index(0), w.Concat(1, parts...), 1), 1)
}

// padded adds a row and a column of zeros behind x.
func (w writer) padded(x *onnx.Value) *onnx.Value { return w.Pad(x, 0, 0, 1, 1) }

// pooled are the greatest values of squares of two by two, one row and one column fewer.
func (w writer) pooled(x *onnx.Value) *onnx.Value {
	for axis := 2; axis < 4; axis++ {
		n := x.Dim(axis).N
		x = w.Max(w.Slice(x, axis, 0, n-1), w.Slice(x, axis, 1, n))
	}
	return x
}

// conv is the convolution at s, whose norm is a part of the weights by now, with as many zeros around x as keep the size for odd kernels.
func (w writer) conv(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	out, in, k := dim(s, 0), dim(s, 1), dim(s, 2)
	pad := (k - 1) / 2
	if in == 1 && x.Dim(1).N > 1 {
		return w.ConvND(s, x, out, []int{k, k}, x.Dim(1).N, onnx.WindowND{Stride: []int{stride, stride}, Before: []int{pad, pad}, After: []int{pad, pad}})
	}
	return w.Conv2d(s, x, out, k, onnx.Window{Stride: stride, Pads: [4]int{pad, pad, pad, pad}})
}

// active is the convolution below s and a ReLU.
func (w writer) active(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	return w.Relu(w.conv(s.At("conv"), x, stride))
}

// smooth is the convolution below s and a SiLU.
func (w writer) smooth(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.SiLU(w.conv(s.At("conv"), x, 1))
}

// dim is the size of an axis of the weight at s. A missing layer is reported when it is written.
func dim(s *weights.Scope, axis int) int {
	if shape := s.Shape("weight"); axis < len(shape) {
		return max(shape[axis], 1)
	}
	return 1
}

// encoder mixes the resolutions. Upstream: HybridEncoder.
func (w writer) encoder(s *weights.Scope, features []*onnx.Value) []*onnx.Value {
	for i := range features {
		features[i] = w.conv(s.At("input_proj").Index(i).At("conv"), features[i], 1)
	}
	last := features[levels-1]
	tokens := w.ToTokens(last)
	n := last.Dim(2).N
	places := w.Cast(w.Floats(positions(n, w.width), 1, n*n, w.width), last.DType)
	layers := s.At("encoder.0.layers")
	for i := range min(layers.Count(""), mostLayers) {
		at := layers.Index(i)
		q := w.Add(tokens, places)
		tokens = w.norm(at.At("norm1"), w.Add(tokens, w.attend(at.At("self_attn"), q, tokens)))
		y := w.linear(at.At("linear2"), w.Gelu(w.linear(at.At("linear1"), tokens), false))
		tokens = w.norm(at.At("norm2"), w.Add(tokens, y))
	}
	top := w.FromTokens(tokens, last)
	down := []*onnx.Value{} // from the coarsest on
	for i := range levels - 1 {
		top = w.conv(s.At("lateral_convs").Index(i).At("conv"), top, 1)
		down = append(down, top)
		top = w.mix(s.At("fpn_blocks").Index(i), w.Concat(1, w.UpsampleNearest(top, 2), features[levels-2-i]))
	}
	out := []*onnx.Value{top}
	for i := range levels - 1 {
		scale := s.At("downsample_convs").Index(i).Index(0)
		y := w.conv(scale.At("cv2.conv"), w.conv(scale.At("cv1.conv"), out[i], 1), 2)
		out = append(out, w.mix(s.At("pan_blocks").Index(i), w.Concat(1, y, down[levels-2-i])))
	}
	return out
}

// positions are the places of n x n cells: sines and cosines of rows, then of columns. Upstream: _build_pe.
func positions(n, width int) []float32 {
	const base = 10000
	out := make([]float32, n*n*width)
	quarter := width / 4
	for i := range n * n {
		for k := range quarter {
			omega := float32(1 / math.Pow(base, float64(float32(k)/float32(quarter))))
			for part, at := range []int{i / n, i % n} {
				v := float64(float32(at) * omega)
				row := out[i*width+2*part*quarter:]
				row[k], row[quarter+k] = float32(math.Sin(v)), float32(math.Cos(v))
			}
		}
	}
	return out
}

// mix is a block of convolutions whose steps are all joined. Upstream: RepNCSPELAN4.
func (w writer) mix(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = w.smooth(s.At("cv1"), x)
	half := x.Dim(1).N / 2
	parts := w.Split(x, 1, half, half)
	for _, name := range []string{"cv2", "cv3"} {
		at := s.At(name)
		parts = append(parts, w.smooth(at.Index(1), w.partial(at.Index(0), parts[len(parts)-1])))
	}
	return w.smooth(s.At("cv4"), w.Concat(1, parts...))
}

// partial runs a chain of convolutions beside a short way. Upstream: CSPLayer.
func (w writer) partial(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := w.smooth(s.At("conv1"), x)
	for i := range min(s.Count("bottlenecks"), mostLayers) {
		y = w.smooth(s.At("bottlenecks").Index(i), y)
	}
	y = w.Add(y, w.smooth(s.At("conv2"), x))
	if last := s.At("conv3"); last.HasAny("conv") {
		y = w.smooth(last, y)
	}
	return y
}

func (w writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.LayerNorm(s, x, epsilon) }

func (w writer) linear(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.Linear(s, x, dim(s, 0)) }

// mlp are linear layers with a SiLU between them.
func (w writer) mlp(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := min(s.Count("layers"), mostLayers)
	for i := range n {
		if x = w.linear(s.At("layers").Index(i), x); i < n-1 {
			x = w.SiLU(x)
		}
	}
	return x
}

// attend is attention of q [B,N,C] to itself with values from x.
func (w writer) attend(s *weights.Scope, q, x *onnx.Value) *onnx.Value {
	y := w.Attention(w.linear(s.At("q_proj"), q), w.linear(s.At("k_proj"), q), w.linear(s.At("v_proj"), x), nil, heads)
	return w.linear(s.At("out_proj"), y)
}

// table is a weight of a shape that files may leave out for the values that it has in all published models.
func (w writer) table(s *weights.Scope, name string, values func() []float32, shape ...int) *onnx.Value {
	if s.Has(name) {
		return w.Table(s.Weight(name, shape...))
	}
	return w.Cast(w.Floats(values(), shape...), w.Target.Compute)
}

// decoder finds the objects in the features of the levels. Upstream: DFINETransformer.
func (w writer) decoder(s *weights.Scope, features []*onnx.Value) (logits, boxes *onnx.Value) {
	var tokens []*onnx.Value
	for i, x := range features {
		if at := s.At("input_proj").Index(i).At("conv"); at.Has("weight") {
			x = w.conv(at, x, 1)
		}
		tokens = append(tokens, w.ToTokens(x))
	}
	memory := w.Concat(1, tokens...)
	found, refs := w.begin(s, memory)
	return w.refine(s, w.values(memory), found, w.Sigmoid(refs))
}

// begin picks the cells that look most like objects: their features [B,queries,C] and boxes, as logits.
func (w writer) begin(s *weights.Scope, memory *onnx.Value) (found, refs *onnx.Value) {
	valid := w.table(s, "anchors"+validSuffix, func() []float32 { _, v := anchors(); return v }, 1, cells(), 1)
	table := w.table(s, "anchors"+tableSuffix, func() []float32 { b, _ := anchors(); return b }, cells(), 4)
	memory = w.norm(s.At("enc_output.norm"), w.linear(s.At("enc_output.proj"), w.Mul(memory, valid)))
	_, at := w.TopK(w.ReduceMax(w.linear(s.At("enc_score_head"), memory), false, 2), 1, queries)
	found = w.GatherElements(memory, w.Expand(w.Unsqueeze(at, 2), at.Dim(0), at.Dim(1), memory.Dim(2)), 1)
	return found, w.Add(w.mlp(s.At("enc_bbox_head"), found), w.Gather(table, at))
}

// values are the features of the levels for each head: [B·heads,C/heads,h,w].
func (w writer) values(memory *onnx.Value) []*onnx.Value {
	b, inner := memory.Dim(0), onnx.D(w.hidden/heads)
	x := w.Transpose(w.Reshape(memory, b, memory.Dim(1), onnx.D(heads), inner), 0, 2, 3, 1)
	x = w.Reshape(x, b.Times(onnx.D(heads)), inner, memory.Dim(1))
	var out []*onnx.Value
	from := 0
	for l := range levels {
		n := levelSide(l)
		out = append(out, w.Reshape(w.Slice(x, 2, from, from+n*n), x.Dim(0), inner, onnx.D(n), onnx.D(n)))
		from += n * n
	}
	return out
}

// refine moves the boxes in each layer by distributions of the distances of their sides. Upstream: TransformerDecoder.
func (w writer) refine(s *weights.Scope, values []*onnx.Value, x, refs *onnx.Value) (logits, boxes *onnx.Value) {
	const most, near = 10, 1e-5
	at := s.At("decoder")
	project := w.table(at, "project", func() []float32 { return distances(w.bins) }, w.bins)
	scaled := at // a file may have the scale in two places, of which upstream reads this one last
	if !at.Has("reg_scale") {
		scaled = s
	}
	scale := w.table(scaled, "reg_scale"+absSuffix, func() []float32 { return []float32{8} }, 1)
	var before, corners, first *onnx.Value
	for i := range w.layers {
		place := w.Clip(w.mlp(s.At("query_pos_head"), refs), -most, most)
		x = w.layer(at.At("layers").Index(i), values, x, refs, place)
		if i == 0 {
			r := w.Clip(refs, near, 1-near)
			r = w.Log(w.Div(r, w.Sub(w.Const(1), r)))
			first = w.Sigmoid(w.Add(w.mlp(s.At("pre_bbox_head"), x), r))
		}
		seen := x
		if before != nil {
			seen = w.Add(x, before)
		}
		moved := w.mlp(s.At("dec_bbox_head").Index(i), seen)
		if corners != nil {
			moved = w.Add(moved, corners)
		}
		before, corners = x, moved
		probabilities := w.Softmax(w.Reshape(corners, corners.Dim(0), corners.Dim(1), onnx.D(4), onnx.D(w.bins)), 3)
		refs = w.box(first, w.ReduceSum(w.Mul(probabilities, project), false, 3), scale)
		if i == w.layers-1 {
			logits = w.Add(w.linear(s.At("dec_score_head").Index(i), x), w.quality(at.At("lqe_layers").Index(i), probabilities))
		}
	}
	return logits, refs
}

// quality is what the probabilities [B,N,4,bins] of the sides say about a box: a summand of its scores. Upstream: LQE.
func (w writer) quality(s *weights.Scope, probabilities *onnx.Value) *onnx.Value {
	top, _ := w.TopK(probabilities, 3, best)
	top = w.Concat(3, top, w.ReduceMean(top, true, 3))
	return w.mlp(s.At("reg_conf"), w.Reshape(top, top.Dim(0), top.Dim(1), onnx.D(4*(best+1))))
}

// box moves the sides of boxes (center, width, height) by distances [B,N,4] to the left, up, right and down. Upstream: distance2bbox.
func (w writer) box(boxes, distances, scale *onnx.Value) *onnx.Value {
	half := w.Const(0.5)
	center, size := w.Slice(boxes, 2, 0, 2), w.Slice(boxes, 2, 2, 4)
	unit, base := w.Div(size, scale), w.Mul(size, half)
	low := w.Sub(center, w.Add(base, w.Mul(w.Slice(distances, 2, 0, 2), unit)))
	high := w.Add(center, w.Add(base, w.Mul(w.Slice(distances, 2, 2, 4), unit)))
	return w.Concat(2, w.Mul(w.Add(low, high), half), w.Sub(high, low))
}

// layer lets queries x [B,N,C] attend to each other and to places around their boxes refs. Upstream: TransformerDecoderLayer.
func (w writer) layer(s *weights.Scope, values []*onnx.Value, x, refs, place *onnx.Value) *onnx.Value {
	const most = 65504 // of float16
	x = w.norm(s.At("norm1"), w.Add(x, w.attend(s.At("self_attn"), w.Add(x, place), x)))
	y := w.look(s.At("cross_attn"), values, w.Add(x, place), refs)
	gates := w.Split(w.Sigmoid(w.linear(s.At("gateway.gate"), w.Concat(2, x, y))), 2, w.hidden, w.hidden)
	x = w.norm(s.At("gateway.norm"), w.Add(w.Mul(gates[0], x), w.Mul(gates[1], y)))
	y = w.linear(s.At("linear2"), w.Relu(w.linear(s.At("linear1"), x)))
	return w.norm(s.At("norm3"), w.Clip(w.Add(x, y), -most, most))
}

// look reads values at places that queries q predict around their boxes. Upstream: MSDeformableAttention.
func (w writer) look(s *weights.Scope, values []*onnx.Value, q, refs *onnx.Value) *onnx.Value {
	const reach = 0.5
	total := 0
	for _, n := range points {
		total += n
	}
	b, n, h, all := q.Dim(0), q.Dim(1), onnx.D(heads), onnx.D(total)
	shares := func() []float32 {
		var out []float32
		for _, n := range points {
			for range n {
				out = append(out, 1/float32(n))
			}
		}
		return out
	}
	offsets := w.Reshape(w.linear(s.At("sampling_offsets"), q), b, n, h, all, onnx.D(2))
	share := w.table(s, "num_points_scale"+columnSuffix, shares, total, 1)
	part := func(from int) *onnx.Value { return w.Unsqueeze(w.Slice(refs, 2, from, from+2), 2, 3) }
	offsets = w.Mul(w.Mul(w.Mul(offsets, share), part(2)), w.Const(reach))
	places := w.Sub(w.Mul(w.Add(part(0), offsets), w.Const(2)), w.Const(1))
	flat := b.Times(h)
	places = w.Reshape(w.Transpose(places, 0, 2, 1, 3, 4), flat, n, all, onnx.D(2))
	factors := w.Softmax(w.Reshape(w.linear(s.At("attention_weights"), q), b, n, h, all), 3)
	factors = w.Reshape(w.Transpose(factors, 0, 2, 1, 3), flat, onnx.D(1), n, all)
	var read []*onnx.Value
	from := 0
	for l, v := range values {
		read = append(read, w.GridSample(v, w.Slice(places, 2, from, from+points[l]), false, onnx.Zeros))
		from += points[l]
	}
	y := w.ReduceSum(w.Mul(w.Concat(3, read...), factors), false, 3)
	return w.Transpose(w.Reshape(y, b, onnx.D(w.hidden), n), 0, 2, 1)
}
