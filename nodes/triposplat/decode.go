package triposplat

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&VAEDecodeTripoSplat{}) }

// The numbers of Gaussians of VAEDecodeTripoSplat; they are made by the point.
const (
	fewest, most, perPoint = 32768, 1048576, 32
)

// VAEDecodeTripoSplat decodes latents to splats.
type VAEDecodeTripoSplat struct {
	Samples      engine.Latent `in:"samples" type:"LATENT"`
	VAE          *engine.VAE   `in:"vae" type:"VAE" tooltip:"VAE of TripoSplat."`
	NumGaussians int           `in:"num_gaussians" default:"262144" min:"32768" max:"1048576" step:"32" tooltip:"Number of Gaussians. More are denser, but show no more detail, and take more time and memory."`
	Seed         uint64        `in:"seed" type:"INT" default:"0" min:"0" max:"18446744073709551615" tooltip:"Chooses the points: the same seed gives the same splats."`
}

// Spec implements nodes.Node.
func (*VAEDecodeTripoSplat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEDecodeTripoSplat", DisplayName: "TripoSplat Decode", Category: latentCategory, Module: module, V3: true,
		Description: "Decodes a sampled latent of TripoSplat to Gaussian splats.",
		Outputs:     []nodes.Output{{Type: "SPLAT", Name: "splat"}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VAEDecodeTripoSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, missing("vae", "VAELoader with the VAE of TripoSplat")
	}
	if n.Samples.Samples == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input samples: there is no latent: connect a sampler")
	}
	count := min(max(n.NumGaussians, fewest), most)
	if rest := count % perPoint; rest != 0 { // to the nearest multiple
		count -= rest
		if 2*rest > perPoint || 2*rest == perPoint && count/perPoint%2 == 1 {
			count += perPoint
		}
	}
	list, err := n.VAE.DecodeSplats(ctx, n.Samples.Samples, count, 0, n.Seed)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(items(list)), nil
}
