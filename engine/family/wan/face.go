package wan

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The names of the inputs of Wan 2.2 Animate, and the keys of a conditioning entry that they come from.
const (
	inputFace   = "face"   // frames of a face in -1…1 [N,3,T,H,W]
	inputMotion = "motion" // what its network makes of each [N,T,width]

	keyFace = "face_video_pixels"
)

const (
	// fusions is the number of blocks between two attentions of the tokens to the face, faceFrames the number of frames that the face's network
	// processes at once, stem the side of its last convolution's input.
	fusions, faceFrames, stem = 5, 8, 4
	leak                      = 0.2
)

// face is what Animate has to read a face.
type face struct {
	// expressions is the number of output values per frame of the face's network, spots the number of tokens that they become, shrinks the number
	// of its levels, each of which halves the size.
	expressions, spots, shrinks int
}

const (
	faceApp     = "motion_encoder.enc.net_app.convs"
	faceEncoder = "face_encoder"
)

func faceOf(s *weights.Scope) face {
	f := face{expressions: dim(s, "motion_encoder.dec.direction.weight", 0), shrinks: s.Count(faceApp) - 2}
	if width := dim(s, faceEncoder+".conv2.conv.weight", 1); width > 0 {
		f.spots = dim(s, faceEncoder+".conv1_local.conv.weight", 0) / width
	}
	return f
}

// faceInputs adds a pose video and a face. Upstream: WAN22_Animate.extra_conds.
func (m *model) faceInputs(l *inputList) error {
	const axis, perFrame, skip = 2, 4, 1 // the first frame of the latent is the reference image
	pose, err := l.value(keyPose)
	if err != nil {
		return err
	}
	if pose != nil {
		if len(pose.Shape) != 5 || pose.Dim(1) != m.out || pose.Len() == 0 {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels", keyPose, pose.Shape, m.out)
		}
		l.list = append(l.list, sampling.Input{Name: inputPose, Value: l.request.Format.In(pose), Rule: sampling.ByFramesFrom(axis, 1, skip)})
	}
	pixels, err := l.value(keyFace)
	if err != nil || pixels == nil {
		return err
	}
	if side := stem << m.shrinks; len(pixels.Shape) != 5 || pixels.Dim(1) != 3 || pixels.Dim(2) == 0 || pixels.Dim(3) != side || pixels.Dim(4) != side {
		return fmt.Errorf("reading a conditioning entry: its %s has shape %v, the model reads faces of %dx%d pixels", keyFace, pixels.Shape, side, side)
	}
	l.list = append(l.list, sampling.Input{Name: inputFace, Value: pixels, Rule: sampling.ByFramesFrom(axis, perFrame, skip)})
	return nil
}

// poses adds a pose video to a batch: its frames belong to those of the latent after the first one.
func (m *model) poses(b *batch) error {
	pose := b.call.Inputs.Get(inputPose)
	if pose == nil {
		return nil
	}
	if err := sameSides("the pose video", pose, b.call.X); err != nil {
		return err
	}
	n := min(pose.Dim(2), b.frames-1)
	first := tensor.New(pose.Dim(0), pose.Dim(1), 1, pose.Dim(3), pose.Dim(4))
	parts := []*tensor.Tensor{first, firstFrames(pose, n)}
	if rest := b.frames - 1 - n; rest > 0 {
		parts = append(parts, tensor.New(pose.Dim(0), pose.Dim(1), rest, pose.Dim(3), pose.Dim(4)))
	}
	laid, err := padded(joinFrames(parts...))
	if err != nil {
		return err
	}
	b.v.Pose = true
	b.add(inputPose, laid)
	tokens := b.grid.Tokens()
	has := tensor.New(1, b.frames*tokens, 1)
	for i := tokens; i < (n+1)*tokens; i++ {
		has.Data[i] = 1
	}
	b.add("pose_frames", has)
	return nil
}

// watch runs the face's network and adds its result for the frames to a batch.
func (m *model) watch(ctx context.Context, run family.Runner, b *batch) error {
	pixels := b.call.Inputs.Get(inputFace)
	if pixels == nil {
		return nil
	}
	if pixels.Dim(0) != b.call.X.Dim(0) {
		return fmt.Errorf("%d videos of faces for %d rows", pixels.Dim(0), b.call.X.Dim(0))
	}
	motion, err := m.expressionsOf(ctx, run, pixels)
	if err != nil {
		return err
	}
	// Two convolutions halve the number of frames; those after the last one that they read have no effect.
	latents := (motion.Dim(1)-1)/pace + 1
	cut := tensor.New(motion.Dim(0), pace*(latents-1)+1, m.expressions)
	for row := range motion.Dim(0) {
		copy(cut.Index(row).Data, motion.Index(row).Data)
	}
	b.v.Face = true
	b.add(inputMotion, cut)
	b.sizes["L"] = latents
	list := make([]int64, b.frames) // frame 0 of the face's result is empty, and so are missing frames
	for i := range list {
		if i <= latents {
			list[i] = int64(i)
		}
	}
	b.in = append(b.in, family.Ints("face_frames", list, len(list)))
	return nil
}

