package mesh

import (
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/shade"
	"comfygo/internal/geometry/uv"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&RenderUVAtlas{})
	nodes.Register(&MeshTextureToImage{})
	nodes.Register(&ApplyTextureToMesh{})
}

// needUVs refuses meshes without texture coordinates.
func needUVs(input string, m *geometry.Mesh) error {
	if !m.HasUVs() {
		return nodes.Errorf("ValueError", "reading the input %s: the mesh has no texture coordinates; unwrap it first (UnwrapMesh)", input)
	}
	return nil
}

// RenderUVAtlas draws the charts of a mesh.
type RenderUVAtlas struct {
	Mesh       *geometry.Mesh `in:"mesh" type:"MESH"`
	Resolution int            `in:"resolution" default:"1024" min:"64" max:"4096" step:"64" tooltip:"Width and height of the image in pixels."`
}

// Spec implements nodes.Node.
func (*RenderUVAtlas) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RenderUVAtlas", DisplayName: "Render UV Atlas", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "image"}},
		Description: "Draws the texture layout of a mesh: each chart in a color of its own.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*RenderUVAtlas) Sizes(s *nodes.Sizing) nodes.Images {
	side := s.Number("resolution")
	return nodes.Images{Count: 1, Width: side, Height: side, Lists: 1, Exact: true, Made: true}
}

// Run implements nodes.Node.
func (n *RenderUVAtlas) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if !n.Mesh.HasUVs() {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "reading the input mesh: the mesh has no texture coordinates; unwrap it first (UnwrapMesh)")
	}
	if err := atlasSize(n.Resolution); err != nil {
		return nodes.Result{}, err
	}
	it := &n.Mesh.Items[0]
	if err := ctx.Reserve("a UV atlas", 16*int64(n.Resolution*n.Resolution)+48*int64(len(it.Faces))); err != nil {
		return nodes.Result{}, err
	}
	image, err := uv.Atlas(ctx, it.UVs, it.Faces, n.Resolution)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(batch(image)), nil
}

// maxSide bounds the sides of textures; indexes of pixels fit into 31 bits.
const maxSide = 1 << 14

func atlasSize(side int) error {
	if side < 1 || side > maxSide {
		return nodes.Errorf("ValueError", "making a texture of %dx%d pixels: want 1 to %d", side, side, maxSide)
	}
	return imaging.CheckSize("a texture", side, side, 3)
}

// batch joins images [H,W,C] of one size.
func batch(images ...*tensor.Tensor) *tensor.Tensor {
	shape := append([]int{len(images)}, images[0].Shape...)
	if len(images) == 1 {
		return &tensor.Tensor{Shape: shape, Data: images[0].Data}
	}
	out := &tensor.Tensor{Shape: shape}
	for _, image := range images {
		out.Data = append(out.Data, image.Data...)
	}
	return out
}

// clamped limits an image to 0…1; NaN stays.
func clamped(t *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(t.Shape...)
	for i, v := range t.Data {
		out.Data[i] = min(max(v, 0), 1)
	}
	return out
}

// gray repeats a channel of [B,H,W,C] three times.
func gray(t *tensor.Tensor, channel int) *tensor.Tensor {
	out, c := tensor.New(t.Shape[0], t.Shape[1], t.Shape[2], 3), t.Shape[3]
	for i := range len(out.Data) / 3 {
		v := t.Data[i*c+channel]
		out.Data[3*i], out.Data[3*i+1], out.Data[3*i+2] = v, v, v
	}
	return out
}

// filled is an image of the shape of another in one color.
func filled(like *tensor.Tensor, color ...float32) *tensor.Tensor {
	out := tensor.New(like.Shape...)
	for i := range out.Data {
		out.Data[i] = color[i%like.Shape[3]%len(color)]
	}
	return out
}

// MeshTextureToImage takes the textures out of a mesh.
type MeshTextureToImage struct {
	Mesh *geometry.Mesh `in:"mesh" type:"MESH"`
}

// Spec implements nodes.Node.
func (*MeshTextureToImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MeshTextureToImage", DisplayName: "Mesh Texture to Image", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "base_color"}, {Type: "IMAGE", Name: "metallic"}, {Type: "IMAGE", Name: "roughness"}, {Type: "IMAGE", Name: "occlusion"}, {Type: "IMAGE", Name: "normal_map"}},
		Description: "Outputs the textures of a mesh as images. Missing ones are black (metallic, roughness), white (occlusion) or flat (normal map).",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*MeshTextureToImage) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *MeshTextureToImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if n.Mesh.Texture == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input mesh: it has no base color texture; bake one first (BakeTextureFromVoxel), vertex colors are no texture")
	}
	if err := ctx.Reserve("textures as images", 6*4*int64(len(n.Mesh.Texture.Data))); err != nil {
		return nodes.Result{}, err
	}
	base := clamped(n.Mesh.Texture)
	packed, normal := tensor.New(base.Shape...), filled(base, 0.5, 0.5, 1)
	if n.Mesh.MetallicRoughness != nil {
		packed = clamped(n.Mesh.MetallicRoughness)
	}
	if n.Mesh.NormalMap != nil {
		normal = clamped(n.Mesh.NormalMap)
	}
	occlusion := filled(base, 1)
	if n.Mesh.OcclusionInMR {
		occlusion = gray(packed, 0)
	}
	return nodes.Out(base, gray(packed, 2), gray(packed, 1), occlusion, normal), nil
}

