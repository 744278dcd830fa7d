package latent

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyLatentImage{})
	nodes.Register(&LatentUpscale{})
	nodes.Register(&LatentUpscaleBy{})
}

// ratio is how many pixels one latent value of the SD families is wide and high.
const ratio = 8

// samplesOf returns the samples of an input with at least four axes; it fails if a link delivered no samples.
func samplesOf(input string, l engine.Latent) (*tensor.Tensor, error) {
	if l.Samples == nil || len(l.Samples.Shape) < 4 || len(l.Samples.Data) == 0 {
		return nil, nodes.Errorf("ValueError", "the input %s is no latent", input)
	}
	return l.Samples, nil
}

// with returns the latent with other samples; mask and batch numbers stay.
func with(l engine.Latent, samples *tensor.Tensor) nodes.Result {
	l.Samples = samples
	return nodes.Out(l)
}

// EmptyLatentImage makes latents of zeros, to be filled by a sampler.
type EmptyLatentImage struct {
	Width  int `in:"width" default:"512" min:"16" max:"16384" step:"8" tooltip:"Image width in pixels."`
	Height int `in:"height" default:"512" min:"16" max:"16384" step:"8" tooltip:"Image height in pixels."`
	Batch  int `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"How many images are made together."`
}

// Spec implements nodes.Node.
func (*EmptyLatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyLatentImage", DisplayName: "Empty Latent Image", Category: "model/latent",
		Description:   "Makes empty latents for a sampler to fill.",
		SearchAliases: []string{"empty", "empty latent", "new latent", "create latent", "blank latent", "blank"},
		Outputs:       []nodes.Output{{Type: "LATENT", Tooltip: "The empty latents."}},
		Uses:          nodes.UsesNothing,
	}
}

func (*EmptyLatentImage) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
}

// Run implements nodes.Node. Sides that are not multiples of 8 are rounded down.
func (n *EmptyLatentImage) Run(*nodes.Context) (nodes.Result, error) {
	const channels = 4
	h, w := n.Height/ratio, n.Width/ratio
	if err := imaging.CheckSize(fmt.Sprintf("%d latents of %dx%d", n.Batch, n.Width, n.Height), n.Batch, channels, h, w); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: tensor.New(n.Batch, channels, h, w), DownscaleRatio: ratio}), nil
}

// LatentUpscale resizes latents to the size of an image; a side of 0 follows from the other.
type LatentUpscale struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Method  string        `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|bislerp"`
	Width   int           `in:"width" default:"512" min:"0" max:"16384" step:"8"`
	Height  int           `in:"height" default:"512" min:"0" max:"16384" step:"8"`
	Crop    string        `in:"crop" options:"disabled|center"`
}

// Spec implements nodes.Node.
func (*LatentUpscale) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentUpscale", DisplayName: "Upscale Latent", Category: "model/latent",
		SearchAliases: []string{"enlarge latent", "resize latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*LatentUpscale) Sizes(s *nodes.Sizing) nodes.Images {
	const least = 64 // pixels; a side of 0 follows from the proportions
	side := func(name string) float64 {
		if n := s.Number(name); n != 0 {
			return max(least, n)
		}
		return 0
	}
	return s.Canvas(side("width"), side("height"))
}

// Run implements nodes.Node. As in upstream a side that follows from the other is computed from latent sizes.
func (n *LatentUpscale) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Width == 0 && n.Height == 0 {
		return nodes.Out(n.Samples), nil
	}
	width, height := scaledSides(n.Width, n.Height, s.Dim(-1), s.Dim(-2))
	out, err := imaging.Upscale(s, width/ratio, height/ratio, n.Method, n.Crop)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("scaling a latent: %w", err)
	}
	return with(n.Samples, out), nil
}

// LatentUpscaleBy resizes latents by a factor.
type LatentUpscaleBy struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Method  string        `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|bislerp"`
	ScaleBy float64       `in:"scale_by" default:"1.5" min:"0.01" max:"8.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LatentUpscaleBy) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentUpscaleBy", DisplayName: "Upscale Latent By", Category: "model/latent",
		SearchAliases: []string{"enlarge latent", "resize latent", "scale latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentUpscaleBy) Sizes(s *nodes.Sizing) nodes.Images { return s.In.Times(s.Number("scale_by")) }

// Run implements nodes.Node.
func (n *LatentUpscaleBy) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	size := func(axis int) int { return int(math.RoundToEven(float64(s.Dim(axis)) * n.ScaleBy)) }
	out, err := imaging.Upscale(s, size(-1), size(-2), n.Method, "disabled")
	if err != nil {
		return nodes.Result{}, fmt.Errorf("scaling a latent: %w", err)
	}
	return with(n.Samples, out), nil
}