// seen is the result of the face's network for the last faces, which are the same for all steps.
type seen struct {
	key    [sha256.Size]byte
	motion *tensor.Tensor
}

// expressionsOf runs the face's network on frames [N,3,T,H,W] to [N,T,width].
func (m *model) expressionsOf(ctx context.Context, run family.Runner, pixels *tensor.Tensor) (*tensor.Tensor, error) {
	key := digestOf(pixels)
	m.faces.Lock()
	for _, s := range m.watched {
		if s.key == key && s.motion.Dim(0) == pixels.Dim(0) {
			m.faces.Unlock()
			return s.motion, nil
		}
	}
	m.faces.Unlock()
	n, frames := pixels.Dim(0), pixels.Dim(2)
	out := tensor.New(n, frames, m.expressions)
	g := m.faceGraph(pixels.Dim(3))
	if err := run.Check("reading the face", m.activations.Of(g, map[string]int{"N": min(faceFrames, frames)})); err != nil {
		return nil, err
	}
	for row := range n {
		images := cutImagesOf(pixels, row)
		for from := 0; from < frames; from += faceFrames {
			to := min(from+faceFrames, frames)
			y, err := run.Run(ctx, g, []family.Value{family.Floats("x", images.Slice(from, to))}, "out")
			if err != nil {
				return nil, err
			}
			copy(out.Index(row).Data[from*m.expressions:], y["out"].Data)
		}
	}
	m.faces.Lock()
	defer m.faces.Unlock()
	const most = 4 // positive and negative, alone and together
	if len(m.watched) == most {
		m.watched = m.watched[1:]
	}
	m.watched = append(m.watched, seen{key, out})
	return out, nil
}

func digestOf(x *tensor.Tensor) [sha256.Size]byte {
	h := sha256.New()
	var buf [4096]byte
	for i := 0; i < len(x.Data); {
		n := 0
		for ; n < len(buf) && i < len(x.Data); n, i = n+4, i+1 {
			binary.LittleEndian.PutUint32(buf[n:], math.Float32bits(x.Data[i]))
		}
		h.Write(buf[:n])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// cutImagesOf are the frames [T,C,H,W] of a row of x [N,C,T,H,W].
func cutImagesOf(x *tensor.Tensor, row int) *tensor.Tensor {
	out := tensor.New(x.Dim(2), x.Dim(1), x.Dim(3), x.Dim(4))
	size := x.Dim(3) * x.Dim(4)
	for c := range x.Dim(1) {
		for f := range x.Dim(2) {
			copy(out.Data[(f*x.Dim(1)+c)*size:][:size], x.Data[((row*x.Dim(1)+c)*x.Dim(2)+f)*size:])
		}
	}
	return out
}

// faceGraph is the face's network for square images of a side.
func (m *model) faceGraph(side int) family.Graph {
	return family.Graph{Part: "unet face", Variant: family.Digest(side), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("wan face", m.src, func(b *nn.Builder, s *weights.Scope) {
			w := &writer{Builder: b, network: m.network}
			dit.Output(b, "out", w.expressionsFrom(s, dit.Input(b, "x", onnx.Sym("N"), onnx.D(3), onnx.D(side), onnx.D(side))))
		})
	}}
}

// expressionsFrom writes the face's network: images [N,3,H,H] to [N,expressions]. Upstream: Generator.get_motion.
func (w *writer) expressionsFrom(s *weights.Scope, x *onnx.Value) *onnx.Value {
	app := s.At(faceApp)
	last := w.shrinks + 1
	x = w.activated(app.At("0.0"), app.At("0.1"), x, 1)
	for i := 1; i < last; i++ {
		r := app.Index(i)
		y := w.activated(r.At("conv1.0"), r.At("conv1.1"), x, 1)
		y = w.activated(r.At("conv2.1"), r.At("conv2.2"), w.blurred(r.At("conv2.0"), y, 2), 2)
		y = w.Add(y, w.equal(r.At("skip.1"), nil, w.blurred(r.At("skip.0"), x, 1), 2))
		x = w.Mul(y, w.Const(float32(1/math.Sqrt2)))
	}
	x = w.equal(app.Index(last), nil, x, 0)
	x = w.Reshape(x, x.Dim(0), x.Dim(1))
	fc := s.At("motion_encoder.enc.fc")
	for i := range fc.Count("") {
		l := fc.Index(i)
		scale := float32(1 / math.Sqrt(float64(x.Dim(1).N)))
		x = w.Linear(l, w.Mul(x, w.Const(scale)), dim(l, "weight", 0))
	}
	return w.MatMulT(x, w.Table(directions(s.At("motion_encoder.dec.direction").Weight("weight", w.expressions, x.Dim(1).N))))
}

// equal is a convolution whose weights are divided by the square root of the fan-in, with the bias of scope b if there is one. pad 0 is a convolution
// over all of x, 1 one that keeps the size, 2 one that halves it.
func (w *writer) equal(s, b *weights.Scope, x *onnx.Value, pad int) *onnx.Value {
	kernel, out := dim(s, "weight", 3), dim(s, "weight", 0)
	window := onnx.Window{Stride: 1}
	switch {
	case pad == 1 && kernel > 1:
		window.Pads = [4]int{1, 1, 1, 1}
	case pad == 2:
		window.Stride = 2
	}
	var bias *onnx.Value
	if b != nil {
		bias = w.shaped(b.Weight("bias", 1, out, 1, 1), out)
	}
	// The factor is a part of the weight: ONNX Runtime would move it there before there are weights.
	return w.Graph.Conv(x, w.Table(fanned(s.Weight("weight", out, x.Dim(1).N, kernel, kernel))), bias, 1, window)
}

// fanned is a weight divided by the square root of its fan-in.
func fanned(r *weights.Ref) *weights.Ref {
	if r.Missing() {
		return r
	}
	e := r.Entry
	scale := float32(1 / math.Sqrt(float64(tensor.Count(e.Shape[1:]))))
	out := weights.Compute(r.Name+".fanned", e.Shape, weights.Computation{Op: "fanned", DType: dtype.F32, Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i := range dst {
			dst[i] *= scale
		}
		return nil
	}})
	return &weights.Ref{Name: out.Name, Entry: out}
}

