package latent

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/imaging"
	"comfygo/internal/noisewarp"
	"comfygo/nodes"
)

const moduleVOID = "comfy_extras.nodes_void"

func init() {
	nodes.Register(&OpticalFlowLoader{})
	nodes.Register(&VOIDWarpedNoise{})
}

// The frames of a latent frame of VOID, and the latent frames that the model takes at once.
const (
	VOIDPace  = 4
	voidDepth = 2
)

// VOIDLength is the number of frames that gives an even number of latent frames, at most length unless that is too short.
func VOIDLength(length int) int {
	frames := VideoFrames(length, VOIDPace)
	if frames%voidDepth == 0 {
		return length
	}
	return (max(voidDepth, frames/voidDepth*voidDepth)-1)*VOIDPace + 1
}

// OpticalFlowLoader loads a model that finds the motion in videos.
type OpticalFlowLoader struct {
	ModelName string `in:"model_name" files:"optical_flow" tooltip:"Model from the folder optical_flow: raft_large of torchvision."`
}

// Spec implements nodes.Node.
func (*OpticalFlowLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "OpticalFlowLoader", DisplayName: "Load Optical Flow Model", Category: "model/loaders",
		Module: moduleVOID, V3: true,
		Outputs: nodes.Outputs("OPTICAL_FLOW"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *OpticalFlowLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	const folder = "optical_flow"
	path, ok := ctx.Folders.Find(folder, n.ModelName)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the optical flow model: there is no file %q in the folder %s", n.ModelName, folder)
	}
	m, err := ctx.Engine.LoadOpticalFlow(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}

// VOIDWarpedNoise makes noise that moves with a video, for the second pass of VOID.
type VOIDWarpedNoise struct {
	OpticalFlow *engine.OpticalFlow `in:"optical_flow" type:"OPTICAL_FLOW" tooltip:"Model of OpticalFlowLoader."`
	Video       *tensor.Tensor      `in:"video" type:"IMAGE" tooltip:"Frames that the first pass made [frames, height, width, 3]."`
	Width       int                 `in:"width" default:"672" min:"16" max:"16384" step:"8"`
	Height      int                 `in:"height" default:"384" min:"16" max:"16384" step:"8"`
	Length      int                 `in:"length" default:"45" min:"1" max:"16384" step:"1" tooltip:"Number of frames. A number that gives an odd number of latent frames is rounded down, 49 to 45."`
	BatchSize   int                 `in:"batch_size" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*VOIDWarpedNoise) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VOIDWarpedNoise", Category: "model/latent/void",
		Module: moduleVOID, V3: true,
		Outputs: []nodes.Output{{Type: "LATENT", Name: "warped_noise"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*VOIDWarpedNoise) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

const (
	warpChannels = 16
	// The motion is looked for in frames of half the size; the noise that moves has warpDetail times their size, and warpArea of its pixels along a
	// side make one of the latent.
	warpHalf, warpDetail, warpArea = 2, 8, 32
	// warpSeed is the seed of the noise; ComfyUI draws it from torch's global generator, in whatever state that is.
	warpSeed = 0
)

// Run implements nodes.Node.
func (n *VOIDWarpedNoise) Run(ctx *nodes.Context) (nodes.Result, error) {
	const rgb, cell = 3, 8
	switch {
	case n.OpticalFlow == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "moving noise with a video: there is no optical flow model: connect OpticalFlowLoader")
	case n.Video == nil || len(n.Video.Shape) != 4 || n.Video.Dim(3) != rgb || n.Video.Len() == 0:
		return nodes.Result{}, nodes.Errorf("ValueError", "moving noise with a video: video is no list of images of three channels")
	}
	length := VOIDLength(n.Length)
	height, width := halfSize(n.Height, n.Width)
	h, w := warpDetail*height, warpDetail*width
	if err := imaging.CheckSize("the noise that moves", warpChannels, h, w); err != nil { // before the video is scaled
		return nodes.Result{}, err
	}
	frames, err := warpFrames(n.Video.Slice(0, min(length, n.Video.Dim(0))), n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	warper := noisewarp.New(warpChannels, h, w, torchrand.New(warpSeed))
	list := make([]*tensor.Tensor, 0, frames.Dim(0))
	add := func() error {
		small, err := warper.Smaller(warpArea)
		list = append(list, small)
		ctx.Progress(float64(len(list)), float64(frames.Dim(0)))
		return err
	}
	if err = add(); err == nil {
		err = n.OpticalFlow.Follow(ctx, frames, noisewarp.Bytes(warpChannels, h, w), func(flow *tensor.Tensor) error {
			if err := warper.Warp(ctx, flow); err != nil {
				return err
			}
			return add()
		})
	}
	if err != nil {
		return nodes.Result{}, err
	}
	out, err := warpLatent(list, VideoFrames(length, VOIDPace), n.Height/cell, n.Width/cell, n.BatchSize)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: out}), nil
}

// halfSize is the size of the frames in which motion is looked for.
func halfSize(height, width int) (h, w int) { return max(height/warpHalf, 1), max(width/warpHalf, 1) }

// warpFrames are frames [T,3,H/2,W/2] of a video [T,h,w,3] in the size asked for, with values of 8 bits.
func warpFrames(video *tensor.Tensor, width, height int) (*tensor.Tensor, error) {
	const most = 255
	full, err := imaging.UpscaleImage(video, width, height, "bilinear", "center")
	if err != nil {
		return nil, fmt.Errorf("scaling the video: %w", err)
	}
	for i, v := range full.Data {
		full.Data[i] = float32(int(min(max(v, 0), 1)*most)) / most
	}
	height, width = halfSize(height, width)
	half, err := imaging.UpscaleImage(full, width, height, "area", "")
	if err != nil {
		return nil, fmt.Errorf("scaling the video: %w", err)
	}
	t, h, w, c := half.Dim(0), half.Dim(1), half.Dim(2), half.Dim(3)
	out := tensor.New(t, c, h, w)
	for f := range t {
		for i := range h * w {
			for ch := range c {
				out.Data[(f*c+ch)*h*w+i] = half.Data[(f*h*w+i)*c+ch]
			}
		}
	}
	return out, nil
}

// warpLatent makes a latent [rows,C,frames,h,w] of the noise of each frame of a video [C,·,·], of which evenly spaced ones are taken.
func warpLatent(list []*tensor.Tensor, frames, h, w, rows int) (*tensor.Tensor, error) {
	c := list[0].Dim(0)
	if err := imaging.CheckSize("video latents", rows, c, frames, h, w); err != nil {
		return nil, err
	}
	out := tensor.New(rows, c, frames, h, w)
	for f := range frames {
		x := list[spaced(f, len(list), frames)]
		x = &tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}
		if x.Dim(2) != h || x.Dim(3) != w {
			var err error
			if x, err = imaging.Upscale(x, w, h, "bilinear", ""); err != nil {
				return nil, fmt.Errorf("scaling the noise: %w", err)
			}
		}
		for row := range rows {
			for ch := range c {
				copy(out.Index(row).Index(ch).Index(f).Data, x.Index(0).Index(ch).Data)
			}
		}
	}
	return out, nil
}

// spaced is element i of to evenly spaced ones among from, all of them if that is their number. Upstream: torch.linspace, cut to whole numbers.
func spaced(i, from, to int) int {
	if from == to {
		return i
	}
	if to == 1 {
		return 0
	}
	last := float32(from - 1)
	step := last / float32(to-1)
	if i < to/2 {
		return int(step * float32(i))
	}
	return int(last - step*float32(to-i-1))
}
