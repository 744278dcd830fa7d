package mesh

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bake"
	"comfygo/internal/geometry/bvh"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&PaintMesh{})
	nodes.Register(&BakeTextureFromVoxel{})
	nodes.Register(&BakeNormalMapFromMesh{})
	nodes.Register(&BakeAmbientOcclusion{})
}

func checkVoxels(v *geometry.Voxels) error {
	if err := v.CheckCells(); err != nil {
		return nodes.Errorf("ValueError", "reading the input voxel_colors: %w", err)
	}
	return nil
}

// PaintMesh colors vertices by the nearest voxels.
type PaintMesh struct {
	Mesh        *geometry.Mesh   `in:"mesh" type:"MESH"`
	VoxelColors *geometry.Voxels `in:"voxel_colors" type:"VOXEL"`
}

// Spec implements nodes.Node.
func (*PaintMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PaintMesh", DisplayName: "Paint Mesh", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Gives each vertex the color of the nearest voxel.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *PaintMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if err := checkVoxels(n.VoxelColors); err != nil {
		return nodes.Result{}, err
	}
	if err := reserve(ctx, "painting a mesh", n.Mesh, 12, 0); err != nil {
		return nodes.Result{}, err
	}
	if err := ctx.Reserve("the voxels of a mesh", 3*n.VoxelColors.MemoryBytes()); err != nil {
		return nodes.Result{}, err
	}
	// As upstream, a batch keeps its positions and faces alone.
	bare := n.VoxelColors.Batched && len(n.Mesh.Items) > 1 && n.VoxelColors.Count() > 0
	items := make([]geometry.Item, len(n.Mesh.Items))
	for i, it := range n.Mesh.Items {
		if bare {
			it = geometry.Item{Vertices: it.Vertices, Faces: it.Faces}
		}
		cells, err := bake.Of(ctx, n.VoxelColors, i)
		if err != nil {
			return nodes.Result{}, err
		}
		if len(n.Mesh.Items) == 1 {
			cells = every(n.VoxelColors)
		}
		it.Channels, it.Colors = 3, make([]float32, len(it.Vertices))
		if len(cells.At) > 0 {
			if it.Colors, err = bake.Paint(ctx, &it, cells); err != nil {
				return nodes.Result{}, err
			}
		}
		items[i] = it
		ctx.Progress(float64(i+1), float64(len(items)))
	}
	if bare {
		return nodes.Out(&geometry.Mesh{Items: items}), nil
	}
	return nodes.Out(n.Mesh.WithItems(items)), nil
}

// every returns the cells of all batch items.
func every(v *geometry.Voxels) bake.Cells {
	out := bake.Cells{At: v.Cells, Colors: v.Colors, Resolution: v.Resolution}
	if v.Batched {
		out.At = make([]int32, 0, 3*v.Count())
		for i := 0; i < len(v.Cells); i += 4 {
			out.At = append(out.At, v.Cells[i+1:i+4]...)
		}
	}
	return out
}

// BakeTextureFromVoxel samples voxels into textures.
type BakeTextureFromVoxel struct {
	Mesh          *geometry.Mesh   `in:"mesh" type:"MESH"`
	VoxelColors   *geometry.Voxels `in:"voxel_colors" type:"VOXEL"`
	TextureSize   int              `in:"texture_size" display_name:"resolution" default:"2048" min:"64" max:"8192" tooltip:"Width and height of the textures in pixels."`
	ReferenceMesh *geometry.Mesh   `in:"reference_mesh" type:"MESH" optional:"true" tooltip:"Dense mesh before decimation, onto whose surface the sampled points are moved. It keeps coarse faces from showing in the texture."`
}

