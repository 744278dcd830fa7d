package wan

import (
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// The names of the inputs beside the text encoding.
const (
	inputConcat   = "concat"        // channels after those of the latent
	inputImage    = "image"         // image encodings
	inputFurther  = "time_concat"   // frames after those of the video
	inputRef      = "ref"           // a reference latent [N,C,H,W]
	inputNoise    = "denoise_mask"  // the part of each frame that is to be made
	inputCamera   = "camera"        // the camera's rays
	inputStrength = "vace_strength" // of each control video
	maskChannels  = 4               // those of a mask of given frames
)

func inputContext(i int) string { return fmt.Sprint("context", i) }
func inputVACE(i int) string    { return fmt.Sprint("vace", i) }

// Inputs implements family.Denoiser. Upstream: model_base.py WAN21.extra_conds.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	l := &inputList{cond: c, request: r}
	l.add(sampling.InputContext, c.Tokens)
	for _, f := range []func(*inputList) error{m.concatInput, m.imageInput, m.frameInputs, m.controlInputs} {
		if err := f(l); err != nil {
			return nil, err
		}
	}
	return l.list, nil
}

// inputList gathers the inputs of an entry.
type inputList struct {
	cond    *sampling.Cond
	request sampling.Request
	list    []sampling.Input
}

func (l *inputList) add(name string, t *tensor.Tensor) {
	l.list = append(l.list, sampling.Input{Name: name, Value: t, Rule: sampling.ByRows})
}

// value is a tensor of the entry, nil without one.
func (l *inputList) value(key string) (*tensor.Tensor, error) {
	return sampling.Value[*tensor.Tensor](l.cond, key)
}

// addLatent adds a latent of the entry as the network reads it.
func (l *inputList) addLatent(name, key string) error {
	t, err := l.value(key)
	if t == nil || err != nil {
		return err
	}
	if len(t.Shape) != 5 || t.Dim(1) != l.request.Format.Channels || t.Len() == 0 {
		return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels", key, t.Shape, l.request.Format.Channels)
	}
	l.add(name, l.request.Format.In(t))
	return nil
}

// concatInput adds the channels that the network reads after those of the latent: an image or a control video, and a mask of
// given frames. Upstream: WAN21.concat_cond.
func (m *model) concatInput(l *inputList) error {
	shape := l.request.Shape
	extra := m.channels - m.out
	if extra == 0 || len(shape) != 5 {
		return nil
	}
	if list, err := m.ownConcat(l); list != nil || err != nil {
		if err == nil {
			l.list = append(l.list, *list)
		}
		return err
	}
	image, err := l.value(sampling.KeyConcatLatent)
	if err != nil {
		return err
	}
	if image == nil {
		image = tensor.New(shape[0], extra, shape[2], shape[3], shape[4])
	} else if image, err = m.fitted(image, l.request); err != nil {
		return err
	}
	if image.Dim(1)+maskChannels != extra && (!m.kind.fromImage || image.Dim(1) == extra) {
		if image.Dim(1) != extra {
			return fmt.Errorf("reading a conditioning entry: its %s has %d channels, the model reads %d beside the latent, or %d and a mask", sampling.KeyConcatLatent, image.Dim(1), extra, extra-maskChannels)
		}
		l.list = append(l.list, sampling.Input{Name: inputConcat, Value: image, Rule: sampling.ByCells})
		return nil
	}
	mask, err := m.givenFrames(l)
	if err != nil {
		return err
	}
	at, err := sampling.Value[int](l.cond, sampling.KeyConcatMaskIndex)
	if err != nil {
		return err
	}
	channels := channelRange(image, 0, min(image.Dim(1), max(extra-maskChannels, 0)))
	if at < 0 || at > channels.Dim(1) || channels.Dim(1)+maskChannels != extra {
		return fmt.Errorf("reading a conditioning entry: its %s has %d channels with the mask before channel %d, the model reads %d and a mask", sampling.KeyConcatLatent, channels.Dim(1), at, extra-maskChannels)
	}
	parts := []*tensor.Tensor{channelRange(channels, 0, at), mask, channelRange(channels, at, channels.Dim(1))}
	parts = slices.DeleteFunc(parts, func(t *tensor.Tensor) bool { return t.Dim(1) == 0 })
	l.list = append(l.list, sampling.Input{Name: inputConcat, Value: dit.Channels(parts...), Rule: sampling.ByCells})
	return nil
}

// channelRange is a part of the channels of x [N,C,…].
func channelRange(x *tensor.Tensor, from, to int) *tensor.Tensor {
	if from == 0 && to == x.Dim(1) {
		return x
	}
	out := tensor.New(append([]int{x.Dim(0), to - from}, x.Shape[2:]...)...)
	if to > from {
		for b := range x.Dim(0) {
			copy(out.Index(b).Data, x.Index(b).Data[from*tensor.Count(x.Shape[2:]):])
		}
	}
	return out
}

// fitted is an image latent, or several in a row of channels, as the network reads it, of the size of the latent.
func (m *model) fitted(x *tensor.Tensor, r sampling.Request) (*tensor.Tensor, error) {
	each := m.kind.format.Channels
	if len(x.Shape) != 5 || x.Dim(1) == 0 || x.Dim(1)%each != 0 || x.Dim(2) != r.Shape[2] || x.Len() == 0 {
		return nil, fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted %d frames of %d channels, or a multiple: it comes from the VAE of another family, or was made for another length",
			sampling.KeyConcatLatent, x.Shape, r.Shape[2], each)
	}
	x, err := sampling.FitLatent(x, []int{r.Shape[0], x.Dim(1), x.Dim(2), r.Shape[3], r.Shape[4]})
	if err != nil {
		return nil, err
	}
	parts := make([]*tensor.Tensor, x.Dim(1)/each)
	for i := range parts {
		parts[i] = m.kind.format.In(channelRange(x, i*each, (i+1)*each))
	}
	return dit.Channels(parts...), nil
}

