package wan

import (
	"fmt"
	"slices"

	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// The names of the inputs of SCAIL, and the keys of a conditioning entry that they come from.
const (
	inputRefs      = "refs"       // reference latents as frames [N,C,R,H,W], before those of the video or after them
	inputMasks     = "masks"      // masks of identities of all frames [N,C,F,H,W]
	inputPose      = "pose"       // the pose video [N,C,T,H,W]
	inputPoseMasks = "pose_masks" // masks of identities in it
	inputReplace   = "replace"    // 1 where persons of a video are replaced

	keyPose       = "pose_video_latent" // *tensor.Tensor [B,C,T,H,W]
	keyPoseMasks  = "driving_mask_28ch" // *tensor.Tensor [B,T,C,H,W]
	keyMasks      = "ref_mask_28ch"     // *tensor.Tensor [B,F,C,H,W], first those of reference latents
	keyMaskFlag   = "ref_mask_flag"     // bool, false where persons of a video are replaced
	givenChannels = maskChannels        // those of ones after the channels of the given frames
	aside         = 120                 // the offsets of a pose video's positions from those of the video, and of references if persons are replaced
)

// ownConcat is the input of the channels after the latent for models that compute their own, or nil for other models.
func (m *model) ownConcat(l *inputList) (*sampling.Input, error) {
	switch {
	case m.kind.form == formHuMo:
		return &sampling.Input{Name: inputConcat, Value: silentFrames(l.request.Shape), Rule: sampling.ByCells}, nil
	case m.kind.form == formSCAIL2 && m.channels-m.out == maskChannels: // frames that are given, by the noise mask
		mask, err := m.givenFrames(l)
		return &sampling.Input{Name: inputConcat, Value: mask, Rule: sampling.ByCells}, err
	}
	return nil, nil
}

// known is x [N,C,T,H,W] with channels of ones after its own.
func known(x *tensor.Tensor) *tensor.Tensor {
	ones := tensor.New(append([]int{x.Dim(0), givenChannels}, x.Shape[2:]...)...)
	for i := range ones.Data {
		ones.Data[i] = 1
	}
	return dit.Channels(x, ones)
}

// channelsFirst is x [N,T,C,H,W] as [N,C,T,H,W].
func channelsFirst(x *tensor.Tensor) *tensor.Tensor {
	n, t, c, size := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)*x.Dim(4)
	out := tensor.New(n, c, t, x.Dim(3), x.Dim(4))
	for b := range n {
		for f := range t {
			for ch := range c {
				copy(out.Data[((b*c+ch)*t+f)*size:][:size], x.Data[((b*t+f)*c+ch)*size:])
			}
		}
	}
	return out
}

// poseInputs adds reference latents, a pose video, and the masks of identities of both. Upstream: WAN21_SCAIL.extra_conds.
func (m *model) poseInputs(l *inputList) error {
	format := l.request.Format
	refs, err := sampling.References(l.cond, format)
	if err != nil {
		return err
	}
	for i, t := range refs {
		if len(t.Shape) != 5 || t.Dim(1) != m.out {
			return fmt.Errorf("reading a conditioning entry: %d of its %s has shape %v, wanted a video latent of %d channels", i, sampling.KeyReferences, t.Shape, m.out)
		}
		refs[i] = known(t)
		if err = sameSides("a reference latent", refs[i], refs[0]); err != nil {
			return err
		}
	}
	if len(refs) > 0 { // the first one comes next to the video
		l.add(inputRefs, joinFrames(append(slices.Clone(refs[1:]), refs[0])...))
	}
	pose, err := l.value(keyPose)
	if err != nil {
		return err
	}
	if pose != nil {
		if len(pose.Shape) != 5 || pose.Dim(1) != m.out || pose.Len() == 0 {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels", keyPose, pose.Shape, m.out)
		}
		l.frames(inputPose, known(format.In(pose)))
	}
	if m.masks == 0 {
		return nil
	}
	for _, k := range []struct{ key, input string }{{keyPoseMasks, inputPoseMasks}, {keyMasks, inputMasks}} {
		t, err := l.value(k.key)
		switch {
		case err != nil:
			return err
		case t == nil:
		case len(t.Shape) != 5 || t.Dim(2) != m.masks || t.Len() == 0:
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted masks of %d channels", k.key, t.Shape, m.masks)
		case k.input == inputMasks: // those of reference latents, with zeros after them
			l.add(k.input, channelsFirst(t))
		default:
			l.frames(k.input, channelsFirst(t))
		}
	}
	flag, err := sampling.Value[bool](l.cond, keyMaskFlag)
	if _, there := l.cond.Values[keyMaskFlag]; there && !flag && err == nil {
		l.list = append(l.list, sampling.Input{Name: inputReplace, Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{1}}, Rule: sampling.Shared})
	}
	return err
}

