package wan

import (
	"fmt"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// controls are the control layers of a network.
type controls struct {
	// vace is the number of blocks for control videos and of the channels that they read; each acts after a block of the
	// network.
	vace, vaceChannels int
	// camera is the number of channels of the camera's rays in one pixel, 0 without.
	camera int
	// pose is the number of channels of a pose video whose tokens follow, masks that of the masks of identities, 0 without.
	pose, masks int
	voice
	music
	speech
	face
}

const unshuffle = 8 // pixels per latent cell

// readControls reads the parts of the file beside the network.
func (n *network) readControls() error {
	s := weights.NewScope(n.src)
	n.controls = controls{
		vace: s.Count("vace_blocks"), vaceChannels: dim(s, "vace_patch_embedding.weight", 1), camera: dim(s, "control_adapter.conv.weight", 1) / (unshuffle * unshuffle),
		pose: dim(s, "patch_embedding_pose.weight", 1), masks: dim(s, "patch_embedding_mask.weight", 1), voice: voiceOf(s), music: musicOf(s), speech: speechOf(s), face: faceOf(s),
	}
	if n.vaceChannels > 0 && (n.vace == 0 || n.vace > n.blocks) {
		return fmt.Errorf("it has %d blocks for control videos and %d in all", n.vace, n.blocks)
	}
	return nil
}

// The keys of control videos in a conditioning entry.
const (
	keyVACEFrames   = "vace_frames"
	keyVACEMask     = "vace_mask"
	keyVACEStrength = "vace_strength"
	keyCamera       = "camera_conditions"
)

// controlInputs adds what steers the network.
func (m *model) controlInputs(l *inputList) error {
	if m.camera > 0 {
		rays, err := l.value(keyCamera)
		if err != nil {
			return err
		}
		if rays != nil {
			if len(rays.Shape) != 5 || rays.Dim(1) != m.camera {
				return fmt.Errorf("reading a conditioning entry: its %s have shape %v, wanted [batch, %d, frames, height, width]", keyCamera, rays.Shape, m.camera)
			}
			l.add(inputCamera, rays)
		}
	}
	switch {
	case m.vaceChannels > 0:
		return m.vaceInputs(l)
	case m.pose > 0:
		return m.poseInputs(l)
	case m.audio > 0:
		return m.voiceInputs(l)
	case m.kind.form == formAnimate2:
		return m.branchInputs(l)
	case m.kind.form == formDancer:
		return m.musicInputs(l)
	case m.kind.form == formS2V:
		return m.speechInputs(l)
	case m.kind.form == formAnimate:
		return m.faceInputs(l)
	}
	return nil
}

// vaceInputs adds the control videos [N,C,T,H,W] and their strengths: latents, of parts to keep and to make, and masks of pixels.
// Upstream: WAN21_Vace.extra_conds.
func (m *model) vaceInputs(l *inputList) error {
	frames, err := sampling.Tensors(l.cond, keyVACEFrames)
	if err != nil {
		return err
	}
	masks, err := sampling.Tensors(l.cond, keyVACEMask)
	if err != nil {
		return err
	}
	strengths, err := numbers(l.cond, keyVACEStrength)
	if err != nil {
		return err
	}
	each := m.kind.format.Channels
	shape := append([]int{l.request.Shape[0], 2 * each}, l.request.Shape[2:]...)
	if len(frames) == 0 {
		frames = []*tensor.Tensor{tensor.New(shape...)}
	}
	values := tensor.New(len(frames))
	for i, t := range frames {
		if len(t.Shape) != 5 || t.Dim(1)%each != 0 || t.Dim(1) == 0 || t.Dim(2) != shape[2] || t.Dim(3) != shape[3] || t.Dim(4) != shape[4] {
			return fmt.Errorf("reading a conditioning entry: %d of its %s has shape %v, the latent %v: both have to be of one size and length", i, keyVACEFrames, t.Shape, shape)
		}
		var parts []*tensor.Tensor
		for from := 0; from < t.Dim(1); from += each {
			parts = append(parts, m.kind.format.In(channelRange(t, from, from+each)))
		}
		mask := tensor.New(append([]int{t.Dim(0), unshuffle * unshuffle}, t.Shape[2:]...)...)
		for k := range mask.Data {
			mask.Data[k] = 1
		}
		if len(masks) > 0 {
			if i >= len(masks) || len(masks[i].Shape) != 5 || masks[i].Len() != masks[i].Dim(1)*t.Len()/t.Dim(1) {
				return fmt.Errorf("reading a conditioning entry: its %s do not fit its %s", keyVACEMask, keyVACEFrames)
			}
			mask = masks[i]
		}
		t = dit.Channels(append(parts, mask)...)
		if t.Dim(1) != m.vaceChannels {
			return fmt.Errorf("reading a conditioning entry: its %s and %s have %d channels, the model reads %d", keyVACEFrames, keyVACEMask, t.Dim(1), m.vaceChannels)
		}
		l.add(inputVACE(i), t)
		values.Data[i] = 1
		if i < len(strengths) {
			values.Data[i] = strengths[i]
		}
	}
	l.list = append(l.list, sampling.Input{Name: inputStrength, Value: values, Rule: sampling.Shared})
	return nil
}

// numbers returns the numbers in a list of an entry.
func numbers(c *sampling.Cond, key string) ([]float32, error) {
	list, err := sampling.Value[[]any](c, key)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(list))
	for i, v := range list {
		f, ok := v.(float64)
		if !ok {
			return nil, fmt.Errorf("reading a conditioning entry: %d of its %s is of type %T, wanted a number", i, key, v)
		}
		out[i] = float32(f)
	}
	return out, nil
}

