package minimaxh3

import (
	"fmt"
	"math"

	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// The keys of a conditioning entry.
const (
	// KeyTags is the kind of each token of the text, *tensor.Tensor [tokens]: 1 for text and 0 for an image.
	KeyTags = "minimax_token_tags"
	// KeyKeyframes are given frames of the video, []any of map[string]any: "resolved_frame_index" (int) and the latents "latent" [1,C,T,h,w] and
	// "audio_latent" [1,C,2,T], of which one may be missing.
	KeyKeyframes = "minimax_keyframes"
	// KeyReferences is what the prompt refers to, []any of map[string]any: "kind" ("image", "video", "video_audio", "audio"), "latent" and "audio_latent".
	KeyReferences = "minimax_refs"
	// KeyVisualLevel and KeyAudioLevel are the levels of conditions, float64: 1 is without noise.
	KeyVisualLevel = "minimax_visual_cond_noise_aug"
	KeyAudioLevel  = "minimax_audio_cond_noise_aug"
)

// Inputs implements family.Denoiser. Upstream: MiniMaxH3.extra_conds.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	tags, err := sampling.Value[*tensor.Tensor](c, KeyTags)
	if err != nil {
		return nil, err
	}
	if tags != nil {
		for _, v := range tags.Data {
			if v != float32(tagVideo) && v != float32(tagText) && v != float32(tagAudio) {
				return nil, fmt.Errorf("reading the kinds of tokens of a conditioning entry (%s): there is the kind %v, wanted 0, 1 or 2", KeyTags, v)
			}
		}
		in = append(in, sampling.Input{Name: inputTags, Value: &tensor.Tensor{Shape: []int{1, tags.Len()}, Data: tags.Data}, Rule: sampling.Shared})
	}
	g := given{m: m, seed: r.Seed, visual: levelVisual, sound: levelAudio}
	for key, level := range map[string]*float64{KeyVisualLevel: &g.visual, KeyAudioLevel: &g.sound} {
		v, err := sampling.Value[float64](c, key)
		if err != nil {
			return nil, err
		}
		if v < 0 || v > 1 || math.IsNaN(v) {
			return nil, fmt.Errorf("reading %s of a conditioning entry: it is %v, wanted a number from 0 to 1", key, v)
		}
		if c.Values[key] != nil {
			*level = v
		}
	}
	if err := g.read(c); err != nil {
		return nil, err
	}
	in = append(in, g.inputs()...)
	masks, err := masksOf(r)
	return append(in, masks...), err
}

// given are the conditions of an entry.
type given struct {
	m             *model
	seed          uint64
	visual, sound float64
	keyframes     [][]float32
	references    [][]float32
	video, audio  []*tensor.Tensor
}

// entries reads a list of dictionaries.
func entries(c *sampling.Cond, key string) ([]map[string]any, error) {
	list, err := sampling.Value[[]any](c, key)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(list))
	for i, v := range list {
		e, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("reading a conditioning entry: %d of its %s is of type %T, wanted a dictionary", i, key, v)
		}
		out[i] = e
	}
	return out, nil
}

// latent reads a latent of an entry with the given channels and number of axes; nil for a missing one.
func latent(e map[string]any, key string, channels, count int) (*tensor.Tensor, error) {
	v, ok := e[key]
	if !ok || v == nil {
		return nil, nil
	}
	t, ok := v.(*tensor.Tensor)
	if !ok || t == nil || len(t.Shape) != count || t.Dim(0) < 1 || t.Dim(1) != channels || t.Len() == 0 {
		shape := any(fmt.Sprintf("of type %T", v))
		if ok && t != nil {
			shape = t.Shape
		}
		return nil, fmt.Errorf("reading a condition of the video: its %s is %v, wanted a latent of %d axes and %d channels: encode it with the VAE of MiniMax H3", key, shape, count, channels)
	}
	for _, x := range t.Data {
		if x-x != 0 {
			return nil, fmt.Errorf("reading a condition of the video: its %s holds %v", key, x)
		}
	}
	return t.Slice(0, 1), nil
}

