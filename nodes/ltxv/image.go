// Package ltxv has the classes of LTX-Video that take a VAE or a model: comfy_extras.nodes_lt.
package ltxv

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

const (
	module = "comfy_extras.nodes_lt"
	// pace is the number of frames per latent frame, cell that of pixels per latent cell along one side.
	pace     = 8
	cell     = 32
	channels = 128
)

func init() {
	nodes.Register(&LTXVImgToVideo{})
	nodes.Register(&LTXVImgToVideoInplace{})
}

// LTXVImgToVideo makes a video latent that starts with images.
type LTXVImgToVideo struct {
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE       *engine.VAE         `in:"vae" type:"VAE"`
	Image     *tensor.Tensor      `in:"image" type:"IMAGE"`
	Width     int                 `in:"width" default:"768" min:"64" max:"16384" step:"32"`
	Height    int                 `in:"height" default:"512" min:"64" max:"16384" step:"32"`
	Length    int                 `in:"length" default:"97" min:"9" max:"16384" step:"8"`
	BatchSize int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Strength  float64             `in:"strength" default:"1.0" min:"0.0" max:"1.0"`
}

// Spec implements nodes.Node.
func (*LTXVImgToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVImgToVideo", Category: "model/conditioning/ltxv", V3: true, Module: module,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVImgToVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *LTXVImgToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	frames := latent.VideoFrames(n.Length, pace)
	empty, err := latent.Empty("video latents", engine.Latent{}, n.BatchSize, channels, frames, n.Height/cell, n.Width/cell)
	if err != nil {
		return nodes.Result{}, err
	}
	video, _ := empty.Values[0].(engine.Latent)
	start, err := encode(ctx, n.VAE, n.Image, n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := place(video.Samples, start, 0); err != nil {
		return nodes.Result{}, err
	}
	video.NoiseMask = masks(n.BatchSize, frames)
	fill(video.NoiseMask, 0, start.Dim(2), float32(1-n.Strength))
	return nodes.Out(n.Positive, n.Negative, video), nil
}

// encode encodes images in the given size to a video latent [1,C,T,h,w].
func encode(ctx *nodes.Context, vae *engine.VAE, images *tensor.Tensor, width, height int) (*tensor.Tensor, error) {
	switch {
	case vae == nil:
		return nil, nodes.Errorf("AttributeError", "encoding the images: there is no VAE: connect the VAE of the model")
	case images == nil || len(images.Shape) != 4 || images.Len() == 0 || images.Dim(3) < 3:
		return nil, nodes.Errorf("ValueError", "encoding the images: the input image is not an image [batch, height, width, channels]")
	}
	pixels, err := imaging.UpscaleImage(images, width, height, "bilinear", "center")
	if err != nil {
		return nil, fmt.Errorf("encoding the images: %w", err)
	}
	z, err := vae.Encode(ctx, pixels)
	if err != nil {
		return nil, err
	}
	if len(z.Shape) != 5 {
		return nil, nodes.Errorf("ValueError", "encoding the images: the VAE makes latents of shape %v, which are no videos: connect the VAE of the model", z.Shape)
	}
	return z, nil
}

// place puts the frames of one video z [1,C,t,h,w] into each row of x [B,C,T,h,w], from a frame on.
func place(x, z *tensor.Tensor, from int) error {
	if x.Dim(1) != z.Dim(1) || x.Dim(3) != z.Dim(3) || x.Dim(4) != z.Dim(4) || from < 0 || from+z.Dim(2) > x.Dim(2) {
		return nodes.Errorf("RuntimeError", "putting images into a video latent: their latent has shape %v, and the video's %v has no room for it from frame %d on", z.Shape, x.Shape, from)
	}
	size := x.Dim(3) * x.Dim(4)
	for row := range x.Dim(0) * x.Dim(1) {
		copy(x.Data[(row*x.Dim(2)+from)*size:], z.Data[row%z.Dim(1)*z.Dim(2)*size:(row%z.Dim(1)+1)*z.Dim(2)*size])
	}
	return nil
}

// masks is a noise mask [B,1,T,1,1] of ones.
func masks(rows, frames int) *tensor.Tensor {
	m := tensor.New(rows, 1, frames, 1, 1)
	fill(m, 0, frames, 1)
	return m
}

// maskOf returns a copy of the noise mask of a video latent, or ones if it has none.
func maskOf(l engine.Latent) (*tensor.Tensor, error) {
	if l.NoiseMask == nil {
		return masks(l.Samples.Dim(0), l.Samples.Dim(2)), nil
	}
	if len(l.NoiseMask.Shape) != 5 || l.NoiseMask.Dim(1) != 1 || l.NoiseMask.Dim(2) != l.Samples.Dim(2) {
		return nil, nodes.Errorf("IndexError", "reading the noise mask of the latent: it has the shape %v, wanted one channel and the %d frames of the latent", l.NoiseMask.Shape, l.Samples.Dim(2))
	}
	return l.NoiseMask.Clone(), nil
}

// fill sets frames [from, to) of masks [B,1,T,h,w].
func fill(m *tensor.Tensor, from, to int, v float32) {
	size := m.Dim(3) * m.Dim(4)
	for b := range m.Dim(0) {
		row := m.Index(b).Data[from*size : to*size]
		for i := range row {
			row[i] = v
		}
	}
}

// checkVideo fails if a latent is not a video.
func checkVideo(l engine.Latent) error {
	if len(l.Along) > 0 {
		return nodes.Errorf("ValueError", "reading the latent: it holds video and sound together; separate them first (LTXVSeparateAVLatent)")
	}
	if l.Samples == nil || len(l.Samples.Shape) != 5 || l.Samples.Len() == 0 {
		return nodes.Errorf("ValueError", "reading the latent: the input latent is no video latent [batch, channels, frames, height, width]")
	}
	return nil
}

// LTXVImgToVideoInplace puts images at the start of a video latent.
type LTXVImgToVideoInplace struct {
	VAE      *engine.VAE    `in:"vae" type:"VAE"`
	Image    *tensor.Tensor `in:"image" type:"IMAGE"`
	Latent   engine.Latent  `in:"latent" type:"LATENT"`
	Strength float64        `in:"strength" default:"1.0" min:"0.0" max:"1.0"`
	Bypass   bool           `in:"bypass" default:"false" tooltip:"Pass the latent on unchanged."`
}

// Spec implements nodes.Node.
func (*LTXVImgToVideoInplace) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVImgToVideoInplace", Category: "model/conditioning/ltxv", V3: true, Module: module,
		Outputs: []nodes.Output{{Type: "LATENT", Name: "latent"}}, Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVImgToVideoInplace) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LTXVImgToVideoInplace) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Bypass {
		return nodes.Out(n.Latent), nil
	}
	if err := checkVideo(n.Latent); err != nil {
		return nodes.Result{}, err
	}
	mask, err := maskOf(n.Latent)
	if err != nil {
		return nodes.Result{}, err
	}
	s := n.Latent.Samples.Clone()
	side := cell
	if n.VAE != nil {
		side = n.VAE.Downscale()
	}
	start, err := encode(ctx, n.VAE, n.Image, s.Dim(4)*side, s.Dim(3)*side)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := place(s, start, 0); err != nil {
		return nodes.Result{}, err
	}
	fill(mask, 0, start.Dim(2), float32(1-n.Strength))
	return nodes.Out(engine.Latent{Samples: s, NoiseMask: mask}), nil
}
