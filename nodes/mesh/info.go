package mesh

import (
	"fmt"
	"strconv"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() { nodes.Register(&GetMeshInfo{}) }

// GetMeshInfo returns the size and the attributes of a mesh.
type GetMeshInfo struct {
	Mesh *geometry.Mesh `in:"mesh" type:"MESH"`
}

// Spec implements nodes.Node.
func (*GetMeshInfo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GetMeshInfo", DisplayName: "Get Mesh Info", Category: "3d/mesh",
		Module: "comfy_extras.nodes_save_3d", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}, {Type: "STRING", Name: "info"}},
		Hidden:      []string{"UNIQUE_ID"},
		Description: "Counts the vertices and faces of a mesh and lists its attributes.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *GetMeshInfo) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Mesh == nil || len(n.Mesh.Items) == 0 {
		return nodes.Result{}, check("mesh", n.Mesh)
	}
	info := describe(n.Mesh)
	ctx.SendText(info)
	return nodes.Out(n.Mesh, info).AddUI("text", []any{info}), nil
}

// describe is the text that upstream shows.
func describe(m *geometry.Mesh) string {
	var vertices, faces int
	for i := range m.Items {
		vertices, faces = vertices+m.Items[i].VertexCount(), faces+m.Items[i].FaceCount()
	}
	var b strings.Builder
	if len(m.Items) > 1 {
		fmt.Fprintf(&b, "Batch:      %d meshes\nVertices:   %s total\nFaces:      %s total\n", len(m.Items), count(vertices), count(faces))
		for i := range m.Items {
			fmt.Fprintf(&b, "  [%d]  %10s verts  ·  %10s faces\n", i, grouped(m.Items[i].VertexCount()), grouped(m.Items[i].FaceCount()))
		}
	} else {
		fmt.Fprintf(&b, "Vertices:   %s\nFaces:      %s\n", count(vertices), count(faces))
	}
	b.WriteString("Attributes: " + attributes(m))
	return b.String()
}

func attributes(m *geometry.Mesh) string {
	var list []string
	for _, a := range []struct {
		name  string
		there bool
		t     *tensor.Tensor
	}{
		{"uvs", m.HasUVs(), nil},
		{"vertex_colors", m.HasColors(), nil},
		{"normals", m.HasNormals(), nil},
		{"tangents", m.HasTangents(), nil},
		{"texture", m.Texture != nil, m.Texture},
		{"metallic_roughness", m.MetallicRoughness != nil, m.MetallicRoughness},
		{"normal_map", m.NormalMap != nil, m.NormalMap},
	} {
		switch {
		case !a.there:
		case a.t != nil && len(a.t.Shape) >= 3:
			list = append(list, fmt.Sprintf("%s %d×%d", a.name, a.t.Dim(-3), a.t.Dim(-2)))
		default:
			list = append(list, a.name)
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

// count formats a number with its short form, such as 1,234,567 (1.23M).
func count(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%s (%.2fM)", grouped(n), float64(n)/1e6)
	case n >= 10_000:
		return fmt.Sprintf("%s (%.1fK)", grouped(n), float64(n)/1e3)
	}
	return grouped(n)
}

// grouped writes a number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short is a number as status lines have it: 853, 12.3K, 1.23M.
func short(n int) string {
	trim := func(s string) string { return strings.TrimRight(strings.TrimRight(s, "0"), ".") }
	switch {
	case n >= 1_000_000:
		return trim(fmt.Sprintf("%.2f", float64(n)/1e6)) + "M"
	case n >= 1_000:
		return trim(fmt.Sprintf("%.1f", float64(n)/1e3)) + "K"
	}
	return strconv.Itoa(n)
}

// facesChanged is the status line of classes that change the number of faces.
func facesChanged(before, after int) string {
	s := fmt.Sprintf("faces: %s → %s", short(before), short(after))
	if before != 0 {
		s += fmt.Sprintf("  (%+.0f%%)", float64(after-before)/float64(before)*100)
	}
	return s
}
