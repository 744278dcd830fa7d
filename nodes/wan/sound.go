package wan

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanSoundImageToVideo{})
	nodes.Register(&WanSoundImageToVideoExtend{})
	nodes.Register(&WanHuMoImageToVideo{})
}

const keyAudio = "audio_embed"

// WanSoundImageToVideo gives conditionings of Wan 2.2 S2V speech, a reference image, a video to follow, and frames before the video.
type WanSoundImageToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"77" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Audio        any                 `in:"audio_encoder_output" type:"AUDIO_ENCODER_OUTPUT" optional:"true"`
	RefImage     *tensor.Tensor      `in:"ref_image" type:"IMAGE" optional:"true"`
	ControlVideo *tensor.Tensor      `in:"control_video" type:"IMAGE" optional:"true"`
	RefMotion    *tensor.Tensor      `in:"ref_motion" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanSoundImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanSoundImageToVideo", Category: "model/conditioning/wan/sound",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanSoundImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanSoundImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	s := sound{canvas: canvas{n.VAE, n.Width, n.Height, n.Length}, pos: n.Positive, neg: n.Negative}
	if n.RefMotion != nil {
		if err := s.moved(ctx, n.RefMotion); err != nil {
			return nodes.Result{}, err
		}
	}
	return s.run(ctx, n.BatchSize, n.Audio, n.RefImage, n.ControlVideo)
}

// WanSoundImageToVideoExtend is WanSoundImageToVideo for the part behind a video latent.
type WanSoundImageToVideoExtend struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Length       int                 `in:"length" default:"77" min:"1" max:"16384" step:"4"`
	VideoLatent  engine.Latent       `in:"video_latent" type:"LATENT"`
	Audio        any                 `in:"audio_encoder_output" type:"AUDIO_ENCODER_OUTPUT" optional:"true"`
	RefImage     *tensor.Tensor      `in:"ref_image" type:"IMAGE" optional:"true"`
	ControlVideo *tensor.Tensor      `in:"control_video" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanSoundImageToVideoExtend) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanSoundImageToVideoExtend", Category: "model/conditioning/wan/sound",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanSoundImageToVideoExtend) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Kept()
	p.Count *= max(1, s.Number("length"))
	return p
}

// Run implements nodes.Node.
func (n *WanSoundImageToVideoExtend) Run(ctx *nodes.Context) (nodes.Result, error) {
	z := n.VideoLatent.Samples
	if z == nil || len(z.Shape) != 5 || z.Dim(1) != channels || z.Len() == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "extending a video: video_latent is no video latent of %d channels", channels)
	}
	s := sound{canvas: canvas{n.VAE, z.Dim(4) * cell, z.Dim(3) * cell, n.Length}, pos: n.Positive, neg: n.Negative, offset: z.Dim(2) * ratio, before: z}
	return s.run(ctx, z.Dim(0), n.Audio, n.RefImage, n.ControlVideo)
}

// sound makes the conditionings of S2V.
type sound struct {
	canvas
	pos, neg engine.Conditioning
	// offset is the number of values of audio before those of the video, before the latent of what is before it.
	offset int
	before *tensor.Tensor
}

const (
	motionFrames  = 73 // frames before the video that the model reads
	motionLatents = 19
)

// moved encodes the frames before the video, the last ones; those that it lacks are gray.
func (s *sound) moved(ctx *nodes.Context, frames *tensor.Tensor) error {
	if err := s.check("ref_motion", frames); err != nil {
		return err
	}
	frames, err := s.scaled("ref_motion", frames.Slice(max(0, frames.Dim(0)-motionFrames), frames.Dim(0)), "bilinear")
	if err != nil {
		return err
	}
	all, err := s.gray(motionFrames)
	if err != nil {
		return err
	}
	copy(all.Data[len(all.Data)-len(frames.Data):], frames.Data)
	s.before, err = s.encode(ctx, all)
	return err
}