// Spec implements nodes.Node.
func (*BakeTextureFromVoxel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BakeTextureFromVoxel", DisplayName: "Bake Texture From Voxel", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "base_color"}, {Type: "IMAGE", Name: "metallic"}, {Type: "IMAGE", Name: "roughness"}},
		Description: "Samples voxel colors into textures for the mesh's texture coordinates. Metallic and roughness are black for voxels without them.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*BakeTextureFromVoxel) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *BakeTextureFromVoxel) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := n.check(ctx); err != nil {
		return nodes.Result{}, err
	}
	var base, metallic, roughness []*tensor.Tensor
	black := tensor.New(n.TextureSize, n.TextureSize, 3)
	for i := range n.Mesh.Items {
		cells, err := bake.Of(ctx, n.VoxelColors, i)
		if err != nil {
			return nodes.Result{}, err
		}
		if len(cells.At) == 0 || n.Mesh.Items[i].FaceCount() == 0 {
			ctx.Warn(fmt.Sprintf("item %d of the batch has no voxels or no faces: its textures are black", i))
			base, metallic, roughness = append(base, black), append(metallic, black), append(roughness, black)
			continue
		}
		reference, err := nth("reference_mesh", n.ReferenceMesh, i)
		if err != nil {
			return nodes.Result{}, err
		}
		color, packed, err := bake.Texture(ctx, &n.Mesh.Items[i], cells, reference, n.TextureSize)
		if err != nil {
			return nodes.Result{}, nodes.Errorf("ValueError", "baking the texture of item %d: %w", i, err)
		}
		base = append(base, color)
		if packed == nil {
			metallic, roughness = append(metallic, black), append(roughness, black)
		} else {
			metallic, roughness = append(metallic, gray(batch(packed), 2).Index(0)), append(roughness, gray(batch(packed), 1).Index(0))
		}
		ctx.Progress(float64(i+1), float64(len(n.Mesh.Items)))
	}
	return nodes.Out(batch(base...), batch(metallic...), batch(roughness...)), nil
}

func (n *BakeTextureFromVoxel) check(ctx *nodes.Context) error {
	if err := check("mesh", n.Mesh); err != nil {
		return err
	}
	if err := needUVs("mesh", n.Mesh); err != nil {
		return err
	}
	if err := checkVoxels(n.VoxelColors); err != nil {
		return err
	}
	if n.ReferenceMesh != nil {
		if err := check("reference_mesh", n.ReferenceMesh); err != nil {
			return err
		}
	}
	if err := atlasSize(n.TextureSize); err != nil {
		return err
	}
	pixels := int64(n.TextureSize * n.TextureSize)
	perPixel := 4 * int64(3*3*len(n.Mesh.Items)+2*n.VoxelColors.Colors.Shape[1]+12)
	return ctx.Reserve("baking textures", pixels*perPixel+12*n.VoxelColors.MemoryBytes()+n.ReferenceMesh.MemoryBytes()*4)
}

// nth is the item of an optional mesh that belongs to item i of another: item i of a batch, or the only one.
func nth(input string, m *geometry.Mesh, i int) (*geometry.Item, error) {
	if m == nil {
		return nil, nil
	}
	if len(m.Items) == 1 {
		i = 0
	}
	if i >= len(m.Items) {
		return nil, nodes.Errorf("IndexError", "reading the input %s: it has %d items, want 1 or one for each item of the other mesh", input, len(m.Items))
	}
	if m.Items[i].FaceCount() == 0 {
		return nil, nodes.Errorf("ValueError", "reading the input %s: item %d has no faces", input, i)
	}
	return &m.Items[i], nil
}

// detailed bakes a map of each item of a coarse mesh from a dense one; empty items get one color.
func detailed(ctx *nodes.Context, low, high *geometry.Mesh, side int, empty float32, bakeItem func(i int, d bake.Details) (*tensor.Tensor, error)) (nodes.Result, error) {
	if err := check("low_poly", low); err != nil {
		return nodes.Result{}, err
	}
	if err := needUVs("low_poly", low); err != nil {
		return nodes.Result{}, err
	}
	if err := check("high_poly", high); err != nil {
		return nodes.Result{}, err
	}
	if err := atlasSize(side); err != nil {
		return nodes.Result{}, err
	}
	faces := 0
	for i := range high.Items {
		faces = max(faces, high.Items[i].FaceCount())
	}
	if err := ctx.Reserve("baking details", 4*int64(side*side)*int64(3*len(low.Items)+12)+2*bvh.Bytes(faces)+4*low.MemoryBytes()); err != nil {
		return nodes.Result{}, err
	}
	var images []*tensor.Tensor
	for i := range low.Items {
		if low.Items[i].FaceCount() == 0 {
			ctx.Warn(fmt.Sprintf("item %d of low_poly has no faces: its map is blank", i))
			blank := tensor.New(side, side, 3)
			for k := range blank.Data {
				blank.Data[k] = empty
			}
			images = append(images, blank)
			continue
		}
		dense, err := nth("high_poly", high, i)
		if err != nil {
			return nodes.Result{}, err
		}
		image, err := bakeItem(i, bake.Details{Low: &low.Items[i], High: dense, Size: side})
		if err != nil {
			return nodes.Result{}, err
		}
		images = append(images, image)
	}
	return nodes.Out(batch(images...)), nil
}

