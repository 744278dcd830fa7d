package wan

import (
	"fmt"
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanSCAILToVideo{})
}

// WanSCAILToVideo gives conditionings of SCAIL and SCAIL 2 a pose video, reference images, and masks of identities.
type WanSCAILToVideo struct {
	Positive           engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative           engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE                *engine.VAE         `in:"vae" type:"VAE"`
	Width              int                 `in:"width" default:"512" min:"32" max:"16384" step:"32"`
	Height             int                 `in:"height" default:"896" min:"32" max:"16384" step:"32"`
	Length             int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize          int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	PoseStrength       float64             `in:"pose_strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor of the encoded pose video."`
	PoseStart          float64             `in:"pose_start" default:"0.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the sampling steps at which the pose video begins to act."`
	PoseEnd            float64             `in:"pose_end" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the sampling steps at which the pose video ends to act."`
	VideoFrameOffset   int                 `in:"video_frame_offset" default:"0" min:"0" max:"16384" step:"1" tooltip:"Frame of the whole video at which this part begins: the output of that name of the node before."`
	PreviousFrameCount int                 `in:"previous_frame_count" default:"5" min:"1" max:"16384" step:"4" tooltip:"Last frames of previous_frames that the video begins with; SCAIL 2 is trained on 5."`
	PoseVideo          *tensor.Tensor      `in:"pose_video" type:"IMAGE" optional:"true" tooltip:"Video of poses, scaled to half of width and height."`
	PoseVideoMask      *tensor.Tensor      `in:"pose_video_mask" type:"IMAGE" optional:"true" tooltip:"For SCAIL 2: persons of the pose video, each in a color."`
	ReplacementMode    bool                `in:"replacement_mode" optional:"true" default:"false" tooltip:"For SCAIL 2: replaces persons of a video (masks on white) instead of animating an image (masks on black)."`
	ReferenceImage     *tensor.Tensor      `in:"reference_image" type:"IMAGE" optional:"true" tooltip:"Image of all persons; SCAIL 2 takes further images of the batch as further views."`
	ReferenceImageMask *tensor.Tensor      `in:"reference_image_mask" type:"IMAGE" optional:"true" tooltip:"For SCAIL 2: persons of each reference image, each in a color."`
	VisionOutput       any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true" tooltip:"Encoded reference image; the model is trained on images that were stretched to a square."`
	PreviousFrames     *tensor.Tensor      `in:"previous_frames" type:"IMAGE" optional:"true" tooltip:"For SCAIL 2: the part of the video before."`
}

