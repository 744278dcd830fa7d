package conditioning

import (
	"context"
	"math"

	"comfygo/engine"
	"comfygo/engine/family/minimaxh3"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/audio"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&MiniMaxH3ImageToVideo{})
	nodes.Register(&MiniMaxH3AddGuide{})
}

// The figures of MiniMax H3: the number of frames of a clip beyond the first ones, the channels of its video latents and pixels of their cells.
const (
	h3Clip     = 17
	h3First    = 5
	h3Channels = 24
	h3Cell     = 16
)

// h3Resize resizes images [B,H,W,C] to three channels of a size.
func h3Resize(ctx context.Context, name string, images *tensor.Tensor, width, height int, crop string) (*tensor.Tensor, error) {
	if images == nil || len(images.Shape) != 4 || images.Len() == 0 || images.Dim(3) < 3 {
		return nil, nodes.Errorf("ValueError", "resizing %s: it holds no images of three channels", name)
	}
	out, err := imaging.UpscaleImageContext(ctx, firstChannels(images), width, height, "lanczos", crop)
	if err != nil {
		return nil, nodes.Errorf("ValueError", "resizing %s: %w", name, err)
	}
	return out, nil
}

// h3Audio encodes the first of waveforms at the rate of a VAE: a latent [1,C,2,T].
func h3Audio(ctx *nodes.Context, name string, vae *engine.VAE, sound *media.Audio) (*tensor.Tensor, error) {
	if vae == nil {
		return nil, nodes.Errorf("ValueError", "encoding %s: there is no audio VAE: connect the audio VAE of MiniMax H3", name)
	}
	if sound == nil || sound.Waveform == nil || len(sound.Waveform.Shape) != 3 || sound.Waveform.Len() == 0 || sound.SampleRate < 1 {
		return nil, nodes.Errorf("ValueError", "encoding %s: it holds no audio", name)
	}
	waveform := sound.Waveform.Slice(0, 1)
	if rate := vae.AudioRate(); rate > 0 {
		var err error
		if waveform, err = audio.Resample(ctx, waveform, sound.SampleRate, rate); err != nil {
			return nil, err
		}
	}
	z, err := vae.EncodeAudio(ctx, waveform)
	if err != nil {
		return nil, err
	}
	if len(z.Shape) != 4 || z.Dim(2) != 2 {
		return nil, nodes.Errorf("ValueError", "encoding %s: the audio VAE gives latents of shape %v: connect the audio VAE of MiniMax H3", name, z.Shape)
	}
	return z, nil
}

// h3Video encodes the frames of a video.
func h3Video(ctx *nodes.Context, name string, vae *engine.VAE, frames *tensor.Tensor) (*tensor.Tensor, error) {
	if vae == nil {
		return nil, nodes.Errorf("ValueError", "encoding %s: there is no VAE: connect the VAE of MiniMax H3", name)
	}
	z, err := vae.Encode(ctx, frames)
	if err != nil {
		return nil, err
	}
	if len(z.Shape) != 5 || z.Dim(1) != h3Channels || z.Dim(3) != frames.Dim(1)/h3Cell || z.Dim(4) != frames.Dim(2)/h3Cell {
		return nil, nodes.Errorf("ValueError", "encoding %s: the VAE gives latents of shape %v: connect the VAE of MiniMax H3", name, z.Shape)
	}
	return z, nil
}

