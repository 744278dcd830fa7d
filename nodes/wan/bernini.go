package wan

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&BerniniConditioning{})
}

// BerniniConditioning adds videos and images, whose tokens follow those of the video, to conditionings of Wan 2.2 14B
// (Bernini).
type BerniniConditioning struct {
	Positive        engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative        engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE             *engine.VAE         `in:"vae" type:"VAE"`
	Width           int                 `in:"width" default:"832" min:"16" max:"8192" step:"16"`
	Height          int                 `in:"height" default:"480" min:"16" max:"8192" step:"16"`
	Length          int                 `in:"length" default:"81" min:"1" max:"8192" step:"4"`
	BatchSize       int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	SourceVideo     *tensor.Tensor      `in:"source_video" type:"IMAGE" optional:"true" tooltip:"Video to edit, scaled to width and height and cut to the length."`
	ReferenceVideo  *tensor.Tensor      `in:"reference_video" type:"IMAGE" optional:"true" tooltip:"Video to insert into the source video."`
	ReferenceImages nodes.Grown         `in:"reference_images" autogrow:"reference_image" item:"IMAGE" prefix:"reference_image_" least:"0" most:"8" optional:"true" tooltip:"Images of what the video shows, each with its own proportions."`
	RefMaxSize      int                 `in:"ref_max_size" optional:"true" default:"848" min:"16" max:"8192" step:"16" tooltip:"Greatest long side of reference_video and reference_images; sides become multiples of 16 pixels."`
}

// Spec implements nodes.Node.
func (*BerniniConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BerniniConditioning", DisplayName: "Bernini Conditioning", Category: "model/conditioning/bernini",
		Module: "comfy_extras.nodes_bernini", V3: true,
		Description: "Videos and images for Bernini: nothing makes a video of text, source_video is edited, reference_images show what the video is to have, " +
			"reference_video is inserted into source_video.",
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*BerniniConditioning) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *BerniniConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	var context []any
	if n.SourceVideo != nil {
		if err := c.check("source_video", n.SourceVideo); err != nil {
			return nodes.Result{}, err
		}
		frames, err := c.scaled("source_video", n.SourceVideo.Slice(0, min(n.Length, n.SourceVideo.Dim(0))), "area")
		if err != nil {
			return nodes.Result{}, err
		}
		if context, err = n.encode(ctx, context, frames); err != nil {
			return nodes.Result{}, err
		}
	}
	if n.ReferenceVideo != nil {
		if context, err = n.add(ctx, context, c, "reference_video", n.ReferenceVideo, n.Length); err != nil {
			return nodes.Result{}, err
		}
	}
	for i, name := range n.ReferenceImages.Names {
		images, _ := n.ReferenceImages.Values[i].(*tensor.Tensor)
		if images == nil {
			continue
		}
		name = "reference_images." + name
		if err := c.check(name, images); err != nil {
			return nodes.Result{}, err
		}
		for k := range images.Dim(0) {
			if context, err = n.add(ctx, context, c, name, images.Slice(k, k+1), 1); err != nil {
				return nodes.Result{}, err
			}
		}
	}
	pos, neg := n.Positive, n.Negative
	if len(context) > 0 {
		pos, neg = both(pos, neg, map[string]any{sampling.KeyContextLatents: context})
	}
	return nodes.Out(pos, neg, l), nil
}

// add encodes the first frames of a video of its own proportions.
func (n *BerniniConditioning) add(ctx *nodes.Context, list []any, c canvas, input string, images *tensor.Tensor, frames int) ([]any, error) {
	if err := c.check(input, images); err != nil {
		return nil, err
	}
	images = colors(images.Slice(0, min(frames, images.Dim(0))))
	const step = 16
	h, w := images.Dim(1), images.Dim(2)
	scale := min(float64(n.RefMaxSize)/float64(max(h, w)), 1)
	side := func(v int) int { return max(step, int(math.RoundToEven(float64(v)*scale/step))*step) }
	scaled, err := imaging.UpscaleImage(images, side(w), side(h), "area", "disabled")
	if err != nil {
		return nil, fmt.Errorf("scaling %s: %w", input, err)
	}
	return n.encode(ctx, list, scaled)
}

func (n *BerniniConditioning) encode(ctx *nodes.Context, list []any, frames *tensor.Tensor) ([]any, error) {
	z, err := canvas{vae: n.VAE}.encode(ctx, frames)
	if err != nil {
		return nil, err
	}
	return append(list, z), nil
}
