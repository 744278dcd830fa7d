package wan

import (
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The names of the inputs of Wan Animate 2, and the keys of a conditioning entry that they come from.
const (
	inputPoseText    = "context_pose"       // the text that the branch of the pose video reads
	inputPoseImage   = "image_pose"         // the encoded image that it reads
	inputPoseScale   = "pose_strength"      // the factor of the pose video's values
	inputPersonScale = "reference_strength" // by what those of the reference image are

	keyPoseText    = "cross_attn_pose"
	keyPoseImage   = "clip_vision_output_pose"
	keyPoseScale   = inputPoseScale
	keyPersonScale = inputPersonScale
)

// branchInputs adds the inputs of a pose video's branch. Upstream: WAN_Animate2.extra_conds.
func (m *model) branchInputs(l *inputList) error {
	pose, err := l.value(keyPose)
	if err != nil {
		return err
	}
	if pose != nil {
		if len(pose.Shape) != 5 || pose.Dim(1) != m.out || pose.Len() == 0 {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels", keyPose, pose.Shape, m.out)
		}
		const axis, skip = 2, 1 // the first frame of the latent is the reference image
		z := l.request.Format.In(pose)
		l.list = append(l.list, sampling.Input{Name: inputPose, Value: dit.Channels(known(z), z), Rule: sampling.ByFramesFrom(axis, 1, skip)})
	}
	text, err := l.value(keyPoseText)
	if err != nil {
		return err
	}
	if text != nil {
		if len(text.Shape) != 3 || text.Dim(2) != m.text || text.Len() == 0 {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a text encoding of width %d", keyPoseText, text.Shape, m.text)
		}
		l.add(inputPoseText, text)
	}
	image, err := m.encodedImage(l, keyPoseImage)
	if err != nil {
		return err
	}
	if image != nil {
		l.add(inputPoseImage, image)
	}
	for _, name := range []string{keyPoseScale, keyPersonScale} {
		if err := l.number(name, name); err != nil {
			return err
		}
	}
	return nil
}

// number adds a number of an entry, if there is one.
func (l *inputList) number(name, key string) error {
	if _, ok := l.cond.Values[key]; !ok {
		return nil
	}
	v, err := sampling.Value[float64](l.cond, key)
	if err == nil {
		l.list = append(l.list, sampling.Input{Name: name, Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(v)}}, Rule: sampling.Shared})
	}
	return err
}

// branch adds the inputs of a pose video's branch to a batch; the positions of its tokens follow those of the video.
func (m *model) branch(b *batch) error {
	in := b.call.Inputs
	if scale := in.Get(inputPersonScale); scale != nil {
		b.v.PersonScale, b.v.Frames = true, b.frames
		b.add(inputPersonScale, scale)
	}
	pose := in.Get(inputPose)
	if pose == nil {
		return nil
	}
	if err := sameSides("the pose video", pose, b.call.X); err != nil {
		return err
	}
	if pose.Dim(2) != b.frames-1 {
		return fmt.Errorf("the pose video has %d latent frames, wanted %d: one less than the latent, whose first frame is the reference image", pose.Dim(2), b.frames-1)
	}
	pose, err := padded(pose)
	if err != nil {
		return err
	}
	b.v.Pose, b.v.Frames = true, b.frames
	b.add(inputPose, pose)
	b.sizes["Fp"] = pose.Dim(2)
	b.places = places(b.places, pose.Dim(2), b.grid, 1, dit.Rotary{ScaleT: 1, ScaleY: 1, ScaleX: 1, ShiftX: float64(b.grid.Width)})
	text := in.Get(inputPoseText)
	if text == nil {
		text = in.Get(sampling.InputContext)
	}
	b.sizes["Tp"] = text.Dim(1)
	b.in = append(b.in, family.Floats(inputPoseText, text))
	image := in.Get(inputPoseImage)
	if image == nil {
		image = in.Get(inputImage)
	}
	if image != nil {
		b.v.PoseImage = image.Dim(1)
		b.add(inputPoseImage, image)
	}
	if scale := in.Get(inputPoseScale); scale != nil {
		b.v.PoseScale = true
		b.add(inputPoseScale, scale)
	}
	return nil
}

// branchOf begins the branch of a pose video: its tokens [B,Sp,C], and what its blocks are given. Inputs: pose [B,36,Fp,2h,2w],
// context_pose [B,Tp,C'], image_pose [B,V,C”].
func (w *writer) branchOf(s *weights.Scope, c *conditions) (*onnx.Value, conditions) {
	rows := onnx.Sym("B")
	tokens := w.embed(s.At("patch_embedding"), w.video(inputPose, w.channels, "Fp", ""))
	p := conditions{rope: w.partOf(c.rope, tokens.Dim(1), true), text: w.twoLayers(s.At("text_embedding"), dit.Input(w.Builder, inputPoseText, rows, onnx.Sym("Tp"), onnx.D(w.text)))}
	// It is modulated as at timestep 1, at all steps.
	one := w.Add(w.Mul(c.timesteps, w.Scalar(dtype.F32, 0)), w.Scalar(dtype.F32, 1))
	p.embedded, p.time = w.embedTimes(s, one)
	switch {
	case w.v.PoseImage > 0:
		p.image = w.imageTokens(s.At("img_emb"), dit.Input(w.Builder, inputPoseImage, rows, onnx.D(w.v.PoseImage), onnx.D(w.vision)))
	case w.vision > 0:
		p.image = p.text
	}
	return tokens, p
}

