package omnigen2

import (
	"math"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// double writes the blocks at s in which text and image have weights of their own, and returns the two joined. Text and image
// attend together, the image to itself as well. Upstream: ldm/boogu/model.py BooguDoubleStreamBlock.
func (n network) double(s *weights.Scope, text, image stream, time *onnx.Value) stream {
	joint := n.join([]stream{text, image})
	for i := range n.c.Double {
		b := s.Index(i)
		// zero are the four parts of a norm that the time modulates.
		zero := func(norm string) []*onnx.Value { return n.Chunks(n.Linear(b.At(norm, "linear"), time, 4*n.c.Dim), 4) }
		normed := func(norm string, x *onnx.Value, m []*onnx.Value) *onnx.Value {
			return n.ModulateRMS(b.At(norm, "norm"), x, nil, m[0], eps)
		}
		img1, img2, img3, txt1, txt2 := zero("img_norm1"), zero("img_norm2"), zero("img_norm3"), zero("instruct_norm1"), zero("instruct_norm2")
		x, y := image.x, text.x
		attended := n.attendTogether(b.At("img_instruct_attn"), normed("instruct_norm1", y, txt1), normed("img_norm1", x, img1), &joint.rope)
		self := n.attention(b.At("img_self_attn"), image, normed("img_norm3", x, img3))

		// feed adds the feed-forward layer of one kind, which reads the second norm of the tokens before attention.
		feed := func(kind string, x, before *onnx.Value, first, second []*onnx.Value) *onnx.Value {
			in := n.Add(n.Mul(n.Add(first[2], n.Const(1)), normed(kind+"_norm2", before, second)), second[1])
			out := n.feedForward(b.At(kind+"_feed_forward"), n.RMSNorm(b.At(kind+"_ffn_norm1"), in, eps))
			return n.Gated(x, n.RMSNorm(b.At(kind+"_ffn_norm2"), out, eps), n.Tanh(first[3]))
		}
		image.x = n.Gated(x, n.RMSNorm(b.At("img_attn_norm"), attended[1], eps), n.Tanh(img1[1]))
		image.x = n.Gated(image.x, n.RMSNorm(b.At("img_self_attn_norm"), self, eps), n.Tanh(img3[1]))
		image.x = feed("img", image.x, x, img1, img2)
		text.x = n.Gated(y, n.RMSNorm(b.At("instruct_attn_norm"), attended[0], eps), n.Tanh(txt1[1]))
		text.x = feed("instruct", text.x, y, txt1, txt2)
	}
	joint.x = n.Concat(1, text.x, image.x)
	return joint
}

// attendTogether is attention of text and image tokens with weights of their own.
func (n network) attendTogether(s *weights.Scope, text, image *onnx.Value, rope *nn.Rotary) []*onnx.Value {
	queries, keys := n.c.Heads*n.c.HeadDim, n.c.KVHeads*n.c.HeadDim
	p := s.At("processor")
	of := func(kind string, x *onnx.Value) nn.Stream {
		return nn.Stream{
			Q: n.HeadRMSNorm(s.At("norm_q"), n.Linear(p.At(kind+"_to_q"), x, queries), n.c.Heads, eps),
			K: n.HeadRMSNorm(s.At("norm_k"), n.Linear(p.At(kind+"_to_k"), x, keys), n.c.KVHeads, eps),
			V: n.Linear(p.At(kind+"_to_v"), x, keys),
		}
	}
	a := onnx.Attention{Heads: n.c.Heads, KVHeads: n.c.KVHeads, Scale: float32(1 / math.Sqrt(float64(n.c.HeadDim)))}
	y := n.JointAttention(a, rope, of("instruct", text), of("img", image))
	for i, kind := range []string{"instruct", "img"} {
		y[i] = n.Linear(s.At("to_out.0"), n.Linear(p.At(kind+"_out"), y[i], n.c.Dim), n.c.Dim)
	}
	return y
}