// frames adds a video, which has a frame for each of the latent's.
func (l *inputList) frames(name string, t *tensor.Tensor) {
	const axis = 2
	l.list = append(l.list, sampling.Input{Name: name, Value: t, Rule: sampling.ByFrames(axis)})
}

// posed adds a pose video and masks of identities to a batch, and the positions of all tokens. Upstream: SCAILWanModel.rope_encode.
func (m *model) posed(b *batch, r dit.Rotary) error {
	in, refs := b.call.Inputs, 0
	if t := in.Get(inputRefs); t != nil {
		refs = t.Dim(2)
		b.before = refs * b.grid.Tokens()
	}
	if masks := in.Get(inputMasks); masks != nil {
		if masks.Dim(2) > b.frames { // of a part of the video
			masks = firstFrames(masks, b.frames)
		}
		if err := m.addMasks(b, inputMasks, masks, b.frames, b.grid); err != nil {
			return err
		}
		b.v.Masks = true
	}
	start := float64(refs)
	if in.Get(inputReplace) != nil {
		start = float64(max(refs-1, 0))
		b.places = places(b.places, refs, b.grid, 0, dit.Rotary{ScaleX: 1, ScaleY: 1, ScaleT: 1, ShiftY: aside})
		b.places = places(b.places, b.frames-refs, b.grid, start, r)
	} else {
		b.places = places(b.places, b.frames, b.grid, 0, r)
	}
	pose := in.Get(inputPose)
	if pose == nil {
		return nil
	}
	pose, err := padded(pose)
	if err != nil {
		return err
	}
	grid := dit.GridOf(pose.Shape, side)
	scaleY, scaleX := float64(b.call.X.Dim(3))/float64(pose.Dim(3)), float64(b.call.X.Dim(4))/float64(pose.Dim(4))
	b.places = places(b.places, pose.Dim(2), grid, start, dit.Rotary{ScaleT: 1, ScaleY: scaleY, ScaleX: scaleX, ShiftY: (scaleY - 1) / 2, ShiftX: aside + (scaleX-1)/2})
	b.v.Pose = true
	b.sizes["Fp"], b.sizes["hp"], b.sizes["wp"] = pose.Dim(2), grid.Height, grid.Width
	b.add(inputPose, pose)
	if masks := in.Get(inputPoseMasks); masks != nil {
		b.v.PoseMasks = true
		return m.addMasks(b, inputPoseMasks, masks, pose.Dim(2), grid)
	}
	return nil
}

// addMasks adds masks of identities, which must have the size of their video or image.
func (m *model) addMasks(b *batch, name string, masks *tensor.Tensor, frames int, g dit.Grid) error {
	if masks.Dim(0) != b.call.X.Dim(0) || masks.Dim(2) != frames || !covers(masks, g) {
		return fmt.Errorf("masks of identities have shape %v, their video %d frames of %dx%d tokens: both have to be of one size and length", masks.Shape, frames, g.Width, g.Height)
	}
	masks, err := padded(masks)
	if err == nil {
		b.add(name, masks)
	}
	return err
}

// firstFrames are the first n frames of x [N,C,T,H,W].
func firstFrames(x *tensor.Tensor, n int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), n, x.Dim(3), x.Dim(4))
	each, kept := tensor.Count(x.Shape[2:]), tensor.Count(out.Shape[2:])
	for i := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[i*kept:(i+1)*kept], x.Data[i*each:])
	}
	return out
}

// covers reports whether a video, padded to whole patches, has the given number of patches.
func covers(x *tensor.Tensor, g dit.Grid) bool {
	return (x.Dim(3)+side-1)/side == g.Height && (x.Dim(4)+side-1)/side == g.Width
}
