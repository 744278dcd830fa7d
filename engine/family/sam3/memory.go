package sam3

import (
	"math"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// tracking is where the features of the image that tracking reads are made.
func (c config) tracking() string {
	if c.multiplex {
		return vision + ".propagation_convs"
	}
	return vision + ".sam2_convs"
}

// ropeWidth is the width of a head in the attention to the memory.
func (c config) ropeWidth() int { return c.d / c.memoryHeads() }

func (c config) memoryHeads() int {
	if c.multiplex {
		return heads
	}
	return 1
}

// recall is the graph in which a frame attends to what is remembered of others. Inputs: seen, places [1,grid²,d], cosines and sines, spatial
// [B,F·grid²,memory], pointers [B,P·slots,d], times [P,d] of the pointers, in SAM 3 spatial places [B,F·grid²,memory], and in SAM 3.1 images and image
// places [1,F·grid²,d]. Output: fused [B,d,grid,grid].
func (m *model) recall() family.Graph {
	return m.graph("segment memory", nil, func(w *writer, s *weights.Scope) {
		b, frames, pointers := d1, onnx.Sym("F"), onnx.Sym("P") // SAM 3 follows one object at a time
		if w.multiplex {
			b = onnx.Sym("B")
		}
		d, cells, mem := onnx.D(w.d), onnx.D(w.cells()), onnx.D(w.memory)
		rope := w.rotary("", w.grid, w.ropeWidth())
		image := w.tokens(w.level(s.At(w.tracking()), w.seen(), 2))
		c := cross{frames: frames}
		spatial := w.in("spatial", b, frames.Times(cells), mem)
		ptr := w.in("pointers", b, pointers.Times(onnx.D(w.slots)), d)
		each := w.slots * w.d / w.memory // tokens of a pointer's frame
		ptr = w.Reshape(ptr, b, pointers.Times(onnx.D(each)), mem)
		times := w.linear(s.At("tracker.obj_ptr_tpos_proj"), w.in("times", pointers, d))
		times = w.Reshape(w.Expand(w.Reshape(times, pointers, d1, mem), pointers, onnx.D(each), mem), d1, pointers.Times(onnx.D(each)), mem)
		c.memory = w.Concat(1, spatial, ptr)
		if w.multiplex {
			c.images, c.places = w.in("images", d1, frames.Times(cells), d), w.Concat(1, w.in("image places", d1, frames.Times(cells), d), times)
			image = w.Expand(image, b, cells, d)
		} else {
			c.keys = w.Concat(1, w.Add(spatial, w.in("spatial places", b, frames.Times(cells), mem)), w.Add(ptr, times))
		}
		x := w.Add(image, w.Mul(w.in("places", d1, cells, d), w.Const(0.1)))
		at := s.At("tracker.transformer.encoder")
		for i := range at.Count("layers") {
			l := at.At("layers").Index(i)
			if w.multiplex {
				x = w.recallApart(l, x, image, rope, c)
			} else {
				x = w.recallTogether(l, x, rope, c)
			}
		}
		w.out("fused", w.spatial(w.norm(at.At("norm"), x), w.grid))
	})
}

// cross is what a frame attends to: the memory as values [B,M,memory], of frames whole frames and then pointers, and as keys; or, in SAM 3.1, the frames'
// features and the places of all tokens.
type cross struct {
	frames                       onnx.Dim
	memory, keys, images, places *onnx.Value
}

// rotated turns the keys [B,M,d] of whole frames by their places, and leaves the pointers.
func (w *writer) rotated(k *onnx.Value, rope *nn.Rotary, c cross) *onnx.Value {
	spatial := c.frames.Times(onnx.D(w.cells()))
	parts := w.SplitDims(k, 1, spatial, k.Dim(1).Minus(spatial))
	d := onnx.D(w.d)
	x := w.Reshape(parts[0], k.Dim(0).Times(c.frames), onnx.D(w.cells()), d)
	x = w.Reshape(w.Rotate(x, rope, w.memoryHeads()), k.Dim(0), spatial, d)
	return w.Concat(1, x, parts[1])
}

func (w *writer) recallAttention() onnx.Attention {
	return onnx.Attention{Heads: w.memoryHeads(), Scale: float32(1 / math.Sqrt(float64(w.ropeWidth())))}
}

// recallTogether is a layer of SAM 3.
func (w *writer) recallTogether(s *weights.Scope, x *onnx.Value, rope *nn.Rotary, c cross) *onnx.Value {
	a := w.recallAttention()
	own, other := s.At("self_attn"), s.At("cross_attn_image")
	y := w.norm(s.At("norm1"), x)
	q, k := w.Rotate(w.linear(own.At("q_proj"), y), rope, a.Heads), w.Rotate(w.linear(own.At("k_proj"), y), rope, a.Heads)
	x = w.Add(x, w.linear(own.At("out_proj"), w.Attend(q, k, w.linear(own.At("v_proj"), y), a)))
	q = w.Rotate(w.linear(other.At("q_proj"), w.norm(s.At("norm2"), x)), rope, a.Heads)
	k = w.rotated(w.linear(other.At("k_proj"), c.keys), rope, c)
	x = w.Add(x, w.linear(other.At("out_proj"), w.Attend(q, k, w.linear(other.At("v_proj"), c.memory), a)))
	return w.feedForward(s, x)
}

// recallApart is a layer of SAM 3.1, which compares the frames' features beside what is remembered.
func (w *writer) recallApart(s *weights.Scope, x, image *onnx.Value, rope *nn.Rotary, c cross) *onnx.Value {
	a := w.recallAttention()
	y := w.norm(s.At("norm1"), x)
	q, k := w.Rotate(w.linear(s.At("self_attn_q_proj"), y), rope, a.Heads), w.Rotate(w.linear(s.At("self_attn_k_proj"), y), rope, a.Heads)
	x = w.Add(x, w.linear(s.At("self_attn_out_proj"), w.Attend(q, k, w.linear(s.At("self_attn_v_proj"), y), a)))
	q = w.Add(w.linear(s.At("image_cross_attn_q_proj"), image), w.linear(s.At("cross_attn_q_proj"), w.norm(s.At("norm2"), x)))
	spatial := c.frames.Times(onnx.D(w.cells()))
	zeros := w.Mul(w.SliceDims(c.places, 1, spatial, c.places.Dim(1)), w.Const(0)) // pointers have no features
	seen := w.linear(s.At("image_cross_attn_k_proj"), w.Concat(1, c.images, zeros))
	k = w.Add(w.Add(seen, w.linear(s.At("cross_attn_k_proj"), c.memory)), c.places)
	k = w.rotated(k, rope, c)
	q = w.Rotate(q, rope, a.Heads)
	x = w.Add(x, w.linear(s.At("cross_attn_out_proj"), w.Attend(q, k, w.linear(s.At("cross_attn_v_proj"), c.memory), a)))
	y = w.Gelu(w.linear(s.At("linear1"), w.norm(s.At("norm3"), x)), false)
	return w.LinearAdd(s.At("linear2"), y, x, w.d)
}

// remember is the graph of what is remembered of a frame: seen, masks [B,C,16·grid,16·grid], where C is 1, or twice the slots in SAM 3.1, and hidden
// [B,slots], 1 for objects that do not show, to memory [B,grid²,memory] and image [1,grid²,d].
func (m *model) remember() family.Graph {
	return m.graph("segment remember", nil, func(w *writer, s *weights.Scope) {
		b, side := onnx.Sym("B"), onnx.D(16*w.grid)
		channels := 1
		if w.multiplex {
			channels = 2 * w.slots
		}
		mem := s.At("tracker.maskmem_backbone")
		image := w.level(s.At(w.tracking()), w.seen(), 2)
		down := mem.At("mask_downsampler.encoder")
		x := w.in("masks", b, onnx.D(channels), side, side)
		for i := range 4 {
			x = w.Gelu(w.norm2d(down.Index(3*i+1), w.conv(down.Index(3*i), x, 2, 1)), false)
		}
		x = w.Add(w.conv(mem.At("pix_feat_proj"), image, 1, 0), w.conv(down.Index(12), x, 1, 0))
		for i := range mem.Count("fuser.layers") {
			x = w.fuse(mem.At("fuser.layers").Index(i), x)
		}
		if !w.multiplex {
			x = w.conv(mem.At("out_proj"), x, 1, 0)
		}
		hidden := s.At("tracker").Weight("no_obj_embed_spatial", w.slots, w.memory)
		y := w.MatMul(w.in("hidden", b, onnx.D(w.slots)), w.Table(hidden))
		w.out("memory", w.Add(w.tokens(x), w.Unsqueeze(y, 1)))
		w.out("image", w.tokens(image))
	})
}

// fuse is a block of ConvNeXt.
func (w *writer) fuse(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const kernel = 7
	y := w.ConvND(s.At("dwconv"), x, w.d, []int{kernel, kernel}, w.d, onnx.Same(kernel, kernel))
	y = w.norm(s.At("norm"), w.Transpose(y, 0, 2, 3, 1))
	y = w.linear(s.At("pwconv2"), w.Gelu(w.linear(s.At("pwconv1"), y), false))
	y = w.Mul(y, w.Table(s.Weight("gamma", w.d)))
	return w.Add(x, w.Transpose(y, 0, 3, 1, 2))
}

// propagate is the graph that makes the masks of a group of objects from the memory alone, in SAM 3.1. Inputs: seen, fused [B,d,grid,grid], valid [B,slots,1]
// (1 for a slot with an object), zero [B,1,1]. Outputs: masks [B,slots,3,4·grid,4·grid], quality [B,slots,3], score [B,slots,1] and pointer [B,slots,d].
func (m *model) propagate() family.Graph {
	return m.graph("segment group", nil, func(w *writer, s *weights.Scope) {
		const masks = 3
		b, d, slots, side := onnx.Sym("B"), onnx.D(w.d), onnx.D(w.slots), onnx.D(4*w.grid)
		t, dec := s.At("tracker"), s.At("tracker.sam_mask_decoder")
		valid, zero := w.in("valid", b, slots, d1), w.in("zero", b, d1, d1)
		kind := w.Add(w.Mul(valid, w.Table(t.Weight("output_valid_embed", w.slots, w.d))),
			w.Mul(w.Sub(w.Const(1), valid), w.Table(t.Weight("output_invalid_embed", w.slots, w.d))))
		own := w.Reshape(w.Add(zero, w.Table(dec.Weight("mask_tokens.weight", w.slots*masks, w.d))), b, slots, onnx.D(masks), d)
		own = w.Reshape(w.Add(own, w.Unsqueeze(kind, 2)), b, onnx.D(w.slots*masks), d)
		tokens := w.Add(zero, w.Table(w.joined("group tokens", dec.Weight("obj_score_token.weight", w.slots, w.d), dec.Weight("iou_token.weight", w.slots, w.d))))
		places := w.Table(w.fourier(t.At("image_pe_layer")))
		tokens, image := w.twoWay(dec.At("transformer"), w.Concat(1, tokens, own), w.tokens(w.in("fused", b, d, onnx.D(w.grid), onnx.D(w.grid))), places)
		parts := w.Split(tokens, 1, w.slots, w.slots, w.slots*masks)
		up := w.upscaled(dec, w.spatial(image, w.grid), s.At(w.tracking()), w.seen())
		each := w.Split(w.Reshape(parts[2], b, slots, onnx.D(masks), d), 2, 1, 1, 1)
		var kernels []*onnx.Value
		for i, x := range each {
			kernels = append(kernels, w.mlp(dec.At("output_hypernetworks_mlps").Index(i), x))
		}
		k := w.Concat(2, kernels...)
		y := w.MatMul(w.Reshape(k, b, onnx.D(w.slots*masks), k.Dim(3)), w.Reshape(up, b, up.Dim(1), side.Times(side)))
		w.out("masks", w.Reshape(y, b, slots, onnx.D(masks), side, side))
		w.out("quality", w.mlp(dec.At("iou_prediction_head"), parts[1]))
		score := w.mlp(dec.At("pred_obj_score_head"), parts[0])
		w.out("score", score)
		x := w.mlp(s.At("tracker.obj_ptr_proj"), w.Reshape(each[0], b, slots, d))
		w.out("pointer", w.orHidden(s, x, score))
	})
}