// givenFrames returns the mask [N,4,T,H,W] of given frames, which are 1: the mask of the entry, or the inverted noise mask.
// Missing frames are not given.
func (m *model) givenFrames(l *inputList) (*tensor.Tensor, error) {
	shape := l.request.Shape
	mask, err := l.value(sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	if mask == nil {
		mask = l.request.Mask
	}
	out := tensor.New(shape[0], maskChannels, shape[2], shape[3], shape[4])
	if mask == nil {
		return out, nil
	}
	if len(mask.Shape) != 5 || mask.Len() == 0 || mask.Dim(2) > shape[2] {
		return nil, fmt.Errorf("reading the mask of given frames: shape %v does not fit latents of shape %v", mask.Shape, shape)
	}
	if mask.Dim(1) != maskChannels {
		mask = channelMean(mask)
	}
	given := tensor.New(mask.Shape...)
	for i, v := range mask.Data {
		given.Data[i] = 1 - v
	}
	if given.Dim(3) != shape[3] || given.Dim(4) != shape[4] {
		if given, err = imaging.Upscale(given, shape[4], shape[3], "bilinear", "center"); err != nil {
			return nil, fmt.Errorf("scaling the mask of given frames: %w", err)
		}
	}
	given = sampling.PickRows(given, shape[0])
	for b := range shape[0] {
		for ch := range maskChannels {
			copy(out.Index(b).Index(ch).Data, given.Index(b).Index(ch%given.Dim(1)).Data)
		}
	}
	return out, nil
}

// channelMean is the mean of the channels of x [N,C,…], as [N,1,…].
func channelMean(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(append([]int{x.Dim(0), 1}, x.Shape[2:]...)...)
	for b := range x.Dim(0) {
		to := out.Index(b).Data
		for i := range to {
			sum := 0.0
			for ch := range x.Dim(1) {
				sum += float64(x.Index(b).Data[ch*len(to)+i])
			}
			to[i] = float32(sum / float64(x.Dim(1)))
		}
	}
	return out
}

// imageInput adds the encoding of an image.
func (m *model) imageInput(l *inputList) error {
	if m.vision == 0 {
		return nil
	}
	t, err := m.encodedImage(l, sampling.KeyVisionOutput)
	if t != nil {
		l.add(inputImage, t)
	}
	return err
}

// encodedImage returns the image encoding [N,tokens,width] that the network reads, or nil if the entry has none.
func (m *model) encodedImage(l *inputList, key string) (*tensor.Tensor, error) {
	enc, err := sampling.Value[family.ImageEncoding](l.cond, key)
	if err != nil || enc.Last == nil && enc.Penultimate == nil && enc.Embeds == nil {
		return nil, err
	}
	t := enc.Penultimate
	if t == nil || len(t.Shape) != 3 || t.Dim(2) != m.vision {
		return nil, fmt.Errorf("reading a conditioning entry: the model reads image encodings of width %d, those of CLIP ViT-H: connect %s to CLIP Vision Encode with that encoder", m.vision, key)
	}
	if m.views > 0 && t.Dim(1) > m.views { // those of further images have no positions
		cut := tensor.New(t.Dim(0), m.views, t.Dim(2))
		for b := range t.Dim(0) {
			copy(cut.Index(b).Data, t.Index(b).Data)
		}
		t = cut
	}
	return t, nil
}

// frameInputs adds further frames, a reference latent and the noise of each frame.
func (m *model) frameInputs(l *inputList) error {
	if m.channels == m.out {
		if err := l.addLatent(inputFurther, sampling.KeyTimeConcat); err != nil {
			return err
		}
	}
	if m.ref > 0 {
		list, err := sampling.References(l.cond, l.request.Format)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			ref := list[len(list)-1]
			if len(ref.Shape) != 5 || ref.Dim(1) != m.ref {
				return fmt.Errorf("reading a conditioning entry: its %s have shape %v, wanted a video latent of %d channels", sampling.KeyReferences, ref.Shape, m.ref)
			}
			l.add(inputRef, dit.Frames(ref)[0])
		}
	}
	if m.kind.form == formText || m.kind.form == formImage {
		list, err := sampling.Tensors(l.cond, sampling.KeyContextLatents)
		if err != nil {
			return err
		}
		for i, t := range list {
			if len(t.Shape) != 5 || t.Dim(1) != m.channels {
				return fmt.Errorf("reading a conditioning entry: %d of its %s has shape %v, wanted a video latent of %d channels", i, sampling.KeyContextLatents, t.Shape, m.channels)
			}
			l.add(inputContext(i), l.request.Format.In(t))
		}
	}
	if mask := l.request.Mask; m.kind.framed && mask != nil && len(mask.Shape) == 5 {
		l.list = append(l.list, sampling.Input{Name: inputNoise, Value: frameMeans(mask), Rule: sampling.ByFrames(1)})
	}
	return nil
}

// frameMeans are the means of the frames of a mask [N,C,T,H,W], as [N,T].
func frameMeans(mask *tensor.Tensor) *tensor.Tensor {
	one := channelMean(mask)
	n, t, size := one.Dim(0), one.Dim(2), one.Dim(3)*one.Dim(4)
	out := tensor.New(n, t)
	for i := range out.Data {
		sum := 0.0
		for _, v := range one.Data[i*size : (i+1)*size] {
			sum += float64(v)
		}
		out.Data[i] = float32(sum / float64(size))
	}
	return out
}
