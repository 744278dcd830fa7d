package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

const moduleVOID = "comfy_extras.nodes_void"

func init() {
	nodes.Register(&VOIDSampler{})
	nodes.Register(&VOIDWarpedNoiseSource{})
}

// VOIDSampler is the sampler of VOID.
type VOIDSampler struct{}

// Spec implements nodes.Node.
func (*VOIDSampler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VOIDSampler", Category: "model/sampling/samplers", V3: true, Module: moduleVOID,
		Outputs: nodes.Outputs("SAMPLER"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (*VOIDSampler) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(es.VOID()), nil }

// VOIDWarpedNoiseSource makes a latent the noise of a run.
type VOIDWarpedNoiseSource struct {
	Noise engine.Latent `in:"warped_noise" type:"LATENT" tooltip:"Latent whose values are the noise, such as one of VOIDWarpedNoise."`
}

// Spec implements nodes.Node.
func (*VOIDWarpedNoiseSource) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VOIDWarpedNoiseSource", Category: "model/latent/void", V3: true, Module: moduleVOID,
		Outputs: nodes.Outputs("NOISE"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VOIDWarpedNoiseSource) Run(*nodes.Context) (nodes.Result, error) {
	if n.Noise.Samples == nil || n.Noise.Samples.Len() == 0 || len(n.Noise.Along) > 0 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "making noise of a latent: warped_noise is empty or nested")
	}
	return nodes.Out(&Noise{Samples: n.Noise.Samples}), nil
}