// MiniMaxH3ImageToVideo encodes a prompt with a first and a last frame, and makes the latents.
type MiniMaxH3ImageToVideo struct {
	CLIP       *engine.CLIP   `in:"clip" type:"CLIP"`
	VAE        *engine.VAE    `in:"vae" type:"VAE"`
	Prompt     string         `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	Width      int            `in:"width" default:"1344" min:"32" max:"16384" step:"32"`
	Height     int            `in:"height" default:"768" min:"32" max:"16384" step:"32"`
	Length     int            `in:"length" default:"124" min:"5" max:"3600" step:"17" tooltip:"Number of frames at 24 frames a second, rounded up to 17*n+5; the model is trained with 124 to 362."`
	FirstFrame *tensor.Tensor `in:"first_frame" type:"IMAGE" optional:"true"`
	LastFrame  *tensor.Tensor `in:"last_frame" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*MiniMaxH3ImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MiniMaxH3ImageToVideo", DisplayName: "MiniMax H3 Image to Video", Category: "model/conditioning/minimax",
		Module: "comfy_extras.nodes_minimax_h3", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "LATENT"}},
		Description: "Encodes a prompt for MiniMax H3, with the first and the last frame of the video where they are given, and makes empty latents.",
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*MiniMaxH3ImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// keyframes are the frames that are given, resized, and their numbers among the video's: the first one is stretched, the last one cut.
func (n *MiniMaxH3ImageToVideo) keyframes(ctx context.Context, frames int) (images []*tensor.Tensor, numbers []int, err error) {
	for _, k := range []struct {
		name, crop string
		image      *tensor.Tensor
		number     int
	}{{"first_frame", "disabled", n.FirstFrame, 0}, {"last_frame", "center", n.LastFrame, frames - 1}} {
		if k.image == nil {
			continue
		}
		if len(k.image.Shape) == 4 && k.image.Dim(0) > 1 {
			k.image = k.image.Slice(0, 1)
		}
		image, err := h3Resize(ctx, k.name, k.image, n.Width, n.Height, k.crop)
		if err != nil {
			return nil, nil, err
		}
		images, numbers = append(images, image), append(numbers, k.number)
	}
	return images, numbers, nil
}

// Run implements nodes.Node.
func (n *MiniMaxH3ImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	l, frames, err := latent.MiniMaxH3Latent(n.Width, n.Height, n.Length)
	if err != nil {
		return nodes.Result{}, err
	}
	images, numbers, err := n.keyframes(ctx, frames)
	if err != nil {
		return nodes.Result{}, err
	}
	c, err := encodePrompt(ctx, n.CLIP, engine.Prompt{Text: n.Prompt, Images: images})
	if err != nil {
		return nodes.Result{}, err
	}
	var keyframes []any
	for i, image := range images {
		z, err := h3Video(ctx, "a frame", n.VAE, image)
		if err != nil {
			return nodes.Result{}, err
		}
		keyframes = append(keyframes, map[string]any{"resolved_frame_index": numbers[i], "latent": z})
	}
	if keyframes != nil {
		c = c.With(map[string]any{minimaxh3.KeyKeyframes: keyframes})
	}
	return nodes.Out(c, l), nil
}

// MiniMaxH3AddGuide gives frames of the video or audio at a frame.
type MiniMaxH3AddGuide struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Latent   engine.Latent       `in:"latent" type:"LATENT"`
	FrameIdx int                 `in:"frame_idx" default:"0" min:"-9999" max:"9999" tooltip:"Frame of the image or of the first frame of a clip. Negative numbers count from the end of the video."`
	VAE      *engine.VAE         `in:"vae" type:"VAE" optional:"true" tooltip:"VAE of videos, for an image."`
	AudioVAE *engine.VAE         `in:"audio_vae" type:"VAE" optional:"true" tooltip:"VAE of audio, for audio."`
	Image    *tensor.Tensor      `in:"image" type:"IMAGE" optional:"true" tooltip:"Image or frames of a clip. Clips are cut to 5, 22, 39 (17*n+5) frames; fewer than five frames give the first one alone."`
	Audio    *media.Audio        `in:"audio" type:"AUDIO" optional:"true" tooltip:"Audio that begins at the frame. It is cut at the end of the video."`
}

// Spec implements nodes.Node.
func (*MiniMaxH3AddGuide) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MiniMaxH3AddGuide", DisplayName: "Add Guide for MiniMax H3", Category: "model/conditioning/minimax",
		Module: "comfy_extras.nodes_minimax_h3", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}},
		Description: "Gives an image, a clip or audio at a frame of a video of MiniMax H3. Several of these nodes in a row give several.",
		Uses:        nodes.UsesDevice,
	}
}