// ApplyTextureToMesh attaches textures to a mesh.
type ApplyTextureToMesh struct {
	Mesh      *geometry.Mesh `in:"mesh" type:"MESH"`
	BaseColor *tensor.Tensor `in:"base_color" type:"IMAGE"`
	Metallic  *tensor.Tensor `in:"metallic" type:"IMAGE" optional:"true"`
	Roughness *tensor.Tensor `in:"roughness" type:"IMAGE" optional:"true"`
	Occlusion *tensor.Tensor `in:"occlusion" type:"IMAGE" optional:"true"`
	NormalMap *tensor.Tensor `in:"normal_map" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*ApplyTextureToMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ApplyTextureToMesh", DisplayName: "Apply Texture to Mesh", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Attaches texture images to a mesh with texture coordinates: the one that they were baked for.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ApplyTextureToMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if err := needUVs("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	for _, in := range []struct {
		name     string
		image    *tensor.Tensor
		channels int
	}{{"base_color", n.BaseColor, 3}, {"metallic", n.Metallic, 1}, {"roughness", n.Roughness, 1}, {"occlusion", n.Occlusion, 1}, {"normal_map", n.NormalMap, 3}} {
		if in.image == nil && in.name != "base_color" {
			continue
		}
		if err := checkImage(in.name, in.image); err != nil {
			return nodes.Result{}, err
		}
		if c := in.image.Shape[3]; c < in.channels {
			return nodes.Result{}, nodes.Errorf("ValueError", "reading the input %s: it has %d channels, want %d", in.name, c, in.channels)
		}
	}
	if err := reserve(ctx, "a textured mesh", n.Mesh, 120, 0); err != nil {
		return nodes.Result{}, err
	}
	items := make([]geometry.Item, len(n.Mesh.Items))
	for i, it := range n.Mesh.Items {
		it.UVs = uv.Unit(it.UVs)
		if n.NormalMap != nil {
			if err := addTangents(ctx, &it); err != nil {
				return nodes.Result{}, err
			}
		}
		items[i] = it
	}
	out := n.Mesh.WithItems(items)
	out.Texture = clamped(n.BaseColor)
	if n.NormalMap != nil {
		out.NormalMap = clamped(n.NormalMap)
	}
	return n.pack(out)
}

// addTangents adds the tangents that a normal map needs, and the normals that they belong to.
func addTangents(ctx *nodes.Context, it *geometry.Item) error {
	if it.FaceCount() == 0 {
		it.Normals, it.Tangents = make([]float32, len(it.Vertices)), make([]float32, 4*it.VertexCount())
		return nil
	}
	var err error
	if it.Normals == nil {
		if it.Normals, err = shade.Vertex(ctx, it); err != nil {
			return err
		}
	}
	it.Tangents, err = shade.Tangents(ctx, it, it.UVs, it.Normals)
	return err
}

// pack joins occlusion, roughness and metallic into one texture.
func (n *ApplyTextureToMesh) pack(out *geometry.Mesh) (nodes.Result, error) {
	parts := []*tensor.Tensor{n.Occlusion, n.Roughness, n.Metallic}
	b, h, w := 0, 0, 0
	for _, t := range []*tensor.Tensor{n.Metallic, n.Roughness, n.Occlusion} {
		if t == nil {
			continue
		}
		if b != 0 && b != t.Shape[0] {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "packing textures: metallic, roughness and occlusion are batches of %d and %d images, want equal ones", b, t.Shape[0])
		}
		b, h, w = t.Shape[0], max(h, t.Shape[1]), max(w, t.Shape[2])
	}
	if b == 0 {
		return nodes.Out(out), nil
	}
	if err := imaging.CheckSize("a packed texture", b, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	packed := tensor.New(b, h, w, 3)
	for k, missing := range []float32{1, 1, 0} {
		t := parts[k]
		for i := k; t == nil && i < len(packed.Data); i += 3 {
			packed.Data[i] = missing
		}
		if t == nil {
			continue
		}
		one := tensor.New(t.Shape[0], t.Shape[1], t.Shape[2], 1)
		for i := range one.Data {
			one.Data[i] = min(max(t.Data[i*t.Shape[3]], 0), 1)
		}
		if t.Shape[1] != h || t.Shape[2] != w {
			var err error
			if one, err = imaging.UpscaleImage(one, w, h, "bilinear", "disabled"); err != nil {
				return nodes.Result{}, err
			}
		}
		for i, v := range one.Data {
			packed.Data[3*i+k] = v
		}
	}
	out.MetallicRoughness = packed
	if n.Occlusion != nil {
		out.OcclusionInMR = true
	}
	return nodes.Out(out), nil
}
