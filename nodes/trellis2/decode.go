package trellis2

import (
	"context"
	"math"
	"slices"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VaeDecodeStructureTrellis2{})
	nodes.Register(&VaeDecodeShapeTrellis{})
	nodes.Register(&VaeDecodeTextureTrellis{})
}

// VaeDecodeStructureTrellis2 decodes the structure of objects.
type VaeDecodeStructureTrellis2 struct {
	Samples    engine.Latent `in:"samples" type:"LATENT"`
	VAE        *engine.VAE   `in:"vae" type:"VAE" tooltip:"Shape VAE of Trellis 2."`
	Resolution string        `in:"resolution" options:"32|64" default:"32" tooltip:"Number of cells along each axis. 32 is for the shape at 512, 64 for that at 1024 in one stage."`
}

// Spec implements nodes.Node.
func (*VaeDecodeStructureTrellis2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VaeDecodeStructureTrellis2", Category: latentCategory, Module: module, V3: true,
		Description: "Decodes the sampled latent of a structure to the cells that the object fills.",
		Outputs:     []nodes.Output{{Type: "VOXEL", Name: "voxel"}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VaeDecodeStructureTrellis2) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, missing("vae", "VAELoader with the shape VAE of Trellis 2")
	}
	side, ok := map[string]int{"32": 32, "64": 64}[n.Resolution]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input resolution: it is %q, wanted 32 or 64", n.Resolution)
	}
	grid, err := n.VAE.DecodeStructure(told(ctx), n.Samples.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if by := grid.Dim(1) / side; grid.Dim(1) != side {
		if by < 1 || slices.Min(grid.Shape[1:]) < by {
			return nodes.Result{}, nodes.Errorf("ValueError", "decoding the structure: it has %d cells along each axis and the resolution is %d: choose a lower one", grid.Dim(1), side)
		}
		grid = pooled(grid, by)
	}
	return nodes.Out(&geometry.Voxels{Grid: grid}), nil
}

// pooled is the greatest value of each block of cells of volumes [B,D,H,W].
func pooled(x *tensor.Tensor, by int) *tensor.Tensor {
	d, h, w := x.Dim(1)/by, x.Dim(2)/by, x.Dim(3)/by
	out := tensor.New(x.Dim(0), d, h, w)
	for b := range x.Dim(0) {
		to := out.Index(b).Data
		for i, v := range x.Index(b).Data {
			z, y, u := i/(x.Dim(2)*x.Dim(3))/by, i/x.Dim(3)%x.Dim(2)/by, i%x.Dim(3)/by
			if z < d && y < h && u < w {
				at := (z*h+y)*w + u
				to[at] = max(to[at], v)
			}
		}
	}
	return out
}

// usual is the resolution of a shape where a latent does not tell it.
const usual = 1024

// resolution is the number of the smallest cells along an axis of a latent.
func resolution(l engine.Latent) int {
	if l.Sparse != nil && l.Sparse.Resolution > 0 {
		return l.Sparse.Resolution * perCell
	}
	return usual
}

// VaeDecodeShapeTrellis decodes shapes to meshes.
type VaeDecodeShapeTrellis struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	VAE     *engine.VAE   `in:"vae" type:"VAE" tooltip:"Shape VAE of Trellis 2."`
}

// Spec implements nodes.Node.
func (*VaeDecodeShapeTrellis) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VaeDecodeShapeTrellis", Category: latentCategory, Module: module, V3: true,
		Description: "Decodes the sampled latent of a shape to a mesh.",
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}, {Type: "SHAPE_SUBDIVIDES", Name: "shape_subdivides", Tooltip: "How the cells of the shape were divided, for its texture."}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VaeDecodeShapeTrellis) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, missing("vae", "VAELoader with the shape VAE of Trellis 2")
	}
	meshes, divided, err := n.VAE.DecodeShape(told(ctx), n.Samples, resolution(n.Samples))
	if err != nil {
		return nodes.Result{}, err
	}
	out := &geometry.Mesh{}
	for i, m := range meshes {
		for k, v := range m.Vertices {
			if math.IsNaN(float64(v)) {
				return nodes.Result{}, nodes.Errorf("ValueError", "decoding the shape of item %d: vertex %d is not a number: decode it again, in float32 (--fp32-vae)", i, k/axes)
			}
		}
		if !n.Samples.Sparse.YUp {
			for k := 0; k < len(m.Vertices); k += axes {
				m.Vertices[k+1], m.Vertices[k+2] = m.Vertices[k+2], -m.Vertices[k+1]
			}
		}
		out.Items = append(out.Items, geometry.Item{Vertices: m.Vertices, Faces: m.Faces})
	}
	return nodes.Out(out, divided), nil
}

// VaeDecodeTextureTrellis decodes textures to colored cells.
type VaeDecodeTextureTrellis struct {
	Samples engine.Latent  `in:"samples" type:"LATENT"`
	VAE     *engine.VAE    `in:"vae" type:"VAE" tooltip:"Texture VAE of Trellis 2."`
	Divided engine.Divided `in:"shape_subdivides" type:"SHAPE_SUBDIVIDES" tooltip:"Output of VaeDecodeShapeTrellis: into which cells the texture is divided."`
}

// Spec implements nodes.Node.
func (*VaeDecodeTextureTrellis) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VaeDecodeTextureTrellis", Category: latentCategory, Module: module, V3: true,
		Description: "Decodes the sampled latent of a texture to cells with their color, metallic, roughness and alpha, for PaintMesh and BakeTextureFromVoxelColors.",
		Outputs:     []nodes.Output{{Type: "VOXEL", Name: "voxel_colors"}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VaeDecodeTextureTrellis) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, missing("vae", "VAELoader with the texture VAE of Trellis 2")
	}
	if len(n.Divided) == 0 {
		return nodes.Result{}, missing("shape_subdivides", "VaeDecodeShapeTrellis")
	}
	items, err := n.VAE.DecodeTexture(told(ctx), n.Samples, n.Divided)
	if err != nil {
		return nodes.Result{}, err
	}
	cells := 0
	for _, it := range items {
		cells += it.Count()
	}
	width := items[0].Values.Dim(1)
	if err := imaging.CheckSize("cells with colors", cells, width+cellAxes); err != nil {
		return nodes.Result{}, err
	}
	out := &geometry.Voxels{Batched: true, Cells: make([]int32, 0, cellAxes*cells), Colors: tensor.New(cells, width)}
	out.Colors.Data = out.Colors.Data[:0]
	for i, it := range items {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		out.Colors.Data = append(out.Colors.Data, it.Values.Data...)
		for k := 0; k < len(it.At); k += axes {
			out.Cells = append(out.Cells, int32(i), it.At[k], it.At[k+1], it.At[k+2])
		}
	}
	out.Resolution = side(n.Samples, items)
	if !n.Samples.Sparse.YUp {
		for k := 0; k < len(out.Cells); k += cellAxes {
			out.Cells[k+2], out.Cells[k+3] = out.Cells[k+3], int32(out.Resolution)-1-out.Cells[k+2]
		}
	}
	return nodes.Out(out), nil
}

// side is the number of cells along an axis: what the latent tells, or the least usual one that all cells fit into.
func side(l engine.Latent, items []family.Cells) int {
	if l.Sparse.Resolution > 0 {
		return resolution(l)
	}
	least := 1
	for _, it := range items {
		least = max(least, int(slices.Max(it.At))+1)
	}
	for _, n := range []int{256, 512, 1024, 1536, 2048} {
		if n >= least {
			return n
		}
	}
	return least
}