// read reads keyframes and references.
func (g *given) read(c *sampling.Cond) error {
	keyframes, err := entries(c, KeyKeyframes)
	if err != nil {
		return err
	}
	for _, e := range keyframes {
		frame, ok := e["resolved_frame_index"].(int)
		if !ok || frame < 0 {
			return fmt.Errorf("reading a keyframe of the video: resolved_frame_index is %v, wanted a number of a frame", e["resolved_frame_index"])
		}
		z, sound, err := g.add(e)
		if err != nil {
			return err
		}
		g.keyframes = append(g.keyframes, []float32{float32(frame), float32(size(z, 2)), float32(size(sound, 3))})
	}
	references, err := entries(c, KeyReferences)
	if err != nil {
		return err
	}
	for _, e := range references {
		z, sound, err := g.add(e)
		if err != nil {
			return err
		}
		if z == nil && sound == nil {
			return fmt.Errorf("reading a reference of the video: it has neither a latent nor an audio_latent")
		}
		g.references = append(g.references, []float32{float32(size(z, 2)), float32(size(z, 3)), float32(size(z, 4)), float32(size(sound, 3))})
	}
	return nil
}

func size(x *tensor.Tensor, axis int) int {
	if x == nil {
		return 0
	}
	return x.Dim(axis)
}

// add adds the tokens of an entry's latents.
func (g *given) add(e map[string]any) (z, sound *tensor.Tensor, err error) {
	if z, err = latent(e, "latent", g.m.Video, 5); err != nil {
		return nil, nil, err
	}
	if sound, err = latent(e, "audio_latent", g.m.Audio, 4); err != nil {
		return nil, nil, err
	}
	if z != nil {
		if z.Dim(3)%patchSide != 0 || z.Dim(4)%patchSide != 0 {
			return nil, nil, fmt.Errorf("reading a condition of the video: its latent has the shape %v, wanted an even height and width", z.Shape)
		}
		tokens, _, err := dit.PatchifyFrames(z, patchSide, tensor.ChannelsFirst)
		if err != nil {
			return nil, nil, err
		}
		g.video = append(g.video, noisy(tokens, g.visual, g.seed))
	}
	if sound != nil {
		if sound.Dim(2) != stereo {
			return nil, nil, fmt.Errorf("reading a condition of the video: its audio_latent has the shape %v, wanted %d channels of audio", sound.Shape, stereo)
		}
		g.audio = append(g.audio, noisy(packAudio(sound), g.sound, g.seed+1))
	}
	return z, sound, nil
}

// noisy mixes noise into a condition. The generator begins anew for each, as in upstream.
func noisy(x *tensor.Tensor, level float64, seed uint64) *tensor.Tensor {
	if level >= 1 {
		return x
	}
	noise := make([]float32, len(x.Data))
	torchrand.New(seed).Randn(noise)
	out := tensor.New(x.Shape...)
	a, b := float32(level), float32(1-level)
	for i, v := range x.Data {
		out.Data[i] = float32(a*v) + float32(b*noise[i])
	}
	return out
}

// inputs are the network's inputs of the conditions.
func (g *given) inputs() []sampling.Input {
	var in []sampling.Input
	add := func(name string, v *tensor.Tensor) {
		in = append(in, sampling.Input{Name: name, Value: v, Rule: sampling.Shared})
	}
	for _, list := range []struct {
		name string
		rows [][]float32
	}{{inputKeyframes, g.keyframes}, {inputReferences, g.references}} {
		if len(list.rows) == 0 {
			continue
		}
		t := tensor.New(len(list.rows), len(list.rows[0]))
		for i, r := range list.rows {
			copy(t.Index(i).Data, r)
		}
		add(list.name, t)
	}
	if len(g.video) > 0 {
		add(inputVideo, dit.JoinTokens(g.video...))
	}
	if len(g.audio) > 0 {
		add(inputAudio, dit.JoinTokens(g.audio...))
	}
	if len(in) > 0 {
		add(inputLevels, &tensor.Tensor{Shape: []int{2}, Data: []float32{float32(g.visual), float32(g.sound)}})
	}
	return in
}

// masksOf are the noise masks of the tokens that are made, for those that keep something.
func masksOf(r sampling.Request) ([]sampling.Input, error) {
	if r.Mask == nil || len(r.Parts) != 2 {
		return nil, nil
	}
	masks, err := tokenMasks(r.Mask, r.Parts)
	if err != nil {
		return nil, err
	}
	var in []sampling.Input
	video, audio := masks[0], masks[1]
	if keeps(video) {
		rows := videoRows(video)
		if keeps(rows) {
			in = append(in, sampling.Input{Name: inputVideoMask, Value: rows, Rule: sampling.Shared})
		}
	}
	if keeps(audio) {
		n := audio.Dim(2) * audio.Dim(3)
		in = append(in, sampling.Input{Name: inputAudioMask, Value: &tensor.Tensor{Shape: []int{1, n}, Data: audio.Data[:n]}, Rule: sampling.Shared})
	}
	return in, nil
}

