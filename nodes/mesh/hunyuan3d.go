package mesh

import (
	"comfygo/engine"
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() { nodes.Register(&VAEDecodeHunyuan3D{}) }

// VAEDecodeHunyuan3D makes volumes of latents of Hunyuan3D.
type VAEDecodeHunyuan3D struct {
	Samples          engine.Latent `in:"samples" type:"LATENT"`
	VAE              *engine.VAE   `in:"vae" type:"VAE"`
	NumChunks        int           `in:"num_chunks" default:"8000" min:"1000" max:"500000" advanced:"true" tooltip:"Maximum number of points that are computed together. The result is the same for every number."`
	OctreeResolution int           `in:"octree_resolution" default:"256" min:"16" max:"512" advanced:"true" tooltip:"Number of cells along each axis of the volume."`
}

// Spec implements nodes.Node.
func (*VAEDecodeHunyuan3D) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEDecodeHunyuan3D", Category: "model/latent/hunyuan 3d",
		Module: "comfy_extras.nodes_hunyuan3d", V3: true,
		Outputs: nodes.Outputs("VOXEL"),
		Uses:    nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VAEDecodeHunyuan3D) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "decoding a volume: there is no VAE: connect the VAE of a Hunyuan3D model")
	}
	told := engine.WithProgress(ctx, func(done, all int) { ctx.Progress(float64(done), float64(all)) })
	grid, err := n.VAE.DecodeVolume(told, n.Samples.Samples, n.OctreeResolution, n.NumChunks)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(&geometry.Voxels{Grid: grid}), nil
}