// controls adds what steers the network to a batch.
func (m *model) controls(b *batch) error {
	if rays := b.call.Inputs.Get(inputCamera); rays != nil {
		want := []int{b.call.X.Dim(0), m.camera, b.frames, unshuffle * side * b.grid.Height, unshuffle * side * b.grid.Width}
		if !tensor.SameShape(rays, &tensor.Tensor{Shape: want}) {
			return fmt.Errorf("the camera's rays have shape %v, wanted %v: the node that makes them has to have the size and length of the video", rays.Shape, want)
		}
		b.v.Camera = true
		b.add(inputCamera, rays)
	}
	if err := m.voiced(b); err != nil {
		return err
	}
	switch m.kind.form {
	case formAnimate2:
		return m.branch(b)
	case formDancer:
		return m.dance(b)
	case formS2V:
		return m.speaks(b)
	case formAnimate:
		return m.poses(b)
	}
	strengths := b.call.Inputs.Get(inputStrength)
	if m.vaceChannels == 0 || strengths == nil {
		return nil
	}
	b.v.VACE = strengths.Len()
	for i := range b.v.VACE {
		t, err := padded(b.call.Inputs.Get(inputVACE(i)))
		if err != nil {
			return err
		}
		if t.Dim(2) != b.frames {
			return fmt.Errorf("a control video has %d frames, the latent %d", t.Dim(2), b.frames)
		}
		b.add(inputVACE(i), t)
	}
	b.in = append(b.in, family.Floats(inputStrength, strengths))
	return nil
}

// steer adds the features of a camera's rays to the tokens of a video. Input: camera [B,C,F,16h,16w]. Upstream:
// WanCamAdapter.
func (w *writer) steer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !w.v.Camera {
		return x
	}
	rows, frames, h, width := onnx.Sym("B"), onnx.Sym("F"), onnx.Sym("h"), onnx.Sym("w")
	step, two := onnx.D(unshuffle), onnx.D(side)
	rays := dit.Input(w.Builder, inputCamera, rows, onnx.D(w.camera), frames, h.Times(two).Times(step), width.Times(two).Times(step))
	flat := w.Reshape(w.Transpose(rays, 0, 2, 1, 3, 4), rows.Times(frames), onnx.D(w.camera), h.Times(two), step, width.Times(two), step)
	y := w.Reshape(w.Transpose(flat, 0, 1, 3, 5, 2, 4), rows.Times(frames), onnx.D(w.camera*unshuffle*unshuffle), h.Times(two), width.Times(two))
	y = w.Conv2d(s.At("conv"), y, w.hidden, side, onnx.Window{Stride: side})
	for i := range s.Count("residual_blocks") {
		b := s.At("residual_blocks").Index(i)
		y = w.Conv2dAdd(b.At("conv2"), w.Relu(w.Conv2d(b.At("conv1"), y, w.hidden, 3, onnx.Window{Stride: 1, Pads: [4]int{1, 1, 1, 1}})), y, w.hidden, 3, onnx.Window{Stride: 1, Pads: [4]int{1, 1, 1, 1}})
	}
	tokens := w.ToTokens(y) // [B·F,h·w,C]
	return w.Add(x, w.Reshape(tokens, rows, frames.Times(h).Times(width), onnx.D(w.hidden)))
}

// video is one control video in the blocks.
type control struct{ tokens, strength *onnx.Value }

// controlVideos declares the control videos. x are the tokens of the video.
func (w *writer) controlVideos(s *weights.Scope, x *onnx.Value) []control {
	if w.v.VACE == 0 {
		return nil
	}
	strengths := w.Cast(w.Input(inputStrength, dtype.F32, onnx.D(w.v.VACE)), w.Target.Compute)
	list := make([]control, w.v.VACE)
	for i := range list {
		t := w.embed(s.At("vace_patch_embedding"), w.video(inputVACE(i), w.vaceChannels, "F", ""))
		list[i] = control{tokens: w.Add(w.Linear(s.At("vace_blocks.0.before_proj"), t, w.hidden), x), strength: w.Slice(strengths, 0, i, i+1)}
	}
	return list
}

// behind adds the features of control videos after block i. Upstream: VaceWanModel.
func (w *writer) behind(s *weights.Scope, i int, x *onnx.Value, list []control, c conditions) *onnx.Value {
	if len(list) == 0 {
		return x
	}
	step := w.blocks / w.vace
	if i%step != 0 || i/step >= w.vace {
		return x
	}
	b := s.At("vace_blocks." + strconv.Itoa(i/step))
	for k, v := range list {
		list[k].tokens = w.block(b, v.tokens, c)
		x = w.Add(x, w.Mul(w.Linear(b.At("after_proj"), list[k].tokens, w.hidden), v.strength))
	}
	return x
}