// keeps reports whether a mask protects anything.
func keeps(mask *tensor.Tensor) bool {
	for _, v := range mask.Data {
		if v < 1-1e-3 {
			return true
		}
	}
	return false
}

// tokenMasks brings a packed noise mask to the grid of tokens: the greatest value of each token's cells, in 256ths rounded up. Upstream:
// MiniMaxH3._token_grid_masks.
func tokenMasks(mask *tensor.Tensor, parts [][]int) ([]*tensor.Tensor, error) {
	masks, err := sampling.Unpack(mask, parts)
	if err != nil {
		return nil, err
	}
	video, audio := masks[0], masks[1]
	if len(video.Shape) != 5 || len(audio.Shape) != 4 {
		return nil, fmt.Errorf("reading the noise mask: the latents have the shapes %v and %v, wanted those of video and audio", video.Shape, audio.Shape)
	}
	h, w := video.Dim(3), video.Dim(4)
	for plane := range video.Len() / (h * w) {
		cells := video.Data[plane*h*w : (plane+1)*h*w]
		for y := 0; y < h; y += patchSide {
			for x := 0; x < w; x += patchSide {
				most := float32(0)
				eachCell(y, x, h, w, func(at int) { most = max(most, cells[at]) })
				most = ceil256(most)
				eachCell(y, x, h, w, func(at int) { cells[at] = most })
			}
		}
	}
	n := audio.Dim(2) * audio.Dim(3)
	for b := range audio.Dim(0) {
		rows := audio.Index(b).Data
		for i := range n {
			most := float32(0)
			for c := range audio.Dim(1) {
				most = max(most, rows[c*n+i])
			}
			for c := range audio.Dim(1) {
				rows[c*n+i] = ceil256(most)
			}
		}
	}
	return masks, nil
}

func ceil256(v float32) float32 { return float32(math.Ceil(float64(v*256))) / 256 }

// eachCell calls f for the cells of a token of a plane that there are.
func eachCell(y, x, h, w int, f func(at int)) {
	for r := y; r < min(y+patchSide, h); r++ {
		for c := x; c < min(x+patchSide, w); c++ {
			f(r*w + c)
		}
	}
}

// videoRows is the value of each token of the first channel of the first row of a mask [B,C,T,h,w] on the grid of tokens: [1,tokens].
func videoRows(mask *tensor.Tensor) *tensor.Tensor {
	h, w := mask.Dim(3), mask.Dim(4)
	out := &tensor.Tensor{}
	for f := range mask.Dim(2) {
		cells := mask.Data[f*h*w:]
		for y := 0; y < h; y += patchSide {
			for x := 0; x < w; x += patchSide {
				out.Data = append(out.Data, cells[y*w+x])
			}
		}
	}
	out.Shape = []int{1, len(out.Data)}
	return out
}

// KeptParts implements family.KeepingParts: what is protected is read at the level of conditions. Upstream: MiniMaxH3.scale_latent_inpaint.
func (*model) KeptParts(k sampling.Kept) (*tensor.Tensor, error) {
	if len(k.Parts) != 2 {
		return nil, nil
	}
	masks, err := tokenMasks(k.Mask, k.Parts)
	if err != nil {
		return nil, err
	}
	token, err := sampling.Pack(masks)
	if err != nil {
		return nil, err
	}
	factor := float32(1)
	if scale := k.Model.Carried(); scale != 1 {
		s := k.Model.Settings()
		sigma := max(k.Sigma, lowestSigma)
		factor = sigma / reshifted(sigma, float32(s.Shift), float32(s.AudioShift)) / scale
	}
	const level = float32(levelVisual)
	out := k.Latent.Clone()
	first := tensor.Count(k.Parts[0][1:])
	for b := range out.Dim(0) {
		row, noise := out.Index(b).Data, k.Noise.Index(min(b, k.Noise.Dim(0)-1)).Data
		for i := range row {
			if i < first {
				row[i] = float32(level*row[i]) + float32(float32(1-levelVisual)*noise[i])
				continue
			}
			row[i] *= factor
		}
	}
	for i, m := range k.Mask.Data {
		if m >= 1 {
			continue
		}
		blend := min(max((token.Data[i]-m)/max(1-m, lowestSigma), 0), 1)
		out.Data[i] += blend * (k.X.Data[i] - out.Data[i])
	}
	return out, nil
}