func (s *sound) run(ctx *nodes.Context, rows int, audio any, ref, control *tensor.Tensor) (nodes.Result, error) {
	l, err := s.empty(rows, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	if audio != nil {
		heard, err := s.bucket(audio)
		if err != nil {
			return nodes.Result{}, err
		}
		if heard != nil {
			s.pos = s.pos.With(map[string]any{keyAudio: heard})
			s.neg = s.neg.With(map[string]any{keyAudio: tensor.New(heard.Shape...)})
		}
	}
	if ref != nil {
		if err := s.check("ref_image", ref); err != nil {
			return nodes.Result{}, err
		}
		z, err := s.encoded(ctx, "ref_image", ref.Slice(0, 1))
		if err != nil {
			return nodes.Result{}, err
		}
		s.pos, s.neg = s.pos.Append(sampling.KeyReferences, []any{z}), s.neg.Append(sampling.KeyReferences, []any{z})
	}
	given := map[string]any{}
	if s.before != nil {
		given["reference_motion"] = lastFrames(s.before, motionLatents)
	}
	guide, err := blank(l.Samples.Shape, 1)
	if err != nil {
		return nodes.Result{}, err
	}
	if control != nil {
		z, err := s.encoded(ctx, "control_video", control)
		if err == nil {
			err = lay(guide, z, 0)
		}
		if err != nil {
			return nodes.Result{}, err
		}
	}
	given["control_video"] = guide
	pos, neg := both(s.pos, s.neg, given)
	return nodes.Out(pos, neg, l), nil
}

// lastFrames are the last n frames of x [N,C,T,h,w].
func lastFrames(x *tensor.Tensor, n int) *tensor.Tensor {
	if x.Dim(2) <= n {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1), n, x.Dim(3), x.Dim(4))
	size := x.Dim(3) * x.Dim(4)
	for i := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[i*n*size:(i+1)*n*size], x.Data[(i*x.Dim(2)+x.Dim(2)-n)*size:])
	}
	return out
}

// encodingOf reads the output of an audio encoder, which must have at least the given number of layers.
func encodingOf(v any, layers int) (family.AudioEncoding, error) {
	read, err := nodes.Read[family.AudioEncoding](v)
	if err != nil {
		return family.AudioEncoding{}, nodes.Errorf("TypeError", "reading audio_encoder_output: %w: connect AudioEncoderEncode", err)
	}
	e := *read
	if len(e.Layers) < layers {
		return e, nodes.Errorf("IndexError", "reading audio_encoder_output: it has %d layers, wanted %d: load another audio encoder", len(e.Layers), layers)
	}
	for _, t := range e.Layers {
		if len(t.Shape) != 3 || t.Len() == 0 || !tensor.SameShape(t, e.Layers[0]) {
			return e, nodes.Errorf("ValueError", "reading audio_encoder_output: a layer has the shape %v", t.Shape)
		}
	}
	return e, nil
}

const (
	tokenRate  = 50 // tokens of audio encoders in a second
	speechRate = 30 // to which S2V brings them first
	videoRate  = 16 // and frames of its videos
	humoRate   = 25 // and frames of HuMo's
	talkRate   = 25 // and those that InfiniteTalk hears
)

// interpolated converts rows of values [T,D] from one rate to another, with the first and the last one in place. Upstream: linear_interpolation.
func interpolated(x *tensor.Tensor, from, to float64) *tensor.Tensor {
	t, width := x.Dim(0), x.Dim(1)
	n := int(float64(t) / from * to)
	out := tensor.New(n, width)
	scale := float32(0)
	if n > 1 {
		scale = float32(t-1) / float32(n-1)
	}
	for i := range n {
		at := scale * float32(i)
		first := min(int(at), t-1)
		second := min(first+1, t-1)
		part := at - float32(first)
		a, b := x.Index(first).Data, x.Index(second).Data
		for k := range width {
			out.Data[i*width+k] = (1-part)*a[k] + part*b[k]
		}
	}
	return out
}

// bucket is the part of encoded audio that belongs to the video [1,layers,width,4·frames], nil where it has ended. Upstream:
// get_audio_embed_bucket_fps.
func (s *sound) bucket(audio any) (*tensor.Tensor, error) {
	e, err := encodingOf(audio, 1)
	if err != nil {
		return nil, err
	}
	layers, width := len(e.Layers)*e.Layers[0].Dim(0), e.Layers[0].Dim(2)
	frames := s.frames() * ratio
	const scale = float64(speechRate) / videoRate
	heard := int(float64(e.Layers[0].Dim(1)) / tokenRate * speechRate)
	all := (int(float64(heard)/(float64(frames)*scale)) + 1) * frames
	from, to := min(s.offset, all), min(s.offset+frames, all)
	if from == to {
		return nil, nil
	}
	if err := imaging.CheckSize("audio for the video", layers, width, to-from); err != nil {
		return nil, err
	}
	out := tensor.New(1, layers, width, to-from)
	layer := 0
	for _, t := range e.Layers {
		for row := range t.Dim(0) {
			x := interpolated(t.Index(row), tokenRate, speechRate)
			for i := from; i < to; i++ {
				at := int(math.RoundToEven(float64(i) * scale))
				if at >= x.Dim(0) {
					break // silence
				}
				for k, v := range x.Index(at).Data {
					out.Data[(layer*width+k)*(to-from)+i-from] = v
				}
			}
			layer++
		}
	}
	return out, nil
}

