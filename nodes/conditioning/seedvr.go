package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&SeedVR2Conditioning{}) }

// SeedVR2Conditioning makes the conditioning of SeedVR2: the model's own text encodings with the latent of the video that is restored.
type SeedVR2Conditioning struct {
	Model  *engine.Model `in:"model" type:"MODEL" tooltip:"SeedVR2 diffusion model."`
	Latent engine.Latent `in:"vae_conditioning" type:"LATENT" display_name:"latent"`
}

// Spec implements nodes.Node.
func (*SeedVR2Conditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SeedVR2Conditioning", DisplayName: "Apply SeedVR2 Conditioning", Category: "model/conditioning",
		Module: "comfy_extras.nodes_seedvr", V3: true,
		Outputs: []nodes.Output{
			{Type: "CONDITIONING", Name: "positive", Tooltip: "Positive conditioning, for the sampler."},
			{Type: "CONDITIONING", Name: "negative", Tooltip: "Negative conditioning, for the sampler."},
		},
		Description:   "Makes the conditioning of SeedVR2 from the latent of the image or video to restore.",
		SearchAliases: []string{"seedvr2", "upscale", "conditioning"},
		Uses:          nodes.UsesDevice,
	}
}

// seedChannels are those of SeedVR2's latents.
const seedChannels = 16

// Run implements nodes.Node.
func (n *SeedVR2Conditioning) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "conditioning SeedVR2: the model input is empty")
	}
	m, ok := n.Model.Denoiser().(family.Prompting)
	if !ok {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "conditioning SeedVR2: the model is %s: connect a SeedVR2 model", n.Model.Family())
	}
	z := n.Latent.Samples
	if z == nil || len(z.Shape) != 5 || z.Dim(1) != seedChannels || z.Len() == 0 {
		var shape []int
		if z != nil {
			shape = z.Shape
		}
		return nodes.Result{}, nodes.Errorf("ValueError", "conditioning SeedVR2: the latent has shape %v, wanted a video of %d channels: encode it by SeedVR2's VAE", shape, seedChannels)
	}
	positive, negative, err := m.Prompts()
	if err != nil {
		return nodes.Result{}, err
	}
	values := map[string]any{sampling.KeyCondition: withOnes(z)}
	entry := func(tokens *tensor.Tensor) engine.Conditioning {
		return engine.Conditioning{{Tokens: tokens, Values: values}}
	}
	return nodes.Out(entry(positive), entry(negative)), nil
}

// withOnes adds a channel of ones to a latent [B,C,T,H,W].
func withOnes(z *tensor.Tensor) *tensor.Tensor {
	shape := append([]int{z.Dim(0), z.Dim(1) + 1}, z.Shape[2:]...)
	out := tensor.New(shape...)
	for b := range z.Dim(0) {
		row := out.Index(b).Data
		for i := copy(row, z.Index(b).Data); i < len(row); i++ {
			row[i] = 1
		}
	}
	return out
}
