package image

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleSeedVR = "comfy_extras.nodes_seedvr"

func init() {
	nodes.Register(&SeedVR2Preprocess{})
	nodes.Register(&SeedVR2PostProcessing{})
}

// SeedVR2Preprocess pads images for SeedVR2.
type SeedVR2Preprocess struct {
	ResizedImages *tensor.Tensor `in:"resized_images" type:"IMAGE" tooltip:"Image or video in the size of the result."`
}

// Spec implements nodes.Node.
func (*SeedVR2Preprocess) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SeedVR2Preprocess", DisplayName: "Pre-Process SeedVR2 Input", Category: "image/pre-processors",
		Module: moduleSeedVR, V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The padded video, for VAE encoding."}},
		Description:   "Pads an image or video to the sizes that SeedVR2 takes. Alpha is dropped; Post-Process SeedVR2 Output takes it from the original.",
		SearchAliases: []string{"seedvr2", "upscale", "video upscale", "pad", "preprocess"},
		Uses:          nodes.UsesNothing,
	}
}

// Multiples that SeedVR2 takes: of the sides in pixels, and of the frames after the first.
const (
	seedSide   = 16
	seedFrames = 4
)

// Sizes implements nodes.Sizer.
func (*SeedVR2Preprocess) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In.Of(s.In.Width+seedSide-1, s.In.Height+seedSide-1)
	p.Count += seedFrames * p.Lists
	return p
}

// Run implements nodes.Node. A batch of images is one video, [1,T,H,W,C]; sides are padded with black, frames with the last one.
func (n *SeedVR2Preprocess) Run(ctx *nodes.Context) (nodes.Result, error) {
	video, _, err := asVideo("resized_images", n.ResizedImages)
	if err != nil {
		return nodes.Result{}, err
	}
	b, t, h, w, c := video.Shape[0], video.Shape[1], video.Shape[2], video.Shape[3], video.Shape[4]
	if min(h, w) < 2 {
		return nodes.Result{}, nodes.Errorf("ValueError", "padding for SeedVR2: the images are %dx%d, want at least 2 pixels a side", w, h)
	}
	frames := t
	if t > 1 {
		frames = max(t+(seedFrames-(t-1)%seedFrames)%seedFrames, seedFrames+1)
	}
	padded := func(side int) int { return (side + seedSide - 1) / seedSide * seedSide }
	shape := []int{b, frames, padded(h), padded(w), min(c, 3)}
	if err := imaging.CheckSize("padded images", shape...); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(shape...)
	for f := range b * frames {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		from, to := video.Index(f/frames).Index(min(f%frames, t-1)).Data, out.Index(f/frames).Index(f%frames).Data
		for y := range h {
			for x := range w {
				for k, v := range from[(y*w+x)*c:][:shape[4]] {
					to[(y*shape[3]+x)*shape[4]+k] = unit(v)
				}
			}
		}
	}
	return nodes.Out(out), nil
}

// asVideo returns a batch of images as one video, [B,T,H,W,C]; flat reports that it was a batch.
func asVideo(input string, t *tensor.Tensor) (video *tensor.Tensor, flat bool, err error) {
	if t == nil || len(t.Data) == 0 || len(t.Shape) != 4 && len(t.Shape) != 5 {
		return nil, false, nodes.Errorf("ValueError", "the input %s is no image or video", input)
	}
	if len(t.Shape) == 5 {
		return t, false, nil
	}
	video, err = t.Reshape(append([]int{1}, t.Shape...)...)
	return video, true, err
}

// SeedVR2PostProcessing fits what SeedVR2 made to the original.
type SeedVR2PostProcessing struct {
	Images                *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Decoded result of the model."`
	OriginalResizedImages *tensor.Tensor `in:"original_resized_images" type:"IMAGE" tooltip:"Image or video before Pre-Process SeedVR2 Input; size, colors and alpha are taken from it."`
	ColorCorrectionMethod string         `in:"color_correction_method" options:"lab|wavelet|adain|none" default:"lab" tooltip:"How colors are matched to the original. lab: distribution in CIE L*a*b*, the most faithful; wavelet: low frequencies; adain: mean and deviation of each channel; none: only the size is fitted."`
}

// Spec implements nodes.Node.
func (*SeedVR2PostProcessing) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SeedVR2PostProcessing", DisplayName: "Post-Process SeedVR2 Output", Category: "image/post-processors",
		Module: moduleSeedVR, V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The result in the original's size and colors."}},
		Description:   "Crops the result to the original's size, matches its colors and restores alpha.",
		SearchAliases: []string{"seedvr2", "upscale", "color correction", "color match", "postprocess"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SeedVR2PostProcessing) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. The result has even sides and the number of frames of the shorter input.