// WanHuMoImageToVideo gives conditionings of HuMo audio and a reference image.
type WanHuMoImageToVideo struct {
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE       *engine.VAE         `in:"vae" type:"VAE"`
	Width     int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height    int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length    int                 `in:"length" default:"97" min:"1" max:"16384" step:"4"`
	BatchSize int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Audio     any                 `in:"audio_encoder_output" type:"AUDIO_ENCODER_OUTPUT" optional:"true"`
	RefImage  *tensor.Tensor      `in:"ref_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanHuMoImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanHuMoImageToVideo", Category: "model/conditioning/wan/humo",
		Module: module, V3: true,
		Outputs:      []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Experimental: true,
		Uses:         nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanHuMoImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Of the layers of Whisper large v3 HuMo reads the means of four groups, and the last one; a frame of the latent hears a window of frames.
const (
	humoGroups, humoGroup = 4, 8
	humoWindow            = 8
	humoWidth             = 1280
	samplesPerFrame       = 640
)

// Run implements nodes.Node. Without audio the video is silent; upstream's class then gives audio for a frame more than the model takes.
func (n *WanHuMoImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := n.Positive, n.Negative
	s := l.Samples.Shape
	none := tensor.New(n.BatchSize, channels, 1, s[3], s[4])
	ref := none
	if n.RefImage != nil {
		if err = c.check("ref_image", n.RefImage); err != nil {
			return nodes.Result{}, err
		}
		if ref, err = c.encoded(ctx, "ref_image", n.RefImage.Slice(0, 1)); err != nil {
			return nodes.Result{}, err
		}
		none = tensor.New(ref.Shape...)
	}
	pos, neg = pos.Append(sampling.KeyReferences, []any{ref}), neg.Append(sampling.KeyReferences, []any{none})
	audio := tensor.New(1, c.frames(), humoWindow, humoGroups+1, humoWidth)
	if n.Audio != nil {
		if audio, err = c.windows(n.Audio); err != nil {
			return nodes.Result{}, err
		}
	}
	pos, neg = pos.With(map[string]any{keyAudio: audio}), neg.With(map[string]any{keyAudio: tensor.New(audio.Shape...)})
	return nodes.Out(pos, neg, l), nil
}

// windows are the windows of encoded audio for each frame of the latent [1,frames,8,5,width]. Upstream: get_audio_emb_window.
func (c canvas) windows(audio any) (*tensor.Tensor, error) {
	e, err := encodingOf(audio, humoGroups*humoGroup+1)
	if err != nil {
		return nil, err
	}
	t, width := min(e.Layers[0].Dim(1), e.Samples/samplesPerFrame*2), e.Layers[0].Dim(2)
	if t < 1 {
		return nil, nodes.Errorf("RuntimeError", "reading audio_encoder_output: the audio is too short for a frame")
	}
	var features [humoGroups + 1]*tensor.Tensor
	for g := range features {
		mean := tensor.New(t, width)
		group := e.Layers[g*humoGroup : min((g+1)*humoGroup, humoGroups*humoGroup+1)]
		for _, layer := range group {
			for i, v := range layer.Index(0).Data[:t*width] {
				mean.Data[i] += v
			}
		}
		for i := range mean.Data {
			mean.Data[i] /= float32(len(group))
		}
		features[g] = interpolated(mean, tokenRate, humoRate)
	}
	if err := imaging.CheckSize("audio for the video", c.frames(), humoWindow, len(features), width); err != nil {
		return nil, err
	}
	out := tensor.New(1, c.frames(), humoWindow, len(features), width)
	for f := range c.frames() {
		for i := range humoWindow {
			// The first frame hears five frames around it, with silence before them; each other one the four of its own and two on either side.
			at := ratio*(f-1) - 1 + i
			if f == 0 {
				at = i - 5
				if i < 3 {
					at = -1
				}
			}
			if at < 0 || at >= features[0].Dim(0) {
				continue
			}
			for g, x := range features {
				copy(out.Data[((f*humoWindow+i)*len(features)+g)*width:][:width], x.Index(at).Data)
			}
		}
	}
	return out, nil
}
