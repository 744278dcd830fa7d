package sam3

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// pointing describes the graph that makes the mask of one object.
type pointing struct {
	// mask has it read a mask, fused features of the image that went through the memory; otherwise the features are those of the image itself,
	// and fresh adds the embedding of an empty memory.
	mask, fused, fresh bool
}

// The labels of points.
const (
	labelNone     = -1
	labelNegative = 0
	labelPositive = 1
	labelCorner   = 2 // top left; the one after it is bottom right
	labels        = 5
)

// Names of the parts of the decoder for one object: SAM 3.1 has two decoders.
func (c config) single(name string) string {
	if c.multiplex {
		return "tracker.interactive_" + name
	}
	return "tracker." + name
}

// pyramid is where the features of the image for one object are made.
func (c config) pyramid() string {
	if c.multiplex {
		return vision + ".interactive_convs"
	}
	return vision + ".sam2_convs"
}

// emptyMemory is the embedding of an empty memory.
func (c config) emptyMemory() string {
	if c.multiplex {
		return "interactivity_no_mem_embed"
	}
	return "no_mem_embed"
}

// pointer is the graph that makes masks. Inputs: seen, coords [N,P,2] in 0…1, labels [N,P,5] (one where the label is -1, 0, …), zero [N,1,1], and mask
// [N,1,4·grid,4·grid] or fused [1,d,grid,grid]. Outputs: masks [N,4,4·grid,4·grid], quality [N,4], score [N,1] and pointer [N,d] of the first mask.
func (m *model) pointer(p pointing) family.Graph {
	return m.graph("segment object", p, func(w *writer, s *weights.Scope) {
		n, d, side := onnx.Sym("N"), onnx.D(w.d), onnx.D(4*w.grid)
		if !p.mask {
			n = d1
		}
		pyramid, seen, zero := s.At(w.pyramid()), w.seen(), w.in("zero", n, d1, d1)
		var x *onnx.Value
		if p.fused {
			x = w.in("fused", d1, d, onnx.D(w.grid), onnx.D(w.grid))
		} else {
			x = w.level(pyramid, seen, 2)
		}
		if p.fresh {
			empty := s.At("tracker").Weight(w.emptyMemory(), 1, 1, w.d)
			x = w.Add(x, w.Reshape(w.Add(w.Slice(zero, 0, 0, 1), w.Table(empty)), d1, d, d1, d1))
		}
		enc := s.At(w.single("sam_prompt_encoder"))
		sparse := w.pointTokens(enc, n)
		if p.mask {
			x = w.Add(x, w.maskFeatures(enc.At("mask_downscaling"), w.in("mask", n, d1, side, side)))
		} else {
			x = w.Add(x, w.Reshape(w.Add(zero, w.Table(enc.Weight("no_mask_embed.weight", 1, w.d))), d1, d, d1, d1))
		}
		dec := s.At(w.single("sam_mask_decoder"))
		masks := 4
		if table := dec.Shape("mask_tokens.weight"); len(table) == 2 {
			masks = table[0]
		}
		tokens := w.Add(zero, w.Table(w.joined("decoder tokens", dec.Weight("obj_score_token.weight", 1, w.d), dec.Weight("iou_token.weight", 1, w.d), dec.Weight("mask_tokens.weight", masks, w.d))))
		tokens, image := w.twoWay(dec.At("transformer"), w.Concat(1, tokens, sparse), w.tokens(x), w.Table(w.fourier(enc.At("pe_layer"))))
		score := w.mlp(dec.At("pred_obj_score_head"), w.Reshape(w.Slice(tokens, 1, 0, 1), n, d))
		quality := w.mlp(dec.At("iou_prediction_head"), w.Reshape(w.Slice(tokens, 1, 1, 2), n, d))
		var kernels []*onnx.Value
		for i := range masks {
			kernels = append(kernels, w.mlp(dec.At("output_hypernetworks_mlps").Index(i), w.Slice(tokens, 1, 2+i, 3+i)))
		}
		up := w.upscaled(dec, w.spatial(image, w.grid), pyramid, seen)
		w.out("masks", w.Reshape(w.MatMul(w.Concat(1, kernels...), w.Reshape(up, n, up.Dim(1), side.Times(side))), n, onnx.D(masks), side, side))
		w.out("quality", quality)
		w.out("score", score)
		w.out("pointer", w.objectPointer(s, w.Reshape(w.Slice(tokens, 1, 2, 3), n, d), score))
	})
}

// objectPointer describes the object of a token [N,d]; an object that is hidden (its score is not above 0) has an embedding instead.
func (w *writer) objectPointer(s *weights.Scope, token, score *onnx.Value) *onnx.Value {
	x := w.mlp(s.At(w.single("obj_ptr_proj")), token)
	return w.orHidden(s, x, score)
}

// orHidden is x [N,d] where score [N,1] is above 0, and the embedding of hidden objects elsewhere.
func (w *writer) orHidden(s *weights.Scope, x, score *onnx.Value) *onnx.Value {
	shown := w.Greater(score, w.Const(0))
	if w.multiplex {
		return w.Where(shown, x, w.linear(s.At("tracker.no_obj_ptr_linear"), x))
	}
	return w.Where(shown, x, w.Table(s.At("tracker").Weight("no_obj_ptr", 1, w.d)))
}