// Spec implements nodes.Node.
func (*WanSCAILToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanSCAILToVideo", Category: "model/conditioning/wan/scail",
		Module: "comfy_extras.nodes_scail", V3: true,
		Outputs: []nodes.Output{
			{Type: "CONDITIONING", Name: "positive"},
			{Type: "CONDITIONING", Name: "negative"},
			{Type: "LATENT", Name: "latent", Tooltip: "The latent to make."},
			{Type: "INT", Name: "video_frame_offset", Tooltip: "Frame at which the next part begins."},
		},
		Experimental: true,
		Uses:         nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanSCAILToVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *WanSCAILToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	offset := n.VideoFrameOffset
	var before *tensor.Tensor
	if p := n.PreviousFrames; p != nil && p.Len() > 0 {
		if n.PreviousFrameCount < 1 {
			return nodes.Result{}, nodes.Errorf("ValueError", "previous_frame_count is %d, want at least 1", n.PreviousFrameCount)
		}
		before = p.Slice(max(0, p.Dim(0)-n.PreviousFrameCount), p.Dim(0))
		offset = max(0, offset-before.Dim(0))
	}
	pos, neg := both(n.Positive, n.Negative, map[string]any{"ref_mask_flag": !n.ReplacementMode}, visionValue(n.VisionOutput))
	if n.ReferenceImage != nil {
		refs, err := n.references(ctx, c)
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = pos.Append(sampling.KeyReferences, refs), neg.Append(sampling.KeyReferences, refs)
	}
	pose, masks := fromFrame(n.PoseVideo, offset), fromFrame(n.PoseVideoMask, offset)
	pose, masks = n.shortened(pose, masks)
	half := canvas{n.VAE, n.Width / 2, n.Height / 2, n.Length}
	if pose != nil {
		frames, err := half.scaled("pose_video", pose, "area")
		if err != nil {
			return nodes.Result{}, err
		}
		z, err := half.encode(ctx, frames)
		if err != nil {
			return nodes.Result{}, err
		}
		given := map[string]any{"pose_video_latent": times(z, float32(n.PoseStrength))}
		pos, neg = during(pos, given, n.PoseStart, n.PoseEnd), during(neg, given, n.PoseStart, n.PoseEnd)
	}
	if masks != nil {
		colored, err := half.scaledMask("pose_video_mask", masks, "area")
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = both(pos, neg, map[string]any{"driving_mask_28ch": identities(colored)})
	}
	if n.ReferenceImageMask != nil && n.ReferenceImage != nil {
		given, err := n.referenceMasks(c, l.Samples.Dim(2))
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = both(pos, neg, map[string]any{"ref_mask_28ch": given})
	}
	if before != nil {
		if err := beginWith(ctx, c, &l, before); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(pos, neg, l, int64(offset+n.Length)), nil
}

// fromFrame returns the frames of a video from one on, or nil if it has none.
func fromFrame(video *tensor.Tensor, offset int) *tensor.Tensor {
	if video == nil || len(video.Shape) == 0 || video.Dim(0) <= offset {
		return nil
	}
	return video.Slice(offset, video.Dim(0))
}

// shortened cuts a pose video and its masks to the shorter one, to whole frames of the latent.
func (n *WanSCAILToVideo) shortened(pose, masks *tensor.Tensor) (p, m *tensor.Tensor) {
	kept := n.Length
	for _, t := range []*tensor.Tensor{pose, masks} {
		if t != nil {
			kept = min(kept, t.Dim(0))
		}
	}
	kept = (kept-1)/ratio*ratio + 1
	if pose != nil {
		pose = pose.Slice(0, kept)
	}
	if masks != nil {
		masks = masks.Slice(0, kept)
	}
	return pose, masks
}

// references encodes the reference images one by one. Where persons are replaced, only they remain of an image.
func (n *WanSCAILToVideo) references(ctx *nodes.Context, c canvas) ([]any, error) {
	images, err := c.scaled("reference_image", n.ReferenceImage, "bicubic")
	if err != nil {
		return nil, err
	}
	if n.ReplacementMode && n.ReferenceImageMask != nil {
		masks, err := c.scaledMask("reference_image_mask", n.ReferenceImageMask, "nearest-exact")
		if err != nil {
			return nil, err
		}
		const least = 0.1
		images = images.Clone()
		size := images.Dim(1) * images.Dim(2)
		for i := range images.Dim(0) {
			image, mask := images.Index(i).Data, masks.Index(min(i, masks.Dim(0)-1)).Data
			for p := range size {
				if slices.Max(mask[p*rgb:(p+1)*rgb]) <= least {
					clear(image[p*rgb : (p+1)*rgb])
				}
			}
		}
	}
	refs := make([]any, images.Dim(0))
	for i := range refs {
		if refs[i], err = c.encode(ctx, images.Slice(i, i+1)); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// referenceMasks are the masks of identities of the reference images, the first one last, with zeros for the frames of the video [1,F,28,h,w].
func (n *WanSCAILToVideo) referenceMasks(c canvas, frames int) (*tensor.Tensor, error) {
	masks, err := c.scaledMask("reference_image_mask", n.ReferenceImageMask, "nearest-exact")
	if err != nil {
		return nil, err
	}
	refs := n.ReferenceImage.Dim(0)
	var out *tensor.Tensor
	for i := range refs {
		from := min((i+1)%refs, masks.Dim(0)-1)
		m := identities(masks.Slice(from, from+1))
		if out == nil {
			shape := slices.Clone(m.Shape)
			shape[1] = refs + frames
			if err := imaging.CheckSize("masks of identities", shape...); err != nil {
				return nil, err
			}
			out = tensor.New(shape...)
		}
		copy(out.Data[i*m.Len():], m.Data)
	}
	return out, nil
}

// scaledMask converts images of colored masks to the size of the video.
func (c canvas) scaledMask(input string, images *tensor.Tensor, method string) (*tensor.Tensor, error) {
	if len(images.Shape) != 4 || images.Len() == 0 || images.Dim(3) < rgb {
		return nil, nodes.Errorf("ValueError", "reading %s: it has the shape %v, wanted images [batch, height, width, 3]", input, images.Shape)
	}
	out, err := imaging.UpscaleImage(colors(images), c.width, c.height, method, "center")
	if err != nil {
		return nil, fmt.Errorf("scaling %s: %w", input, err)
	}
	return out, nil
}

// identities are colored masks [T,H,W,3] as seven masks, one a color, for each of four frames of a latent frame [1,T',28,h,w]; the first frame counts
// four times. Upstream: nodes_scail.py _extract_mask_to_28ch.
func identities(colored *tensor.Tensor) *tensor.Tensor {
	const on, kinds = 225.0 / 255.0, 7
	t, h, w := colored.Dim(0), colored.Dim(1), colored.Dim(2)
	// The bits of a color, red first, of white, red, green, blue, yellow, magenta, and cyan.
	order := [kinds]int{7, 4, 2, 1, 6, 5, 3}
	masks := tensor.New(t, kinds, h, w)
	for f := range t {
		for p := range h * w {
			bits := 0
			for k := range rgb {
				bits <<= 1
				if colored.Data[(f*h*w+p)*rgb+k] > on {
					bits |= 1
				}
			}
			if at := slices.Index(order[:], bits); at >= 0 {
				masks.Data[(f*kinds+at)*h*w+p] = 1
			}
		}
	}
	small := func(n int) int {
		for range 3 {
			n = (n + 1) / 2
		}
		return n
	}
	scaled, err := imaging.Upscale(masks, small(w), small(h), "area", "disabled")
	if err != nil {
		return masks // not reached: the size was that of an image
	}
	each := scaled.Len() / t
	latents := (t-1)/ratio + 1
	out := tensor.New(1, latents, ratio*kinds, scaled.Dim(2), scaled.Dim(3))
	for i := range latents * ratio {
		copy(out.Data[i*each:(i+1)*each], scaled.Data[min(max(0, i-(ratio-1)), t-1)*each:])
	}
	return out
}

// beginWith lets a latent begin with frames, which are kept.
func beginWith(ctx *nodes.Context, c canvas, l *engine.Latent, frames *tensor.Tensor) error {
	scaled, err := c.scaled("previous_frames", frames, "bicubic")
	if err != nil {
		return err
	}
	z, err := c.encode(ctx, scaled)
	if err != nil {
		return err
	}
	l.Samples = l.Samples.Clone()
	if err := lay(l.Samples, z, 0); err != nil {
		return err
	}
	s := l.Samples.Shape
	l.NoiseMask = tensor.New(1, 1, s[2], s[3], s[4])
	for i := min(z.Dim(2), s[2]) * s[3] * s[4]; i < len(l.NoiseMask.Data); i++ {
		l.NoiseMask.Data[i] = 1
	}
	return nil
}

func times(x *tensor.Tensor, f float32) *tensor.Tensor {
	out := tensor.New(x.Shape...)
	for i, v := range x.Data {
		out.Data[i] = v * f
	}
	return out
}

// during adds values to the entries of a conditioning for a part of the sampling steps, and keeps what they are for the others. Upstream:
// conditioning_set_values_with_timestep_range.
func during(c engine.Conditioning, values map[string]any, start, end float64) engine.Conditioning {
	const aside = 1e-5 // so that one of two neighbours acts at a time
	if start > end {
		return c
	}
	var out engine.Conditioning
	bound := func(e engine.Cond, key string, otherwise float64) float64 {
		if v, ok := e.Values[key].(float64); ok {
			return v
		}
		return otherwise
	}
	for _, e := range c {
		from, to := bound(e, sampling.KeyStart, 0), bound(e, sampling.KeyEnd, 1)
		first, last := max(start, from), min(end, to)
		if first >= last {
			out = append(out, e)
			continue
		}
		if first > from {
			out = append(out, e.With(map[string]any{sampling.KeyStart: from, sampling.KeyEnd: first - aside}))
		}
		out = append(out, e.With(values).With(map[string]any{sampling.KeyStart: first, sampling.KeyEnd: last}))
		if last < to {
			out = append(out, e.With(map[string]any{sampling.KeyStart: last + aside, sampling.KeyEnd: to}))
		}
	}
	return out
}
