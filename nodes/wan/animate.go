package wan

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanAnimateToVideo{})
	nodes.Register(&WanAnimate2ToVideo{})
}

// WanAnimateToVideo gives conditionings of Wan 2.2 Animate a reference image, a face, poses, and what is around the person.
type WanAnimateToVideo struct {
	Positive                engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative                engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE                     *engine.VAE         `in:"vae" type:"VAE"`
	Width                   int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height                  int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length                  int                 `in:"length" default:"77" min:"1" max:"16384" step:"4"`
	BatchSize               int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	ContinueMotionMaxFrames int                 `in:"continue_motion_max_frames" default:"5" min:"1" max:"16384" step:"4"`
	VideoFrameOffset        int                 `in:"video_frame_offset" default:"0" min:"0" max:"16384" step:"1" tooltip:"Frames of all videos that are left out: the output of that name of the node that made the part before."`
	VisionOutput            any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	ReferenceImage          *tensor.Tensor      `in:"reference_image" type:"IMAGE" optional:"true"`
	FaceVideo               *tensor.Tensor      `in:"face_video" type:"IMAGE" optional:"true"`
	PoseVideo               *tensor.Tensor      `in:"pose_video" type:"IMAGE" optional:"true"`
	BackgroundVideo         *tensor.Tensor      `in:"background_video" type:"IMAGE" optional:"true"`
	CharacterMask           *tensor.Tensor      `in:"character_mask" type:"MASK" optional:"true"`
	ContinueMotion          *tensor.Tensor      `in:"continue_motion" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanAnimateToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanAnimateToVideo", Category: "model/conditioning/wan/animate",
		Module: module, V3: true,
		Outputs: []nodes.Output{
			{Type: "CONDITIONING", Name: "positive"},
			{Type: "CONDITIONING", Name: "negative"},
			{Type: "LATENT", Name: "latent"},
			{Type: "INT", Name: "trim_latent"},
			{Type: "INT", Name: "trim_image"},
			{Type: "INT", Name: "video_frame_offset"},
		},
		Experimental: true,
		Uses:         nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanAnimateToVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

const faceSide = 512 // pixels of a face

// person is a video of a person that is being prepared: the reference image and the frames behind it, the first of which are given.
type person struct {
	canvas
	offset int
	// image is the encoded reference image, frames are those of the video, given counts their first latent frames that continue another part.
	image, frames *tensor.Tensor
	given         int
}

// begin encodes the reference image and lays the last frames of the part before into gray ones.
func (p *person) begin(ctx *nodes.Context, image, before *tensor.Tensor, most, images int) error {
	if image == nil {
		if err := imaging.CheckSize("a reference image", 1, p.height, p.width, rgb); err != nil {
			return err
		}
		image = tensor.New(1, p.height, p.width, rgb)
	}
	if err := p.check("reference_image", image); err != nil {
		return err
	}
	scaled, err := p.scaled("reference_image", image.Slice(0, min(images, image.Dim(0))), "area")
	if err != nil {
		return err
	}
	if p.image, err = p.encode(ctx, scaled); err != nil {
		return err
	}
	if p.frames, err = p.gray(p.length); err != nil || before == nil {
		return err
	}
	if err = p.check("continue_motion", before); err != nil {
		return err
	}
	before = before.Slice(max(0, before.Dim(0)-most), before.Dim(0))
	p.offset = max(0, p.offset-before.Dim(0))
	if before, err = p.scaled("continue_motion", before.Slice(max(0, before.Dim(0)-p.length), before.Dim(0)), "area"); err != nil {
		return err
	}
	copy(p.frames.Data, before.Data)
	p.given = latent.VideoFrames(before.Dim(0), ratio)
	return nil
}

// trimmed is the number of frames of the result that another part has already.
func (p *person) trimmed() int { return max(0, p.given*ratio-(ratio-1)) }

// from returns the frames of a video from the offset on, at most the given length, scaled, or nil if it has none.
func (p *person) from(input string, video *tensor.Tensor) (*tensor.Tensor, error) {
	video = fromFrame(video, p.offset)
	if video == nil {
		return nil, nil
	}
	return p.scaled(input, video.Slice(0, min(p.length, video.Dim(0))), "area")
}

// held continues frames with the last one to the length of the video.
func (p *person) held(frames *tensor.Tensor) *tensor.Tensor {
	if frames.Dim(0) >= p.length {
		return frames
	}
	out := tensor.New(append([]int{p.length}, frames.Shape[1:]...)...)
	copy(out.Data, frames.Data)
	for i := frames.Dim(0); i < p.length; i++ {
		copy(out.Index(i).Data, frames.Index(frames.Dim(0)-1).Data)
	}
	return out
}

// joined is the latent of the reference image with that of the frames behind it.
func (p *person) joined(ctx *nodes.Context) (*tensor.Tensor, error) {
	z, err := p.encode(ctx, p.frames)
	if err != nil {
		return nil, err
	}
	return behind(p.image, z), nil
}

// Run implements nodes.Node.
func (n *WanAnimateToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	p := person{canvas: canvas{n.VAE, n.Width, n.Height, n.Length}, offset: n.VideoFrameOffset}
	if err := p.begin(ctx, n.ReferenceImage, n.ContinueMotion, n.ContinueMotionMaxFrames, n.Length); err != nil {
		return nodes.Result{}, err
	}
	pos, neg := both(n.Positive, n.Negative, visionValue(n.VisionOutput))
	pose, err := p.from("pose_video", n.PoseVideo)
	if err != nil {
		return nodes.Result{}, err
	}
	if pose != nil {
		z, err := p.encode(ctx, p.held(pose))
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = both(pos, neg, map[string]any{"pose_video_latent": z})
	}
	if face := fromFrame(n.FaceVideo, p.offset); face != nil {
		pixels, err := p.face(face)
		if err != nil {
			return nodes.Result{}, err
		}
		none := tensor.New(pixels.Shape...)
		for i := range none.Data {
			none.Data[i] = -1
		}
		const key = "face_video_pixels"
		pos, neg = pos.With(map[string]any{key: pixels}), neg.With(map[string]any{key: none})
	}
	around, err := p.from("background_video", n.BackgroundVideo)
	if err != nil {
		return nodes.Result{}, err
	}
	if around != nil && around.Dim(0) > p.trimmed() {
		at := p.trimmed() * around.Len() / around.Dim(0)
		copy(p.frames.Data[at:], around.Data[at:])
	}
	z, err := p.joined(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	mask, err := p.unknown(n.CharacterMask, n.ContinueMotion != nil)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg = both(pos, neg, map[string]any{sampling.KeyConcatLatent: z, sampling.KeyConcatMask: mask})
	return p.result(pos, neg, n.BatchSize)
}

func (p *person) result(pos, neg engine.Conditioning, rows int) (nodes.Result, error) {
	l, err := p.empty(rows, p.image.Dim(2))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(pos, neg, l, int64(p.image.Dim(2)), int64(p.trimmed()), int64(p.offset+p.length)), nil
}

// face are frames of a face in -1…1 [1,3,T,512,512].
func (p *person) face(video *tensor.Tensor) (*tensor.Tensor, error) {
	c := canvas{p.vae, faceSide, faceSide, p.length}
	frames, err := c.scaled("face_video", video.Slice(0, min(p.length, video.Dim(0))), "area")
	if err != nil {
		return nil, err
	}
	t, size := frames.Dim(0), faceSide*faceSide
	out := tensor.New(1, rgb, t, faceSide, faceSide)
	for f := range t {
		for i := range size {
			for k := range rgb {
				out.Data[(k*t+f)*size+i] = frames.Data[(f*size+i)*rgb+k]*2 - 1
			}
		}
	}
	return out, nil
}

// unknown is the mask [1,4,T,h,w] of what is to be made of the reference image and the frames behind it, four values a frame.
func (p *person) unknown(character *tensor.Tensor, continued bool) (*tensor.Tensor, error) {
	h, w, first := p.image.Dim(3), p.image.Dim(4), p.image.Dim(2)
	t := p.latents()
	if err := imaging.CheckSize("a mask of frames", ratio, first+t, h, w); err != nil {
		return nil, err
	}
	values := tensor.New(t*ratio, h, w)
	for i := range values.Data {
		if !continued || i >= p.given*ratio*h*w {
			values.Data[i] = 1
		}
	}
	if character != nil {
		if err := p.cover(values, character); err != nil {
			return nil, err
		}
	}
	out := tensor.New(1, ratio, first+t, h, w)
	for f := range t {
		for k := range ratio {
			copy(out.Data[(k*(first+t)+first+f)*h*w:][:h*w], values.Index(f*ratio+k).Data)
		}
	}
	return out, nil
}

// latents is the number of latent frames behind the reference image.
func (p *person) latents() int { return p.canvas.frames() }

// cover lays the masks of a person over values [T,h,w]. One mask counts for all frames.
func (p *person) cover(values, character *tensor.Tensor) error {
	if len(character.Shape) != 3 || character.Len() == 0 {
		return nodes.Errorf("ValueError", "reading character_mask: it has the shape %v, wanted [frames, height, width]", character.Shape)
	}
	single := character.Dim(0) == 1
	masks := character
	if !single {
		if masks = fromFrame(character, p.offset); masks == nil {
			return nil
		}
		masks = masks.Slice(0, min(p.length, masks.Dim(0)))
	}
	scaled, err := imaging.Upscale(&tensor.Tensor{Shape: []int{1, masks.Dim(0), masks.Dim(1), masks.Dim(2)}, Data: masks.Data}, values.Dim(2), values.Dim(1), "nearest-exact", "center")
	if err != nil {
		return fmt.Errorf("scaling character_mask: %w", err)
	}
	size := values.Dim(1) * values.Dim(2)
	total := masks.Dim(0)
	if single {
		total = p.length
	}
	for i := p.trimmed(); i < min(total, values.Dim(0)); i++ {
		from := i
		if single {
			from = 0
		}
		copy(values.Index(i).Data, scaled.Data[from*size:][:size])
	}
	return nil
}

// WanAnimate2ToVideo adds a reference image and a driving video to conditionings of Wan Animate 2.
type WanAnimate2ToVideo struct {
	Positive               engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative               engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE                    *engine.VAE         `in:"vae" type:"VAE"`
	Width                  int                 `in:"width" default:"832" min:"16" max:"16384" step:"16" tooltip:"Width in pixels."`
	Height                 int                 `in:"height" default:"480" min:"16" max:"16384" step:"16" tooltip:"Height in pixels."`
	Length                 int                 `in:"length" default:"81" min:"1" max:"16384" step:"4" tooltip:"Frames to make."`
	BatchSize              int                 `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Videos to make at once."`
	VideoFrameOffset       int                 `in:"video_frame_offset" default:"0" min:"0" max:"16384" step:"1" tooltip:"Frames of the pose video that are left out: the output of that name of the node that made the part before."`
	PoseStrength           float64             `in:"pose_strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"How strongly the pose video acts; 1 is what the model is trained on."`
	PoseStartPercent       float64             `in:"pose_start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the sampling steps at which the pose video begins to act; steps without it are faster."`
	PoseEndPercent         float64             `in:"pose_end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the sampling steps at which the pose video ends to act."`
	ReferenceImageStrength float64             `in:"reference_image_strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"How strongly the reference image acts on the frames."`
	ReferenceImage         *tensor.Tensor      `in:"reference_image" type:"IMAGE" optional:"true" tooltip:"Image of the person."`
	PoseVideo              *tensor.Tensor      `in:"pose_video" type:"IMAGE" optional:"true" tooltip:"Video of the motion."`
	VisionOutput           any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true" tooltip:"Encoded reference image."`
	PositivePose           engine.Conditioning `in:"positive_pose" type:"CONDITIONING" optional:"true" tooltip:"Prompt of the motion, for positive and negative; positive if it is left out."`
	VisionOutputPose       any                 `in:"clip_vision_output_pose" type:"CLIP_VISION_OUTPUT" optional:"true" tooltip:"Encoded first frame of the pose video; clip_vision_output if it is left out."`
	ContinueMotion         *tensor.Tensor      `in:"continue_motion" type:"IMAGE" optional:"true" tooltip:"The part of the video before."`
}

