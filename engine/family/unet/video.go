package unet

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// InputFrames are the numbers of the frames of one video, [frames], which networks with layers along a time axis read. All
// rows of a latent are the frames of one video.
const InputFrames = "frames"

// VideoPoints lists the points at which the graph of a network with a time axis applies patches.
var VideoPoints = append(Points[:len(Points):len(Points)], patch.TemporalSelfAttention, patch.TemporalCrossAttention)

// frameNumbers returns the value of the input InputFrames for the given number of frames.
func frameNumbers(n int) *tensor.Tensor {
	t := tensor.New(n)
	for i := range t.Data {
		t.Data[i] = float32(i)
	}
	return t
}

// videoFrames returns the frame numbers of each video of a batch of rows, [videos,frames].
func videoFrames(frames *tensor.Tensor, rows int) (*tensor.Tensor, error) {
	if frames == nil || frames.Len() == 0 || rows%frames.Len() != 0 {
		return nil, fmt.Errorf("%d rows are not whole videos", rows)
	}
	out := tensor.New(rows/frames.Len(), frames.Len())
	for i := range out.Dim(0) {
		copy(out.Index(i).Data, frames.Data)
	}
	return out, nil
}

// timing are the inputs of the layers along the time axis.
type timing struct {
	videos, frames onnx.Dim
	numbers        *onnx.Value // of the frames, [videos·frames]
	context        *onnx.Value // the encoding of the first frame of each video, [videos,T,dim]
}

// timeInputs declares the input for the numbers of the frames, of the given number of videos, and returns it with the number
// of rows.
func (u *Writer) timeInputs(videos onnx.Dim) onnx.Dim {
	f := onnx.Sym("F")
	numbers := u.Input(InputFrames, dtype.F32, videos, f)
	rows := videos.Times(f)
	u.time = &timing{videos: videos, frames: f, numbers: u.Reshape(numbers, rows)}
	return rows
}

// toVideo converts rows [videos·frames,C,H,W] to [videos,C,frames,H,W], fromVideo back.
func (u *Writer) toVideo(x *onnx.Value) *onnx.Value {
	v := u.Reshape(x, u.time.videos, u.time.frames, x.Dim(1), x.Dim(2), x.Dim(3))
	return u.Transpose(v, 0, 2, 1, 3, 4)
}

func (u *Writer) fromVideo(x *onnx.Value) *onnx.Value {
	v := u.Transpose(x, 0, 2, 1, 3, 4)
	return u.Reshape(v, u.time.videos.Times(u.time.frames), v.Dim(2), v.Dim(3), v.Dim(4))
}

// timeResBlock runs the residual block along the time axis that follows one in space (upstream: openaimodel.py
// VideoResBlock; Blattmann et al. 2023, arXiv:2311.15127) and mixes the two results.
func (u *Writer) timeResBlock(s *weights.Scope, x *onnx.Value) *onnx.Value {
	t := s.At("time_stack")
	v := u.toVideo(x)
	c := x.Dim(1).N
	h := u.timeConv(t.At("in_layers", "2"), u.GroupNormSiLU(t.At("in_layers", "0"), v, 32, 1e-5), c)
	e := u.Linear(t.At("emb_layers", "1"), u.emb, c)
	e = u.Transpose(u.Reshape(e, u.time.videos, u.time.frames, onnx.D(c)), 0, 2, 1)
	h = u.Add(h, u.Unsqueeze(e, 3, 4))
	h = u.timeConv(t.At("out_layers", "3"), u.GroupNormSiLU(t.At("out_layers", "0"), h, 32, 1e-5), c)
	return Mixed(u.Builder, s.At("time_mixer"), x, u.fromVideo(u.Add(h, v)))
}

// timeConv is a convolution of a video that keeps its sizes.
func (u *Writer) timeConv(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	kernel := [3]int{3, 1, 1}
	if k := s.Shape("weight"); len(k) == 5 {
		kernel = [3]int(k[2:])
	}
	return u.Conv3d(s, x, out, kernel, onnx.Same(kernel[:]...))
}

