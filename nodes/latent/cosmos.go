package latent

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/family/latents"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleCosmos = "comfy_extras.nodes_cosmos"

func init() {
	nodes.Register(&EmptyCosmosLatentVideo{})
	nodes.Register(&CosmosImageToVideoLatent{})
	nodes.Register(&CosmosPredict2ImageToVideoLatent{})
}

// EmptyCosmosLatentVideo makes empty video latents of Cosmos.
type EmptyCosmosLatentVideo struct {
	Width     int `in:"width" default:"1280" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"704" min:"16" max:"16384" step:"16"`
	Length    int `in:"length" default:"121" min:"1" max:"16384" step:"8"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyCosmosLatentVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyCosmosLatentVideo", Category: "model/latent/cosmos",
		Module: moduleCosmos, V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyCosmosLatentVideo) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyCosmosLatentVideo) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{}, n.BatchSize, 16, VideoFrames(n.Length, 8), n.Height/8, n.Width/8)
}

// CosmosImageToVideoLatent makes video latents of Cosmos 1 that begin or end with given frames.
type CosmosImageToVideoLatent struct {
	VAE        *engine.VAE    `in:"vae" type:"VAE"`
	Width      int            `in:"width" default:"1280" min:"16" max:"16384" step:"16"`
	Height     int            `in:"height" default:"704" min:"16" max:"16384" step:"16"`
	Length     int            `in:"length" default:"121" min:"1" max:"16384" step:"8"`
	BatchSize  int            `in:"batch_size" default:"1" min:"1" max:"4096"`
	StartImage *tensor.Tensor `in:"start_image" type:"IMAGE" optional:"true"`
	EndImage   *tensor.Tensor `in:"end_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*CosmosImageToVideoLatent) Spec() nodes.Spec { return givenSpec("CosmosImageToVideoLatent") }

// Sizes implements nodes.Sizer.
func (*CosmosImageToVideoLatent) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *CosmosImageToVideoLatent) Run(ctx *nodes.Context) (nodes.Result, error) {
	const ratio = 8
	return given{n.VAE, n.Width, n.Height, n.Length, n.BatchSize, ratio, n.StartImage, n.EndImage}.latent(ctx, nil)
}

// CosmosPredict2ImageToVideoLatent makes video latents of Cosmos Predict2 that begin or end with given frames.
type CosmosPredict2ImageToVideoLatent struct {
	VAE        *engine.VAE    `in:"vae" type:"VAE"`
	Width      int            `in:"width" default:"848" min:"16" max:"16384" step:"16"`
	Height     int            `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length     int            `in:"length" default:"93" min:"1" max:"16384" step:"4"`
	BatchSize  int            `in:"batch_size" default:"1" min:"1" max:"4096"`
	StartImage *tensor.Tensor `in:"start_image" type:"IMAGE" optional:"true"`
	EndImage   *tensor.Tensor `in:"end_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*CosmosPredict2ImageToVideoLatent) Spec() nodes.Spec {
	return givenSpec("CosmosPredict2ImageToVideoLatent")
}

// Sizes implements nodes.Sizer.
func (*CosmosPredict2ImageToVideoLatent) Sizes(s *nodes.Sizing) nodes.Images {
	return VideoSizes(s, "length")
}

// Run implements nodes.Node. Frames to be made are zeros as the network reads latents, which is not zero for the VAE.
func (n *CosmosPredict2ImageToVideoLatent) Run(ctx *nodes.Context) (nodes.Result, error) {
	const ratio = 4
	return given{n.VAE, n.Width, n.Height, n.Length, n.BatchSize, ratio, n.StartImage, n.EndImage}.latent(ctx, latents.Wan21.Mean)
}

func givenSpec(name string) nodes.Spec {
	return nodes.Spec{Name: name, Category: "model/conditioning/cosmos", Module: moduleCosmos, V3: true, Outputs: nodes.Outputs("LATENT"), Uses: nodes.UsesDevice}
}