func (n *SeedVR2PostProcessing) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, flat, err := asVideo("images", n.Images)
	if err != nil {
		return nodes.Result{}, err
	}
	original, _, err := asVideo("original_resized_images", n.OriginalResizedImages)
	if err != nil {
		return nodes.Result{}, err
	}
	if b, t := original.Shape[0], original.Shape[1]; images.Shape[0] == 1 && images.Shape[1]%b == 0 && images.Shape[1]/b >= t {
		shape := append([]int{b, images.Shape[1] / b}, images.Shape[2:]...)
		if images, err = images.Reshape(shape...); err != nil {
			return nodes.Result{}, err
		}
	}
	f := seedFit{method: n.ColorCorrectionMethod, channels: images.Shape[4], alpha: original.Shape[4] == 4}
	if err := f.check(original.Shape[4]); err != nil {
		return nodes.Result{}, err
	}
	b, t := min(images.Shape[0], original.Shape[0]), min(images.Shape[1], original.Shape[1])
	h, w := min(images.Shape[2], original.Shape[2]), min(images.Shape[3], original.Shape[3])
	shape := []int{b, t, h / 2 * 2, w / 2 * 2, f.channels}
	if f.alpha {
		shape[4]++
	}
	if shape[2] == 0 || shape[3] == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "fitting SeedVR2's result: the images are %dx%d, want at least 2 pixels a side", w, h)
	}
	const copies = 12 // of a frame while it is worked on
	if err := imaging.CheckSize("images", b*t+copies, h, w, shape[4]); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(shape...)
	for i := range b * t {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		k, frame := i/t, i%t
		if err := f.frame(ctx, out.Index(k).Index(frame), images.Index(k).Index(frame), original.Index(k).Index(frame), h, w); err != nil {
			return nodes.Result{}, err
		}
	}
	if flat {
		if out, err = out.Reshape(append([]int{b * t}, shape[2:]...)...); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(out), nil
}

// seedFit fits frames.
type seedFit struct {
	method   string
	channels int
	alpha    bool // the original's goes behind the channels
}

func (f seedFit) check(original int) error {
	if f.alpha {
		original = 3
	}
	switch f.method {
	case "none":
		return nil
	case "lab":
		if f.channels != 3 {
			return nodes.Errorf("IndexError", "matching colors: lab takes images of 3 channels, not %d", f.channels)
		}
	case "wavelet", "adain":
	default:
		return nodes.Errorf("ValueError", "matching colors: there is no method %q", f.method)
	}
	if original != f.channels {
		return nodes.Errorf("RuntimeError", "matching colors: the images have %d channels, the original %d", f.channels, original)
	}
	return nil
}

// frame writes one frame: image [H,W,C] cut to h by w with the colors of the original.
func (f seedFit) frame(ctx context.Context, out, image, original *tensor.Tensor, h, w int) error {
	width, height, channels := out.Shape[1], out.Shape[0], out.Shape[2]
	values, line, step, pixel := image.Data, image.Shape[1]*f.channels, 1, f.channels
	if f.method != "none" {
		fixed, err := f.colors(ctx, planesOf(image, h, w, f.channels), originalPlanes(original, h, w, f.channels))
		if err != nil {
			return err
		}
		values, line, step, pixel = fixed.Data, w, h*w, 1
	}
	for y := range height {
		for x := range width {
			to := out.Data[(y*width+x)*channels:][:channels]
			for k := range f.channels {
				to[k] = values[y*line+x*pixel+k*step]
			}
			if f.alpha {
				to[f.channels] = original.Data[(y*original.Shape[1]+x)*4+3]
			}
		}
	}
	return nil
}

// colors matches planes of values in 0…1.
func (f seedFit) colors(ctx context.Context, image, original *tensor.Tensor) (*tensor.Tensor, error) {
	for _, t := range []*tensor.Tensor{image, original} {
		for i, v := range t.Data {
			t.Data[i] = float32(v*2) - 1
		}
	}
	var out *tensor.Tensor
	var err error
	switch f.method {
	case "lab":
		out, err = imaging.LabColors(ctx, image, original)
	case "wavelet":
		out, err = imaging.WaveletColors(ctx, image, original)
	default:
		out, err = imaging.MeanColors(ctx, image, original)
	}
	if err != nil {
		return nil, err
	}
	for i, v := range out.Data {
		out.Data[i] = unit((v + 1) / 2)
	}
	return out, nil
}

// planesOf copies the first channels of the upper left of an image [H,W,C] to planes [C,h,w].
func planesOf(t *tensor.Tensor, h, w, channels int) *tensor.Tensor {
	out := tensor.New(channels, h, w)
	for y := range h {
		for x := range w {
			for k, v := range t.Data[(y*t.Shape[1]+x)*t.Shape[2]:][:channels] {
				out.Data[(k*h+y)*w+x] = v
			}
		}
	}
	return out
}

// originalPlanes are the channels of an image scaled to h by w, bicubic.
func originalPlanes(t *tensor.Tensor, h, w, channels int) *tensor.Tensor {
	out := planesOf(t, t.Shape[0], t.Shape[1], channels)
	if t.Shape[0] == h && t.Shape[1] == w {
		return out
	}
	out.Shape = append([]int{1}, out.Shape...)
	return imaging.Antialias(out, h, w, imaging.Bicubic).Index(0)
}