// timeBlock runs transformer block i along the time axis over tokens h [videos·frames,positions,C] and mixes the results
// (upstream: ldm/modules/attention.py SpatialVideoTransformer). emb [videos·frames,C] distinguishes the frames.
func (u *Writer) timeBlock(s *weights.Scope, i int, h, emb *onnx.Value) *onnx.Value {
	t := s.At("time_stack").Index(i)
	rows, positions, c := h.Dim(0), h.Dim(1), h.Dim(2)
	x := u.Reshape(u.Add(h, u.Unsqueeze(emb, 1)), u.time.videos, u.time.frames, positions, c)
	x = u.Reshape(u.Transpose(x, 0, 2, 1, 3), u.time.videos.Times(positions), u.time.frames, c)
	x = u.geglu(t.At("ff_in", "net"), u.LayerNorm(t.At("norm_in"), x, 1e-5), x)
	n := u.LayerNorm(t.At("norm1"), x, 1e-5)
	x = u.attention(patch.TemporalSelfAttention, t.At("attn1"), n, n, x)
	if t.Has("attn2.to_q.weight") {
		// One prompt serves all positions of a video: they are rows of one attention.
		flat := func(v *onnx.Value) *onnx.Value { return u.Reshape(v, u.time.videos, positions.Times(u.time.frames), c) }
		y := u.attention(patch.TemporalCrossAttention, t.At("attn2"), flat(u.LayerNorm(t.At("norm2"), x, 1e-5)), u.time.context, flat(x))
		x = u.ReshapeLike(y, x)
	}
	x = u.geglu(t.At("ff", "net"), u.LayerNorm(t.At("norm3"), x, 1e-5), x)
	x = u.Transpose(u.Reshape(x, u.time.videos, positions, u.time.frames, c), 0, 2, 1, 3)
	return Mixed(u.Builder, s.At("time_mixer"), h, u.Reshape(x, rows, positions, c))
}

// frameEmbedding embeds the numbers of the frames for a transformer of c channels, [videos·frames,C].
func (u *Writer) frameEmbedding(s *weights.Scope, c int) *onnx.Value {
	e := u.SiLU(u.Linear(s.At("0"), u.TimestepEmbedding(u.time.numbers, c), 4*c))
	return u.Linear(s.At("2"), e, c)
}

// firstContext returns the text encoding of the first frame of each video.
func (u *Writer) firstContext() *onnx.Value {
	c := u.Reshape(u.context, u.time.videos, u.time.frames, u.context.Dim(1), u.context.Dim(2))
	return u.Squeeze(u.Slice(c, 1, 0, 1), 1)
}

// Mixed returns sigmoid(f)·x + (1-sigmoid(f))·y with the factor f of scope s, "mix_factor" [1] (upstream:
// diffusionmodules/util.py AlphaBlender).
func Mixed(b *nn.Builder, s *weights.Scope, x, y *onnx.Value) *onnx.Value {
	first := share(b, s, ".alpha", func(alpha float64) float64 { return alpha })
	second := share(b, s, ".rest", func(alpha float64) float64 { return 1 - float64(float32(alpha)) })
	return b.Add(b.Mul(first, x), b.Mul(second, y))
}

// MixedSum is Mixed of x + y and x: x + sigmoid(f)·y.
func MixedSum(b *nn.Builder, s *weights.Scope, x, y *onnx.Value) *onnx.Value {
	return b.Add(x, b.Mul(share(b, s, ".alpha", func(alpha float64) float64 { return alpha }), y))
}

// share is f of the sigmoid of "mix_factor", computed with the weights, once.
func share(b *nn.Builder, s *weights.Scope, name string, f func(alpha float64) float64) *onnx.Value {
	r := s.Weight("mix_factor", 1)
	if r.Missing() {
		return b.Table(r)
	}
	e := weights.Compute(r.Name+name, []int{1}, weights.Computation{Op: "share" + name, Parts: []weights.Entry{r.Entry}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, r.Entry, from); err != nil {
			return err
		}
		for i, v := range dst {
			dst[i] = float32(f(1 / (1 + math.Exp(-float64(v)))))
		}
		return nil
	}})
	return b.Table(&weights.Ref{Name: r.Name + name, Entry: e})
}
