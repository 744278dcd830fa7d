package wan

import (
	"comfygo/engine"
	network "comfygo/engine/family/wan"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&WanAnimate2Cache{})
}

// WanAnimate2Cache caches Wan Animate 2's computations for a pose video.
type WanAnimate2Cache struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Device string        `in:"device" options:"cpu|gpu" default:"cpu" tooltip:"Where ComfyUI keeps it; here it is kept in RAM, and goes to the GPU at each step."`
	Dtype  string        `in:"dtype" options:"default|int8|int4" default:"default" tooltip:"Bits of a value: int8 takes a quarter of the memory, int4 an eighth."`
}

// Spec implements nodes.Node.
func (*WanAnimate2Cache) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanAnimate2Cache", Category: "model/conditioning/wan/animate",
		Module: module, V3: true,
		Description: "Keeps what Wan Animate 2 computes of the pose video, which is the same at all sampling steps, for as long as it is used. It takes as much memory as all " +
			"blocks have tokens; where that is too much, the video is computed at each step.",
		Outputs:      nodes.Outputs("MODEL"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *WanAnimate2Cache) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "caching the pose video: there is no model")
	}
	bits, ok := map[string]int{"default": 32, "int8": 8, "int4": 4}[n.Dtype]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "caching the pose video: there is no type %q", n.Dtype)
	}
	if n.Device == "gpu" {
		ctx.Warn("WanAnimate2Cache: the pose video is kept in RAM; device gpu has no effect.")
	}
	return nodes.Out(n.Model.WithOption(network.OptionPoseCache, network.NewPoseCache(bits))), nil
}