// place is where a guide of the node begins, how many of its frames are taken, and the size of the video.
func (n *MiniMaxH3AddGuide) place() (number, count, width, height int, err error) {
	video := n.Latent.Samples
	if video == nil || len(n.Latent.Along) != 1 || n.Latent.Along[0] == nil || len(video.Shape) != 5 || video.Dim(1) != h3Channels || len(n.Latent.Along[0].Shape) != 4 {
		return 0, 0, 0, 0, nodes.Errorf("ValueError", "adding a guide: the latent is not one of video and audio of MiniMax H3: connect the latent of EmptyMiniMaxH3LatentAV or of a node of the model")
	}
	if n.Image == nil && n.Audio == nil {
		return 0, 0, 0, 0, nodes.Errorf("ValueError", "adding a guide: there is neither an image nor audio")
	}
	count = 1
	if n.Image != nil {
		if len(n.Image.Shape) != 4 || n.Image.Len() == 0 {
			return 0, 0, 0, 0, nodes.Errorf("ValueError", "adding a guide: the image holds no pixels")
		}
		if f := n.Image.Dim(0); f >= h3First {
			count = f - (f-h3First)%h3Clip
		}
	}
	frames := minimaxh3.Frames(video.Dim(2))
	number = n.FrameIdx
	if number < 0 {
		number += frames
	}
	if number < 0 || number+count > frames {
		return 0, 0, 0, 0, nodes.Errorf("ValueError", "adding a guide: %d frames at frame_idx %d do not fit into the %d frames of the video", count, n.FrameIdx, frames)
	}
	return number, count, video.Dim(4) * h3Cell, video.Dim(3) * h3Cell, nil
}

// audioLength is the number of audio latents from a frame to the end of the video.
func (n *MiniMaxH3AddGuide) audioLength(number int) int {
	sound := n.Latent.Along[0]
	return int(math.Floor(float64(sound.Dim(3)) - minimaxh3.FrameTime*float64(number)))
}

// Run implements nodes.Node.
func (n *MiniMaxH3AddGuide) Run(ctx *nodes.Context) (nodes.Result, error) {
	number, count, width, height, err := n.place()
	if err != nil {
		return nodes.Result{}, err
	}
	if len(n.Positive) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "adding a guide: the conditioning is empty")
	}
	keyframe := map[string]any{"resolved_frame_index": number}
	if n.Image != nil {
		frames, err := h3Resize(ctx, "image", n.Image.Slice(0, count), width, height, "center")
		if err != nil {
			return nodes.Result{}, err
		}
		if keyframe["latent"], err = h3Video(ctx, "image", n.VAE, frames); err != nil {
			return nodes.Result{}, err
		}
	}
	if n.Audio != nil {
		z, err := h3Audio(ctx, "audio", n.AudioVAE, n.Audio)
		if err != nil {
			return nodes.Result{}, err
		}
		most := n.audioLength(number)
		if most < 1 {
			return nodes.Result{}, nodes.Errorf("ValueError", "adding a guide: frame_idx %d is after the end of the audio", n.FrameIdx)
		}
		keyframe["audio_latent"] = shortened(z, most)
	}
	// As in upstream, the keyframes of the first entry count for all.
	old, _ := n.Positive[0].Values[minimaxh3.KeyKeyframes].([]any)
	return nodes.Out(n.Positive.With(map[string]any{minimaxh3.KeyKeyframes: append(old[:len(old):len(old)], keyframe)})), nil
}

// shortened is z [1,C,2,T] with at most n values of its last axis.
func shortened(z *tensor.Tensor, n int) *tensor.Tensor {
	t := z.Dim(3)
	if t <= n {
		return z
	}
	out := tensor.New(z.Dim(0), z.Dim(1), z.Dim(2), n)
	for i := range out.Len() / n {
		copy(out.Data[i*n:(i+1)*n], z.Data[i*t:])
	}
	return out
}
