package sampling

import (
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() { nodes.Register(&SamplerARVideo{}) }

// SamplerARVideo makes the sampler of causal models of videos.
type SamplerARVideo struct {
	Frames int `in:"num_frame_per_block" default:"1" min:"1" max:"64" tooltip:"Latent frames that are denoised together, as many as the model was trained with: 1 or 3 for most."`
}

// Spec implements nodes.Node.
func (*SamplerARVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerARVideo", DisplayName: "Sampler AR Video", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_ar_video",
		Outputs: nodes.Outputs("SAMPLER"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SamplerARVideo) Run(*nodes.Context) (nodes.Result, error) {
	s, err := es.ARVideo(n.Frames)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	return nodes.Out(s), nil
}