// activated is a convolution with a bias, a leaky ReLU, and a factor of the root of two.
func (w *writer) activated(s, b *weights.Scope, x *onnx.Value, pad int) *onnx.Value {
	return w.Mul(w.LeakyRelu(w.equal(s, b, x, pad), leak), w.Const(math.Sqrt2))
}

// blurred convolves each channel of x [N,C,H,W] with the kernel of scope s, with the given zero padding.
func (w *writer) blurred(s *weights.Scope, x *onnx.Value, pad int) *onnx.Value {
	r := s.Weight("kernel", dim(s, "kernel", 0), dim(s, "kernel", 1))
	flat := w.Reshape(x, x.Dim(0).Times(x.Dim(1)), onnx.D(1), x.Dim(2), x.Dim(3))
	y := w.Graph.Conv(flat, w.Table(turnedRound(r)), nil, 1, onnx.Window{Stride: 1, Pads: [4]int{pad, pad, pad, pad}})
	return w.Reshape(y, x.Dim(0), x.Dim(1), y.Dim(2), y.Dim(3))
}

// turnedRound is a kernel as a convolution takes it, by 180 degrees.
func turnedRound(r *weights.Ref) *weights.Ref {
	if r.Missing() {
		return r
	}
	e := r.Entry
	shape := append([]int{1, 1}, e.Shape...)
	out := weights.Compute(r.Name+".turned", shape, weights.Computation{Op: "turned", DType: e.DType, Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		all, err := weights.Float32s(e)
		if err != nil {
			return err
		}
		for i := range dst {
			dst[i] = all[len(all)-1-from-i]
		}
		return nil
	}})
	return &weights.Ref{Name: out.Name, Entry: out}
}

// directions are orthonormal directions that span those of a weight [rows,columns]: Q of its QR decomposition. Upstream: Direction.
func directions(r *weights.Ref) *weights.Ref {
	if r.Missing() {
		return r
	}
	e := r.Entry
	rows, columns := e.Shape[0], e.Shape[1]
	out := weights.Compute(r.Name+".directions", e.Shape, weights.Computation{Op: "directions", DType: dtype.F32, Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		all, err := weights.Float32s(e)
		if err != nil {
			return err
		}
		q := orthonormal(all, rows, columns)
		for i := range dst {
			dst[i] = float32(q[from+i])
		}
		return nil
	}})
	return &weights.Ref{Name: out.Name, Entry: out}
}