// given is a video with optional first and last frames. ratio is the number of frames per frame of the latent.
type given struct {
	vae                          *engine.VAE
	width, height, length, batch int
	ratio                        int
	first, last                  *tensor.Tensor
}

// latent makes the latent with a noise mask of what is to be made, which gets the values of fill, one a channel, or zeros.
// Without given frames it is empty, and one row as upstream has it.
func (g given) latent(ctx *nodes.Context, fill []float32) (nodes.Result, error) {
	const channels, cell = 16, 8
	shape := []int{channels, VideoFrames(g.length, g.ratio), g.height / cell, g.width / cell}
	if g.first == nil && g.last == nil {
		return Empty("video latents", engine.Latent{}, append([]int{1}, shape...)...)
	}
	empty, err := Empty("video latents", engine.Latent{}, append([]int{g.batch}, shape...)...)
	if err != nil {
		return nodes.Result{}, err
	}
	l, _ := empty.Values[0].(engine.Latent)
	l.NoiseMask = tensor.New(append([]int{g.batch, 1}, shape[1:]...)...)
	cells := shape[2] * shape[3]
	fillWith(l.NoiseMask.Data, 1)
	for row := range g.batch {
		for c := range min(channels, len(fill)) {
			fillWith(l.Samples.Index(row).Index(c).Data, fill[c])
		}
	}
	for _, p := range []struct {
		name    string
		images  *tensor.Tensor
		padding int
		end     bool
	}{{"start_image", g.first, 1, false}, {"end_image", g.last, 0, true}} {
		if p.images == nil {
			continue
		}
		z, err := g.encode(ctx, p.name, p.images, p.padding)
		if err != nil {
			return nodes.Result{}, err
		}
		if len(z.Shape) != 5 || z.Dim(1) != channels || z.Dim(2) > shape[1] || z.Dim(3) != shape[2] || z.Dim(4) != shape[3] {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "encoding %s: the VAE gives latents of shape %v, the video has %v: use the VAE of the model", p.name, z.Shape, shape)
		}
		from := 0
		if p.end {
			from = shape[1] - z.Dim(2)
		}
		n := z.Dim(2) * cells
		for row := range g.batch {
			for c := range channels {
				copy(l.Samples.Index(row).Index(c).Data[from*cells:], z.Index(0).Index(c).Data[:n])
			}
			fillWith(l.NoiseMask.Index(row).Data[from*cells:][:n], 0)
		}
	}
	return nodes.Out(l), nil
}

func fillWith(to []float32, v float32) {
	for i := range to {
		to[i] = v
	}
}

// encode encodes images with the given number of groups of grey frames behind them, and returns the latent frames of the
// images. Upstream: nodes_cosmos.py vae_encode_with_padding, which counts in groups of 8 for either model.
func (g given) encode(ctx *nodes.Context, name string, images *tensor.Tensor, padding int) (*tensor.Tensor, error) {
	const group, grey = 8, 0.5
	if g.vae == nil {
		return nil, nodes.Errorf("ValueError", "encoding %s: there is no VAE", name)
	}
	if len(images.Shape) != 4 || images.Dim(3) < 3 || images.Len() == 0 {
		return nil, nodes.Errorf("ValueError", "encoding %s: it has shape %v, wanted pixels of three channels", name, images.Shape)
	}
	count := min(images.Dim(0), g.length)
	pixels, err := imaging.UpscaleImage(images.Slice(0, count), g.width, g.height, "bilinear", "center")
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", name, err)
	}
	used := VideoFrames(count, group)
	total := max(min(g.length, (used+padding)*group-(group-1)), count)
	if err := imaging.CheckSize("padded frames", total, g.height, g.width, pixels.Dim(3)); err != nil {
		return nil, err
	}
	padded := tensor.New(total, g.height, g.width, pixels.Dim(3))
	fillWith(padded.Data, grey)
	copy(padded.Data, pixels.Data)
	z, err := g.vae.Encode(ctx, padded)
	if err != nil || len(z.Shape) != 5 || z.Dim(2) <= used {
		return z, err
	}
	return framesOf(z, 0, used), nil
}
