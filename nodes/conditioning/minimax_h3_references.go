package conditioning

import (
	"context"
	"fmt"
	"math"
	"strings"

	"comfygo/engine"
	"comfygo/engine/family/minimaxh3"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() { nodes.Register(&MiniMaxH3ReferenceToVideo{}) }

// MiniMaxH3ReferenceToVideo encodes a prompt with images, videos and audio that it refers to, and makes the latents.
type MiniMaxH3ReferenceToVideo struct {
	CLIP         *engine.CLIP `in:"clip" type:"CLIP"`
	VAE          *engine.VAE  `in:"vae" type:"VAE"`
	AudioVAE     *engine.VAE  `in:"audio_vae" type:"VAE"`
	Prompt       string       `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	Width        int          `in:"width" default:"1344" min:"32" max:"16384" step:"32"`
	Height       int          `in:"height" default:"768" min:"32" max:"16384" step:"32"`
	Length       int          `in:"length" default:"124" min:"5" max:"3600" step:"17" tooltip:"Number of frames at 24 frames a second; the model is trained with 124 to 362."`
	RefImageSize string       `in:"ref_image_size" options:"match|max" default:"match" tooltip:"Size of the images: match reduces them to the area of the video, max to 2048 pixels at the shorter side. Their tokens take part in every step, so max takes much longer."`
	Images       nodes.Grown  `in:"ref_images" autogrow:"ref_image" item:"IMAGE" prefix:"ref_image_" least:"0" most:"9" optional:"true" tooltip:"Image that the prompt refers to; never enlarged."`
	Videos       nodes.Grown  `in:"ref_videos" autogrow:"ref_video" item:"IMAGE" prefix:"ref_video_" least:"0" most:"3" optional:"true" tooltip:"Frames of a video at 24 frames a second, 2 to 15 seconds."`
	VideoAudios  nodes.Grown  `in:"ref_video_audios" autogrow:"ref_video_audio" item:"AUDIO" prefix:"ref_video_audio_" least:"0" most:"3" optional:"true" tooltip:"Audio of the video with the same number."`
	Audios       nodes.Grown  `in:"ref_audios" autogrow:"ref_audio" item:"AUDIO" prefix:"ref_audio_" least:"0" most:"3" optional:"true" tooltip:"Audio that the prompt refers to."`
}

// Spec implements nodes.Node.
func (*MiniMaxH3ReferenceToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MiniMaxH3ReferenceToVideo", DisplayName: "MiniMax H3 Reference to Video", Category: "model/conditioning/minimax",
		Module: "comfy_extras.nodes_minimax_h3", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "LATENT"}},
		Description: "Encodes a prompt for MiniMax H3 with what it refers to as <Picture i>, <Video k> and <Audio j>, and makes empty latents.",
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*MiniMaxH3ReferenceToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// h3Reference is something that a prompt refers to: an image or the frames of a video, audio, or a video with audio.
type h3Reference struct {
	kind, name    string
	frames        *tensor.Tensor
	sound         *media.Audio
	width, height int
}

// multiple rounds a number of pixels to a multiple of 32.
func multiple(v float64) int {
	const step = 32
	return max(step, int(math.RoundToEven(v/step))*step)
}

// h3Canvas is the size of videos of a size: 768 pixels at the shorter side, no more than 768·1344 in all. Upstream: adapt_canvas.
func h3Canvas(width, height int) (w, h int) {
	const short, most = 768.0, 768.0 * 1344
	ratio := float64(width) / float64(height)
	wide, high := short*ratio, short
	if ratio < 1 {
		wide, high = short, short/ratio
	}
	if wide*high > most {
		s := math.Sqrt(most / (wide * high))
		wide, high = wide*s, high*s
	}
	return multiple(wide), multiple(high)
}

// pixels is the images of an input.
func pixels(name string, v any) (*tensor.Tensor, error) {
	image, ok := v.(*tensor.Tensor)
	if !ok || image == nil || len(image.Shape) != 4 || image.Len() == 0 || image.Dim(3) < 3 {
		return nil, nodes.Errorf("ValueError", "reading %s: it holds no images of three channels", name)
	}
	return image, nil
}

// sized are an image and its size for the model.
func (n *MiniMaxH3ReferenceToVideo) sized(ctx context.Context, name string, v any) (h3Reference, error) {
	const short = 2048
	image, err := pixels(name, v)
	if err != nil {
		return h3Reference{}, err
	}
	h, w := float64(image.Dim(1)), float64(image.Dim(2))
	scale := min(1, math.Sqrt(float64(n.Width*n.Height)/(w*h)))
	if n.RefImageSize != "match" {
		scale = min(1, short/min(w, h))
	}
	r := h3Reference{kind: "image", name: name, width: multiple(w * scale), height: multiple(h * scale)}
	r.frames, err = h3Resize(ctx, name, image.Slice(0, 1), r.width, r.height, "disabled")
	return r, err
}

// video is a video, cut to the length of the one that is made and to whole clips.
func (n *MiniMaxH3ReferenceToVideo) video(ctx context.Context, name string, v any, frames int) (h3Reference, error) {
	x, err := pixels(name, v)
	if err != nil {
		return h3Reference{}, err
	}
	count := min(x.Dim(0), frames)
	if count < h3First {
		return h3Reference{}, nodes.Errorf("ValueError", "reading %s: it has %d frames, MiniMax H3 reads videos of %d frames or more", name, x.Dim(0), h3First)
	}
	count -= (count - h3First) % h3Clip
	w, h := h3Canvas(x.Dim(2), x.Dim(1))
	if x.Dim(1)*x.Dim(2) < w*h {
		w, h = multiple(float64(x.Dim(2))), multiple(float64(x.Dim(1)))
	}
	r := h3Reference{kind: "video", name: name, width: w, height: h}
	r.frames, err = h3Resize(ctx, name, x.Slice(0, count), w, h, "disabled")
	return r, err
}

// references are what the prompt refers to, in the order of the model: images, videos with their audio, and audio.
func (n *MiniMaxH3ReferenceToVideo) references(ctx context.Context, frames int) ([]h3Reference, error) {
	var out []h3Reference
	for i, v := range n.Images.Values {
		if v == nil {
			continue
		}
		r, err := n.sized(ctx, "ref_images."+n.Images.Names[i], v)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	sounds := map[string]any{}
	for i, v := range n.VideoAudios.Values {
		sounds[number(n.VideoAudios.Names[i])] = v
	}
	for i, v := range n.Videos.Values {
		if v == nil {
			continue
		}
		r, err := n.video(ctx, "ref_videos."+n.Videos.Names[i], v, frames)
		if err != nil {
			return nil, err
		}
		r.sound, _ = sounds[number(n.Videos.Names[i])].(*media.Audio)
		out = append(out, r)
	}
	for i, v := range n.Audios.Values {
		if sound, _ := v.(*media.Audio); sound != nil {
			out = append(out, h3Reference{kind: "audio", name: "ref_audios." + n.Audios.Names[i], sound: sound})
		}
	}
	return out, nil
}

// number is the number at the end of an input's name.
func number(name string) string { return name[strings.LastIndexByte(name, '_')+1:] }

// shown are references as the prompt has them: the audio of a video comes before it, and every twelfth frame of a video is read.
func shown(list []h3Reference) []minimaxh3.Shown {
	const every = 12
	var out []minimaxh3.Shown
	for _, r := range list {
		switch {
		case r.kind == "image":
			out = append(out, minimaxh3.Shown{Image: r.frames})
			continue
		case r.sound != nil:
			out = append(out, minimaxh3.Shown{})
		}
		if r.frames == nil {
			continue
		}
		count := (r.frames.Dim(0) + every - 1) / every
		some := tensor.New(append([]int{count}, r.frames.Shape[1:]...)...)
		for i := range count {
			copy(some.Index(i).Data, r.frames.Index(i*every).Data)
		}
		out = append(out, minimaxh3.Shown{Video: some})
	}
	return out
}

// Run implements nodes.Node.
func (n *MiniMaxH3ReferenceToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	l, frames, err := latent.MiniMaxH3Latent(n.Width, n.Height, n.Length)
	if err != nil {
		return nodes.Result{}, err
	}
	list, err := n.references(ctx, frames)
	if err != nil {
		return nodes.Result{}, err
	}
	var blocks []any
	for _, r := range list {
		block := map[string]any{"kind": r.kind}
		if r.frames != nil {
			z, err := h3Video(ctx, r.name, n.VAE, r.frames)
			if err != nil {
				return nodes.Result{}, err
			}
			block["latent"], block["latent_h"], block["latent_w"] = z, r.height/h3Cell, r.width/h3Cell
			if r.kind == "video" {
				block["latent_t"], block["ref_audio_t"] = z.Dim(2), 0
			}
		}
		if r.sound != nil {
			z, err := h3Audio(ctx, fmt.Sprintf("the audio of %s", r.name), n.AudioVAE, r.sound)
			if err != nil {
				return nodes.Result{}, err
			}
			block["audio_latent"], block["ref_audio_t"] = z, z.Dim(3)
			if r.frames != nil {
				block["kind"] = "video_audio"
			}
		}
		blocks = append(blocks, block)
	}
	p := engine.Prompt{Text: n.Prompt}
	if items := shown(list); items != nil {
		p.Extra = items
	}
	c, err := encodePrompt(ctx, n.CLIP, p)
	if err != nil {
		return nodes.Result{}, err
	}
	if blocks != nil {
		c = c.With(map[string]any{minimaxh3.KeyReferences: blocks})
	}
	return nodes.Out(c, l), nil
}
