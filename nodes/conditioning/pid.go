package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&PiDConditioning{})
}

// PiDConditioning gives a latent to PiD, which decodes and enlarges it.
type PiDConditioning struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Latent       engine.Latent       `in:"latent" type:"LATENT" tooltip:"Latent from a VAE or a sampler."`
	LatentFormat string              `in:"latent_format" options:"flux|sd3|sdxl|qwenimage" default:"flux" tooltip:"Kind of the latent. flux covers Flux.1 (16 channels) and Flux.2 (128 channels)."`
	DegradeSigma float64             `in:"degrade_sigma" default:"0.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Remaining noise of the latent: 0 for a clean one, more to repair a damaged one."`
}

// Spec implements nodes.Node.
func (*PiDConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PiDConditioning", DisplayName: "PiD Conditioning", Category: "model/conditioning",
		Module: "comfy_extras.nodes_pid", V3: true,
		Outputs:     nodes.Outputs("CONDITIONING"),
		Description: "Adds a latent and its remaining noise to a conditioning, for decoding and upscaling with PiD.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Of a video latent the first frame is used.
func (n *PiDConditioning) Run(*nodes.Context) (nodes.Result, error) {
	s := n.Latent.Samples
	if s == nil || len(s.Shape) != 4 && len(s.Shape) != 5 || len(s.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "conditioning PiD: the input latent is no latent")
	}
	format, ok := pidFormats[n.LatentFormat]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "conditioning PiD: unknown latent format %q", n.LatentFormat)
	}
	if n.LatentFormat == "flux" && s.Shape[1] == flux2Channels {
		format = sampling.LatentFormat{Scale: 1}
	}
	if format.Mean != nil && s.Shape[1] != len(format.Mean) {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "conditioning PiD: latents of %s have %d channels, not %d", n.LatentFormat, len(format.Mean), s.Shape[1])
	}
	in := format.In(s)
	if len(in.Shape) == 5 {
		frames, cells := in.Shape[2], in.Shape[3]*in.Shape[4]
		first := tensor.New(in.Shape[0], in.Shape[1], in.Shape[3], in.Shape[4])
		for i := range in.Shape[0] * in.Shape[1] {
			copy(first.Data[i*cells:][:cells], in.Data[i*frames*cells:])
		}
		in = first
	}
	sigma := tensor.New(1)
	sigma.Data[0] = float32(n.DegradeSigma)
	return nodes.Out(n.Positive.With(map[string]any{sampling.KeyDecodedLatent: in, sampling.KeyDecodedSigma: sigma})), nil
}

const flux2Channels = 128

// pidFormats relate the latents of a VAE to those that PiD reads, which are those that the diffusion model reads.
var pidFormats = map[string]sampling.LatentFormat{
	"flux": {Scale: 0.3611, Shift: 0.1159},
	"sd3":  {Scale: 1.5305, Shift: 0.0609},
	"sdxl": {Scale: 0.13025},
	"qwenimage": {
		Scale:     1,
		Mean:      []float32{-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921},
		Deviation: []float32{2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160},
	},
}