// orthonormal is Q of the QR decomposition of a matrix with 1e-8 added on its diagonal, by Householder reflections with LAPACK's signs.
func orthonormal(values []float32, rows, columns int) []float64 {
	a := make([]float64, rows*columns)
	for i, v := range values {
		a[i] = float64(v)
		if i/columns == i%columns {
			a[i] = float64(v + 1e-8)
		}
	}
	reflections := make([][]float64, min(rows, columns))
	for k := range reflections {
		v := make([]float64, rows)
		norm := 0.0
		for i := k; i < rows; i++ {
			v[i] = a[i*columns+k]
			norm += v[i] * v[i]
		}
		v[k] += math.Copysign(math.Sqrt(norm), v[k])
		reflections[k] = v
		reflect(a, v, columns, k)
	}
	q := make([]float64, rows*columns)
	for i := range reflections {
		q[i*columns+i] = 1
	}
	for k := len(reflections) - 1; k >= 0; k-- {
		reflect(q, reflections[k], columns, 0)
	}
	return q
}

// reflect applies the reflection by v to the columns of a matrix, from one on.
func reflect(a, v []float64, columns, from int) {
	size := 0.0
	for _, x := range v {
		size += x * x
	}
	if size == 0 {
		return
	}
	for c := from; c < columns; c++ {
		dot := 0.0
		for i, x := range v {
			dot += x * a[i*columns+c]
		}
		for i, x := range v {
			a[i*columns+c] -= 2 * dot / size * x
		}
	}
}

// posed adds the tokens of a pose video to those of the video. Input: pose [B,16,F,2h,2w], pose_frames [1,S,1], 1 for the tokens of frames that it has.
func (w *writer) follows(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if w.form != formAnimate || !w.v.Pose {
		return x
	}
	pose := w.embed(s.At("pose_patch_embedding"), w.video(inputPose, w.out, "F", ""))
	return w.Add(x, w.Mul(pose, dit.Input(w.Builder, "pose_frames", onnx.D(1), x.Dim(1), onnx.D(1))))
}

// faceTokens are the tokens of the face for each frame [B·F,spots+1,C]. Inputs: motion [B,4·L-3,expressions], face_frames [F]. Upstream: FaceEncoder.
func (w *writer) faceTokens(s *weights.Scope) *onnx.Value {
	rows, frames, latents := onnx.Sym("B"), onnx.Sym("F"), onnx.Sym("L")
	x := w.Transpose(dit.Input(w.Builder, inputMotion, rows, latents.Times(onnx.D(pace)).Minus(onnx.D(pace-1)), onnx.D(w.expressions)), 0, 2, 1)
	width := dim(s, "conv2.conv.weight", 1)
	y := w.causal(s.At("conv1_local"), x, w.spots*width, 1)
	all := rows.Times(onnx.D(w.spots))
	y = w.Transpose(w.Reshape(y, all, onnx.D(width), y.Dim(2)), 0, 2, 1)
	y = w.halved(s, y, [2]int{dim(s, "conv2.conv.weight", 0), dim(s, "conv3.conv.weight", 0)})
	y = w.Linear(s.At("out_proj"), w.Declare(y, onnx.Shape{all, latents, y.Dim(2)}), w.hidden)
	y = w.Transpose(w.Reshape(y, rows, onnx.D(w.spots), latents, onnx.D(w.hidden)), 0, 2, 1, 3)
	padding := w.Expand(w.shaped(s.Weight("padding_tokens", 1, 1, 1, w.hidden), 1, 1, 1, w.hidden), rows, latents, onnx.D(1), onnx.D(w.hidden))
	y = w.PadAxes(w.Concat(2, y, padding), onnx.Zeros, []int{0, 1, 0, 0}, []int{0, 0, 0, 0})
	y = w.GatherAxis(y, w.Input("face_frames", dtype.I64, frames), 1)
	return w.Reshape(y, rows.Times(frames), onnx.D(w.spots+1), onnx.D(w.hidden))
}

// looks adds the attention to the face to tokens after block i. Upstream: FaceBlock.
func (w *writer) looks(s *weights.Scope, i int, x *onnx.Value, c conditions) *onnx.Value {
	if c.face == nil || i%fusions != 0 {
		return x
	}
	f := s.At("face_adapter.fuser_blocks." + strconv.Itoa(i/fusions))
	size := onnx.Sym("h").Times(onnx.Sym("w"))
	q := w.HeadRMSNorm(f.At("q_norm"), w.Linear(f.At("linear1_q"), w.LayerNormPlain(x, epsilon), w.hidden), w.heads(), epsilon)
	kv := w.Linear(f.At("linear1_kv"), w.LayerNormPlain(c.face, epsilon), 2*w.hidden)
	k, v := w.Halves(kv)
	q = w.Reshape(q, onnx.Sym("B").Times(onnx.Sym("F")), size, onnx.D(w.hidden))
	y := w.Attend(q, w.HeadRMSNorm(f.At("k_norm"), k, w.heads(), epsilon), v, w.attention())
	return w.Add(x, w.Linear(f.At("linear2"), w.Reshape(y, x.Shape...), w.hidden))
}