// branchTimes is the input of a pose video's blocks if a cache has their values, which have one row.
func (w *writer) branchTimes(s *weights.Scope, c *conditions) conditions {
	size := onnx.Sym("h").Times(onnx.Sym("w"))
	p := conditions{rope: w.partOf(c.rope, w.frames("Fp").Times(size), true)}
	first := w.Slice(w.Add(w.Mul(c.timesteps, w.Scalar(dtype.F32, 0)), w.Scalar(dtype.F32, 1)), 0, 0, 1)
	p.embedded, p.time = w.embedTimes(s, first)
	return p
}

// partOf returns the given number of first or last tokens of rotary tables.
func (w *writer) partOf(r *nn.Rotary, tokens onnx.Dim, last bool) *nn.Rotary {
	from, to := onnx.D(0), tokens
	if last {
		to = r.Cos.Dim(1)
		from = to.Minus(tokens)
	}
	cut := func(x *onnx.Value) *onnx.Value {
		return w.Declare(w.SliceDims(x, 1, from, to), onnx.Shape{x.Dim(0), tokens, x.Dim(2)})
	}
	return &nn.Rotary{Cos: cut(r.Cos), Sin: cut(r.Sin), Interleaved: r.Interleaved}
}

// keysValues are the keys, turned, and the values of tokens.
func (w *writer) keysValues(s *weights.Scope, x *onnx.Value, rope *nn.Rotary) (k, v *onnx.Value) {
	return w.Rotate(w.project(s, "k", "norm_k", x), rope, w.heads()), w.Linear(s.At("v"), x, w.hidden)
}

// scaleOf is the number of an input.
func (w *writer) scaleOf(name string) *onnx.Value {
	return w.Cast(w.Input(name, dtype.F32, onnx.D(1)), w.Target.Compute)
}

// blocksWithPose writes the blocks of Wan Animate 2: the tokens of a frame attend to those of the video and of the same frame of the pose video,
// which pass through the same blocks. Upstream: WanAnimate2Model.
func (w *writer) blocksWithPose(s *weights.Scope, x *onnx.Value, c conditions) *onnx.Value {
	var pose *onnx.Value
	var p conditions
	var poseScale, personScale *onnx.Value
	if w.v.Pose {
		if w.v.Cached {
			p = w.branchTimes(s, &c)
		} else {
			pose, p = w.branchOf(s, &c)
		}
		c.rope = w.partOf(c.rope, x.Dim(1), false)
		if w.v.PoseScale {
			poseScale = w.scaleOf(inputPoseScale)
		}
	}
	if w.v.PersonScale {
		personScale = w.scaleOf(inputPersonScale)
	}
	for i := range w.blocks {
		b := s.At("blocks").Index(i)
		var keys, values *onnx.Value
		switch {
		case w.v.Cached && w.v.Pose:
			keys, values = w.cachedKeys(b, i, p, x.Dim(0))
		case pose != nil:
			next := w.blockBy(b, pose, p, func(s *weights.Scope, y *onnx.Value) *onnx.Value {
				keys, values = w.keysValues(s, y, p.rope)
				q := w.Rotate(w.project(s, "q", "norm_q", y), p.rope, w.heads())
				return w.Linear(s.At("o"), w.Attend(q, keys, values, w.attention()), w.hidden)
			})
			if i+1 < w.blocks { // of the last block the keys and values alone are read
				pose = next
			}
		}
		if values != nil && poseScale != nil {
			values = w.Mul(values, poseScale)
		}
		if slices.Contains(w.v.Skip, i) {
			continue
		}
		x = w.blockBy(b, x, c, func(s *weights.Scope, y *onnx.Value) *onnx.Value {
			return w.attendFrames(s, y, c.rope, keys, values, personScale)
		})
	}
	return x
}

// attendFrames is attention of each frame to all frames, and to the keys and values of its own of the pose video, if there is one: the first frame is
// the reference image.
func (w *writer) attendFrames(s *weights.Scope, x *onnx.Value, rope *nn.Rotary, keys, values, personScale *onnx.Value) *onnx.Value {
	k, v := w.keysValues(s, x, rope)
	q := w.Rotate(w.project(s, "q", "norm_q", x), rope, w.heads())
	size := onnx.Sym("h").Times(onnx.Sym("w"))
	frame := func(x *onnx.Value, i int) *onnx.Value {
		return w.Declare(w.SliceDims(x, 1, size.Times(onnx.D(i)), size.Times(onnx.D(i+1))), onnx.Shape{x.Dim(0), size, x.Dim(2)})
	}
	if personScale != nil {
		rest := w.SliceDims(v, 1, size, v.Dim(1))
		v = w.Declare(w.Concat(1, w.Mul(frame(v, 0), personScale), rest), v.Shape)
	}
	if keys == nil {
		return w.Linear(s.At("o"), w.Attend(q, k, v, w.attention()), w.hidden)
	}
	list := make([]*onnx.Value, w.v.Frames)
	for i := range list {
		kk, vv := k, v
		if i > 0 {
			kk, vv = w.Concat(1, k, frame(keys, i-1)), w.Concat(1, v, frame(values, i-1))
		}
		list[i] = w.Attend(frame(q, i), kk, vv, w.attention())
	}
	return w.Linear(s.At("o"), w.Declare(w.Concat(1, list...), x.Shape), w.hidden)
}