// BakeNormalMapFromMesh bakes a normal map.
type BakeNormalMapFromMesh struct {
	LowPoly         *geometry.Mesh `in:"low_poly" type:"MESH"`
	HighPoly        *geometry.Mesh `in:"high_poly" type:"MESH"`
	Resolution      int            `in:"resolution" display_name:"resolution" default:"1024" min:"64" max:"8192" step:"64"`
	CageDistance    float64        `in:"cage_distance" default:"0.05" min:"0.001" max:"0.5" step:"0.001" tooltip:"How far from the coarse surface the dense one is looked for, as a fraction of the bounding box diagonal. Raise it where patches are missing, lower it where other surfaces show."`
	IgnoreBackfaces bool           `in:"ignore_backfaces" default:"true" tooltip:"Leave out surfaces that face away, as the opposite wall of a narrow gap. Needs consistent winding."`
}

// Spec implements nodes.Node.
func (*BakeNormalMapFromMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BakeNormalMapFromMesh", DisplayName: "Bake Normal Map from Mesh", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "normal_map"}},
		Description: "Bakes the surface of a dense mesh into a tangent-space normal map (OpenGL, +Y) for a coarse mesh with texture coordinates.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*BakeNormalMapFromMesh) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *BakeNormalMapFromMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	return detailed(ctx, n.LowPoly, n.HighPoly, n.Resolution, 0.5, func(i int, d bake.Details) (*tensor.Tensor, error) {
		image, err := d.Normals(ctx, n.CageDistance, n.IgnoreBackfaces)
		ctx.Progress(float64(i+1), float64(len(n.LowPoly.Items)))
		return image, err
	})
}

// BakeAmbientOcclusion bakes ambient occlusion.
type BakeAmbientOcclusion struct {
	LowPoly     *geometry.Mesh `in:"low_poly" type:"MESH"`
	HighPoly    *geometry.Mesh `in:"high_poly" type:"MESH"`
	Resolution  int            `in:"resolution" default:"1024" min:"64" max:"8192" step:"64"`
	Samples     int            `in:"samples" default:"64" min:"4" max:"1024" step:"4" tooltip:"Rays for each pixel: more give less noise and take longer."`
	MaxDistance float64        `in:"max_distance" default:"0.5" min:"0.01" max:"2.0" step:"0.01" tooltip:"Length of the rays as a fraction of the bounding box diagonal."`
	Strength    float64        `in:"strength" default:"1.0" min:"0.0" max:"2.0" step:"0.05" tooltip:"Factor of the occlusion."`
	Bias        float64        `in:"bias" default:"0.01" min:"0.0001" max:"0.2" step:"0.0005" tooltip:"Distance of the rays' origins from the surface as a fraction of the bounding box diagonal. Raise it where flat surfaces show dark blotches."`
}

// Spec implements nodes.Node.
func (*BakeAmbientOcclusion) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BakeAmbientOcclusion", DisplayName: "Bake Ambient Occlusion", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "occlusion"}},
		Description: "Bakes the ambient occlusion of a dense mesh into a texture for a coarse mesh with texture coordinates: white is open, dark are crevices.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*BakeAmbientOcclusion) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node. The rays are random; unlike upstream's they are the same at each run.
func (n *BakeAmbientOcclusion) Run(ctx *nodes.Context) (nodes.Result, error) {
	const mostSamples = 1024
	if n.Samples < 1 || n.Samples > mostSamples {
		return nodes.Result{}, nodes.Errorf("ValueError", "baking ambient occlusion: %d samples, want 1 to %d", n.Samples, mostSamples)
	}
	random := torchrand.New(0)
	return detailed(ctx, n.LowPoly, n.HighPoly, n.Resolution, 1, func(i int, d bake.Details) (*tensor.Tensor, error) {
		return d.Occlusion(ctx, bake.OcclusionOptions{
			Samples: n.Samples, Distance: n.MaxDistance, Strength: n.Strength, Bias: n.Bias, Random: random,
			Progress: func(done, total int) {
				ctx.Progress(float64(i)+float64(done)/float64(total), float64(len(n.LowPoly.Items)))
			},
		})
	})
}
