package conditioning

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() { nodes.Register(&VOIDInpaintConditioning{}) }

// VOIDInpaintConditioning adds a video and the mask of the objects to remove to conditionings of VOID.
type VOIDInpaintConditioning struct {
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE       *engine.VAE         `in:"vae" type:"VAE"`
	Video     *tensor.Tensor      `in:"video" type:"IMAGE" tooltip:"Frames of the video [frames, height, width, 3]."`
	Quadmask  *tensor.Tensor      `in:"quadmask" type:"MASK" tooltip:"Mask of each frame, made by VOIDQuadmaskPreprocess."`
	Width     int                 `in:"width" default:"672" min:"16" max:"16384" step:"8"`
	Height    int                 `in:"height" default:"384" min:"16" max:"16384" step:"8"`
	Length    int                 `in:"length" default:"45" min:"1" max:"16384" step:"1" tooltip:"Number of frames. The model takes two latent frames at once: a number that gives an odd number of latent frames is rounded down, 49 to 45."`
	BatchSize int                 `in:"batch_size" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*VOIDInpaintConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VOIDInpaintConditioning", Category: "model/conditioning/void",
		Module: "comfy_extras.nodes_void", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*VOIDInpaintConditioning) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *VOIDInpaintConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	const channels, cell, rgb = 16, 8, 3
	switch {
	case n.VAE == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding the video: there is no VAE: connect the VAE of CogVideoX")
	case n.Video == nil || len(n.Video.Shape) != 4 || n.Video.Dim(3) < rgb || n.Video.Len() == 0:
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding the video: video is no list of images of three channels")
	case n.Quadmask == nil || len(n.Quadmask.Shape) != 3 || n.Quadmask.Len() == 0:
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding the mask: quadmask is no mask [frames, height, width]")
	}
	length := latent.VOIDLength(n.Length)
	frames := latent.VideoFrames(length, latent.VOIDPace)
	empty, err := latent.Empty("video latents", engine.Latent{}, n.BatchSize, channels, frames, n.Height/cell, n.Width/cell)
	if err != nil {
		return nodes.Result{}, err
	}
	video, err := imaging.UpscaleImage(n.Video.Slice(0, min(length, n.Video.Dim(0))), n.Width, n.Height, "bilinear", "center")
	if err != nil {
		return nodes.Result{}, fmt.Errorf("scaling the video: %w", err)
	}
	planes := n.Quadmask.Slice(0, min(length, n.Quadmask.Dim(0)))
	mask, err := imaging.UpscaleImage(&tensor.Tensor{Shape: append(append([]int{}, planes.Shape...), 1), Data: planes.Data}, n.Width, n.Height, "bilinear", "center")
	if err != nil {
		return nodes.Result{}, fmt.Errorf("scaling the mask: %w", err)
	}
	if mask.Dim(0) != video.Dim(0) && mask.Dim(0) != 1 && video.Dim(0) != 1 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "masking the video: it has %d frames, the mask %d", video.Dim(0), mask.Dim(0))
	}
	if err = imaging.CheckSize("the masked video", max(mask.Dim(0), video.Dim(0)), n.Height, n.Width, rgb); err != nil {
		return nodes.Result{}, err
	}
	var parts [2]*tensor.Tensor
	for i, pixels := range []*tensor.Tensor{kept(mask), masked(video, mask)} {
		z, err := n.VAE.Encode(ctx, pixels)
		if err != nil {
			return nodes.Result{}, err
		}
		if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != channels || z.Dim(3) != n.Height/cell || z.Dim(4) != n.Width/cell {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "encoding the video: the VAE gives latents of shape %v: use the VAE of CogVideoX", z.Shape)
		}
		parts[i] = fitTime(z, frames)
	}
	given := tensor.New(1, 2*channels, frames, n.Height/cell, n.Width/cell)
	copy(given.Data[copy(given.Data, parts[0].Data):], parts[1].Data)
	values := func(c engine.Conditioning) engine.Conditioning {
		return c.With(map[string]any{sampling.KeyConcatLatent: given})
	}
	return nodes.Out(values(n.Positive), values(n.Negative), empty.Values[0]), nil
}

// kept is 1 less a mask [T,h,w,1], as images.
func kept(mask *tensor.Tensor) *tensor.Tensor {
	const rgb = 3
	out := tensor.New(mask.Dim(0), mask.Dim(1), mask.Dim(2), rgb)
	for i := range out.Data {
		out.Data[i] = 1 - mask.Data[i/rgb]
	}
	return out
}

// masked returns a video times 1 less a mask; a single frame of either is broadcast.
func masked(video, mask *tensor.Tensor) *tensor.Tensor {
	const rgb = 3
	out := tensor.New(max(video.Dim(0), mask.Dim(0)), video.Dim(1), video.Dim(2), rgb)
	for f := range out.Dim(0) {
		to, from, share := out.Index(f).Data, video.Index(f%video.Dim(0)).Data, mask.Index(f%mask.Dim(0)).Data
		for i := range to {
			to[i] = from[i/rgb*video.Dim(3)+i%rgb] * (1 - share[i/rgb])
		}
	}
	return out
}

// fitTime cuts a video latent [1,C,T,h,w] to the given number of frames, or repeats its last one.
func fitTime(z *tensor.Tensor, frames int) *tensor.Tensor {
	out := tensor.New(1, z.Dim(1), frames, z.Dim(3), z.Dim(4))
	size := z.Dim(3) * z.Dim(4)
	for c := range z.Dim(1) {
		for f := range frames {
			copy(out.Data[(c*frames+f)*size:][:size], z.Data[(c*z.Dim(2)+min(f, z.Dim(2)-1))*size:])
		}
	}
	return out
}
