package mesh

import (
	"context"
	"math"

	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() { nodes.Register(&MergeMeshes{}) }

// MergeMeshes joins meshes into one.
type MergeMeshes struct {
	Meshes nodes.Grown `in:"meshes" autogrow:"mesh" item:"MESH" prefix:"mesh" least:"2" most:"50"`
}

// Spec implements nodes.Node.
func (*MergeMeshes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MergeMeshes", DisplayName: "Merge Meshes", Category: "3d/mesh",
		Module: "comfy_extras.nodes_save_3d", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Joins the first item of each mesh into one mesh. Missing texture coordinates become 0, missing colors white; the first texture is kept.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MergeMeshes) Run(ctx *nodes.Context) (nodes.Result, error) {
	if len(n.Meshes.Values) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "merging meshes: no mesh is connected")
	}
	var meshes []*geometry.Mesh
	var vertices, faces, channels int
	uvs, colors := false, false
	for i, v := range n.Meshes.Values {
		m, err := nodes.Read[geometry.Mesh](v)
		if err != nil {
			return nodes.Result{}, nodes.Errorf("TypeError", "reading the input meshes.%s: want a mesh: %w", n.Meshes.Names[i], err)
		}
		if err := check("meshes."+n.Meshes.Names[i], m); err != nil {
			return nodes.Result{}, err
		}
		it := &m.Items[0]
		vertices, faces = vertices+it.VertexCount(), faces+it.FaceCount()
		uvs = uvs || it.UVs != nil
		colors = colors || it.Colors != nil
		channels = max(channels, it.Channels)
		meshes = append(meshes, m)
	}
	if vertices > math.MaxInt32 {
		return nodes.Result{}, nodes.Errorf("ValueError", "merging meshes: they have %d vertices, at most %d are possible", vertices, math.MaxInt32)
	}
	if err := ctx.Reserve("a merged mesh", 4*int64(vertices*(3+2+channels)+3*faces)); err != nil {
		return nodes.Result{}, err
	}
	out := &geometry.Mesh{Items: make([]geometry.Item, 1)}
	it := &out.Items[0]
	if colors {
		it.Colors, it.Channels = []float32{}, channels
	}
	if uvs {
		it.UVs = []float32{}
	}
	for _, m := range meshes {
		if err := appendItem(ctx, it, &m.Items[0]); err != nil {
			return nodes.Result{}, err
		}
		switch {
		case m.Texture == nil:
		case out.Texture == nil:
			out.Texture = m.Texture
		default:
			ctx.Warn("a merged mesh has one texture: those of the meshes behind the first with one were left out")
		}
	}
	return nodes.Out(out), nil
}

// appendItem adds the vertices and faces of one item to another, with the attributes that that one has.
func appendItem(ctx context.Context, to, from *geometry.Item) error {
	offset, n := int32(to.VertexCount()), from.VertexCount()
	to.Vertices = append(to.Vertices, from.Vertices...)
	err := geometry.Each(ctx, len(from.Faces), func(i int) { to.Faces = append(to.Faces, from.Faces[i]+offset) })
	if err != nil {
		return err
	}
	if to.UVs != nil {
		if from.UVs == nil {
			to.UVs = append(to.UVs, make([]float32, 2*n)...)
		} else {
			to.UVs = append(to.UVs, from.UVs...)
		}
	}
	if to.Colors == nil {
		return nil
	}
	return geometry.Each(ctx, n, func(i int) {
		for c := range to.Channels {
			v := float32(1)
			if from.Colors != nil && c < from.Channels {
				v = from.Colors[from.Channels*i+c]
			}
			to.Colors = append(to.Colors, v)
		}
	})
}
