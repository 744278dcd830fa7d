package conditioning

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&SD4XUpscaleConditioning{})
}

// SD4XUpscaleConditioning prepares conditionings and a latent for the Stable Diffusion x4 upscaler.
type SD4XUpscaleConditioning struct {
	Images            *tensor.Tensor      `in:"images" type:"IMAGE"`
	Positive          engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative          engine.Conditioning `in:"negative" type:"CONDITIONING"`
	ScaleRatio        float64             `in:"scale_ratio" default:"4.0" min:"0.0" max:"10.0" step:"0.01"`
	NoiseAugmentation float64             `in:"noise_augmentation" advanced:"true" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*SD4XUpscaleConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SD_4XUpscale_Conditioning", Category: "model/conditioning/stable diffusion upscaler",
		Module: "comfy_extras.nodes_sdupscale", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SD4XUpscaleConditioning) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In.Times(s.Number("scale_ratio"))
	p.Exact = false
	return p
}

// Run implements nodes.Node.
func (n *SD4XUpscaleConditioning) Run(*nodes.Context) (nodes.Result, error) {
	if n.Images == nil || len(n.Images.Shape) != 4 || len(n.Images.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "preparing an upscale: the input images is not an image [batch, height, width, channels]")
	}
	const downscale, channels = 4, 4
	side := func(axis int) int {
		return int(max(1, math.RoundToEven(float64(n.Images.Shape[axis])*n.ScaleRatio))) / downscale
	}
	width, height := side(2), side(1)
	if width == 0 || height == 0 {
		kind := "RuntimeError"
		if height == 0 {
			kind = "ZeroDivisionError" // by the aspect ratio
		}
		return nodes.Result{}, nodes.Errorf(kind, "preparing an upscale: a scale ratio of %g leaves less than %d pixels of a side", n.ScaleRatio, downscale)
	}
	scaled, err := imaging.UpscaleImage(n.Images, width, height, "bilinear", "center")
	if err != nil {
		return nodes.Result{}, fmt.Errorf("preparing an upscale: %w", err)
	}
	// The model reads -1...1, channels first. Upstream scales after that change of range, which only rounds otherwise.
	pixels := channelsFirst(scaled)
	for i, v := range pixels.Data {
		pixels.Data[i] = v*2 - 1
	}
	empty, err := latent.Empty("latents", engine.Latent{}, n.Images.Shape[0], channels, height, width)
	if err != nil {
		return nodes.Result{}, err
	}
	values := map[string]any{"concat_image": pixels, "noise_augmentation": n.NoiseAugmentation}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), empty.Values[0]), nil
}

// channelsFirst returns an image [B,H,W,C] as [B,C,H,W].
func channelsFirst(t *tensor.Tensor) *tensor.Tensor {
	b, cells, c := t.Shape[0], t.Shape[1]*t.Shape[2], t.Shape[3]
	out := tensor.New(b, c, t.Shape[1], t.Shape[2])
	for n := range b {
		for i := range cells {
			for k := range c {
				out.Data[(n*c+k)*cells+i] = t.Data[(n*cells+i)*c+k]
			}
		}
	}
	return out
}