// Spec implements nodes.Node.
func (*WanAnimate2ToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanAnimate2ToVideo", Category: "model/conditioning/wan/animate",
		Module: module, V3: true,
		Description: "Lets the person of an image move, speak and gesture as a video shows.",
		Outputs: []nodes.Output{
			{Type: "CONDITIONING", Name: "positive"},
			{Type: "CONDITIONING", Name: "negative"},
			{Type: "LATENT", Name: "latent"},
			{Type: "INT", Name: "trim_latent", Tooltip: "Latent frames to cut before decoding."},
			{Type: "INT", Name: "trim_image", Tooltip: "Frames that the part before has already."},
			{Type: "INT", Name: "video_frame_offset", Tooltip: "Frames of the pose video before the next part."},
		},
		Experimental: true,
		Uses:         nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanAnimate2ToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanAnimate2ToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.PoseStartPercent > n.PoseEndPercent {
		return nodes.Result{}, nodes.Errorf("ValueError", "preparing the pose video: pose_start_percent (%v) is greater than pose_end_percent (%v)", n.PoseStartPercent, n.PoseEndPercent)
	}
	const continued = 1 // frames of the part before
	p := person{canvas: canvas{n.VAE, n.Width, n.Height, n.Length}, offset: n.VideoFrameOffset}
	if err := p.begin(ctx, n.ReferenceImage, n.ContinueMotion, continued, 1); err != nil {
		return nodes.Result{}, err
	}
	z, err := p.joined(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	t, h, w := p.latents()+p.image.Dim(2), n.Height/cell, n.Width/cell
	mask := tensor.New(1, 1, t, h, w)
	for i := (p.image.Dim(2) + p.given) * h * w; i < len(mask.Data); i++ {
		mask.Data[i] = 1
	}
	pos, neg := both(n.Positive, n.Negative, map[string]any{sampling.KeyConcatLatent: z, sampling.KeyConcatMask: mask}, visionValue(n.VisionOutput))
	if n.ReferenceImageStrength != 1 {
		pos, neg = both(pos, neg, map[string]any{"reference_strength": n.ReferenceImageStrength})
	}
	values, err := n.pose(ctx, &p)
	if err != nil {
		return nodes.Result{}, err
	}
	return p.result(n.within(pos, values), n.within(neg, values), n.BatchSize)
}

// pose are the values of the pose video.
func (n *WanAnimate2ToVideo) pose(ctx *nodes.Context, p *person) (map[string]any, error) {
	values := map[string]any{}
	if n.PoseVideo != nil {
		frames, err := p.from("pose_video", n.PoseVideo)
		if err != nil {
			return nil, err
		}
		if frames == nil {
			return nil, nodes.Errorf("ValueError", "preparing the pose video: pose_video has no frames behind the first %d, which video_frame_offset leaves out", p.offset)
		}
		if values["pose_video_latent"], err = p.encode(ctx, p.held(frames)); err != nil {
			return nil, err
		}
	}
	seen := n.VisionOutputPose
	if seen == nil {
		seen = n.VisionOutput
	}
	if seen != nil {
		values["clip_vision_output_pose"] = seen
	}
	text := n.PositivePose
	if text == nil {
		text = n.Positive
	}
	if len(text) > 0 {
		values["cross_attn_pose"] = text[0].Tokens
	}
	if n.PoseStrength != 1 {
		values["pose_strength"] = n.PoseStrength
	}
	return values, nil
}

// within adds values to a conditioning for the sampling steps in which the pose video acts; the conditioning without them is for the others.
func (n *WanAnimate2ToVideo) within(c engine.Conditioning, values map[string]any) engine.Conditioning {
	if n.PoseStartPercent <= 0 && n.PoseEndPercent >= 1 {
		return c.With(values)
	}
	part := func(c engine.Conditioning, start, end float64) engine.Conditioning {
		return c.With(map[string]any{sampling.KeyStart: start, sampling.KeyEnd: end})
	}
	out := part(c.With(values), n.PoseStartPercent, n.PoseEndPercent)
	if n.PoseStartPercent > 0 {
		out = append(out, part(c, 0, n.PoseStartPercent)...)
	}
	if n.PoseEndPercent < 1 {
		out = append(out, part(c, n.PoseEndPercent, 1)...)
	}
	return out
}