// joined are the rows of several tables.
func (w *writer) joined(name string, tables ...*weights.Ref) *weights.Ref {
	var list []weights.Entry
	n := 0
	for _, t := range tables {
		list = append(list, t.Entry)
		n += t.Entry.Shape[0]
		if t.Missing() {
			return t
		}
	}
	e, err := weights.Concat(0, list...)
	if err != nil { // which names the tables
		w.Fail("Concat", "%v", err)
	}
	e.Name = tables[0].Name + " " + name
	return &weights.Ref{Name: e.Name, Entry: e}
}

// fourier is the embedding [grid²,d] of the cells' places by random frequencies.
func (w *writer) fourier(s *weights.Scope) *weights.Ref {
	half := w.d / 2
	r := s.Weight("positional_encoding_gaussian_matrix", 2, half)
	if r.Missing() {
		return &weights.Ref{Name: r.Name, Entry: weights.Entry{Name: r.Name, Shape: []int{w.cells(), w.d}, Offset: -1}}
	}
	return w.computed(r, fmt.Sprintf("frequencies of places %d", w.grid), []int{w.cells(), w.d}, func(dst []float32, from int) error {
		matrix, err := weights.Float32s(r.Entry)
		for i := range dst {
			if err != nil {
				break
			}
			cell, k := (from+i)/w.d, (from+i)%w.d
			x, y := (float32(cell%w.grid)+0.5)/float32(w.grid), (float32(cell/w.grid)+0.5)/float32(w.grid)
			angle := 2 * math.Pi * float64((2*x-1)*matrix[k%half]+(2*y-1)*matrix[half+k%half])
			if k < half {
				dst[i] = float32(math.Sin(angle))
			} else {
				dst[i] = float32(math.Cos(angle))
			}
		}
		return err
	})
}

// pointTokens declares the inputs of points and embeds them: [N,P,d].
func (w *writer) pointTokens(s *weights.Scope, n onnx.Dim) *onnx.Value {
	count := onnx.Sym("P")
	at, kind := w.in("coords", n, count, onnx.D(2)), w.in("labels", n, count, onnx.D(labels))
	matrix := s.At("pe_layer").Weight("positional_encoding_gaussian_matrix", 2, w.d/2)
	two := w.Sub(w.Mul(at, w.Const(2)), w.Const(1))
	angles := w.Mul(w.MatMul(two, w.Table(matrix)), w.Const(2*math.Pi))
	x := w.Concat(2, w.Sin(angles), w.Cos(angles))
	x = w.Mul(x, w.Sub(w.Const(1), w.Slice(kind, 2, 0, 1))) // a label of -1 is no place
	tables := []*weights.Ref{s.Weight("not_a_point_embed.weight", 1, w.d)}
	for i := range labels - 1 {
		tables = append(tables, s.At("point_embeddings").Index(i).Weight("weight", 1, w.d))
	}
	return w.Add(x, w.MatMul(kind, w.Table(w.joined("labels", tables...))))
}

// maskFeatures makes features [N,d,grid,grid] of mask logits [N,1,4·grid,4·grid].
func (w *writer) maskFeatures(s *weights.Scope, x *onnx.Value) *onnx.Value {
	for i := range 2 {
		conv := s.Index(3 * i)
		x = w.ConvND(conv, x, rows(conv), []int{2, 2}, 1, onnx.WindowND{Stride: []int{2, 2}})
		x = w.Gelu(w.norm2d(s.Index(3*i+1), x), false)
	}
	return w.conv(s.Index(6), x, 1, 0)
}

// twoWay lets tokens [N,T,d] and the image [N or 1,grid²,d], at places [grid²,d], attend to each other.
func (w *writer) twoWay(s *weights.Scope, tokens, image, places *onnx.Value) (*onnx.Value, *onnx.Value) {
	x, keys := tokens, image
	at := func(v *onnx.Value) *onnx.Value { return w.Add(v, tokens) }
	placed := func(v *onnx.Value) *onnx.Value { return w.Add(v, places) }
	for i := range s.Count("layers") {
		l := s.At("layers").Index(i)
		if i == 0 {
			x = w.attend(l.At("self_attn"), x, x, x, onnx.Attention{})
		} else {
			q := at(x)
			x = w.Add(x, w.attend(l.At("self_attn"), q, q, x, onnx.Attention{}))
		}
		x = w.norm(l.At("norm1"), x)
		x = w.norm(l.At("norm2"), w.Add(x, w.attend(l.At("cross_attn_token_to_image"), at(x), placed(keys), keys, onnx.Attention{})))
		x = w.norm(l.At("norm3"), w.Add(x, w.linear(l.At("mlp.2"), w.Relu(w.linear(l.At("mlp.0"), x)))))
		keys = w.norm(l.At("norm4"), w.Add(keys, w.attend(l.At("cross_attn_image_to_token"), placed(keys), at(x), x, onnx.Attention{})))
	}
	y := w.attend(s.At("final_attn_token_to_image"), at(x), placed(keys), keys, onnx.Attention{})
	return w.norm(s.At("norm_final"), w.Add(x, y)), keys
}

// upscaled enlarges features [N,d,grid,grid] four times, with the finer levels of the pyramid: [N,d/8,4·grid,4·grid].
func (w *writer) upscaled(s *weights.Scope, x *onnx.Value, pyramid *weights.Scope, seen *onnx.Value) *onnx.Value {
	up := s.At("output_upscaling")
	x = w.Add(w.enlarge(up.Index(0), x), w.conv(s.At("conv_s1"), w.level(pyramid, seen, 1), 1, 0))
	x = w.Gelu(w.norm2d(up.Index(1), x), false)
	return w.Gelu(w.Add(w.enlarge(up.Index(3), x), w.conv(s.At("conv_s0"), w.level(pyramid, seen, 0), 1, 0)), false)
}
