package geometry

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// Mesh is the value of MESH links: a batch of meshes, each with its own number of vertices and faces.
//
// Upstream pads a batch to its largest mesh; Items have their own lengths. A per-vertex attribute is present for all items
// or for none.
type Mesh struct {
	Items []Item

	// Textures of all items, [B,H,W,3] in 0…1, or nil: base color, glTF's metallicRoughness map (G roughness, B metallic),
	// tangent-space normals (OpenGL, +Y) and emission.
	Texture, MetallicRoughness, NormalMap, Emissive *tensor.Tensor
	// OcclusionInMR reports that R of MetallicRoughness is ambient occlusion.
	OcclusionInMR bool
	// Unlit meshes are shown without light, as meshes made of Gaussian splats are.
	Unlit bool
	// Material has factors that override those derived from the textures, or is nil.
	Material *Material
}

// Item is one mesh of N vertices and M triangles. Attributes that are not there are nil; an item without vertices has
// empty, non-nil ones.
type Item struct {
	Vertices []float32 // [N,3]
	Faces    []int32   // [M,3], indexes of vertices, counterclockwise from outside

	UVs      []float32 // [N,2]
	Colors   []float32 // [N,Channels], linear RGB or RGBA in 0…1
	Channels int       // 3 or 4 with Colors
	Normals  []float32 // [N,3]
	Tangents []float32 // [N,4]: unit tangent and handedness
}

// Material are the factors of glTF's material. A nil or negative factor leaves the default.
type Material struct {
	BaseColor           []float64 // RGBA
	Metallic, Roughness float64   // below 0: automatic
	Emissive            [3]float64
	EmissiveStrength    float64
	NormalScale         float64
	OcclusionStrength   float64
	DoubleSided         bool
}

// VertexCount returns the number of vertices.
func (it *Item) VertexCount() int { return len(it.Vertices) / 3 }

// FaceCount returns the number of triangles.
func (it *Item) FaceCount() int { return len(it.Faces) / 3 }

// Corner returns the vertices of a triangle.
func (it *Item) Corner(face int) (a, b, c int32) {
	f := it.Faces[3*face : 3*face+3 : 3*face+3]
	return f[0], f[1], f[2]
}

// MemoryBytes is the size in host memory.
func (m *Mesh) MemoryBytes() int64 {
	if m == nil {
		return 0
	}
	var n int64
	for i := range m.Items {
		it := &m.Items[i]
		n += int64(len(it.Vertices) + len(it.Faces) + len(it.UVs) + len(it.Colors) + len(it.Normals) + len(it.Tangents))
	}
	for _, t := range []*tensor.Tensor{m.Texture, m.MetallicRoughness, m.NormalMap, m.Emissive} {
		if t != nil {
			n += int64(len(t.Data))
		}
	}
	return 4 * n
}

// WithItems returns a mesh with other items and everything else of m.
func (m *Mesh) WithItems(items []Item) *Mesh {
	out := *m
	out.Items = items
	return &out
}

// HasUVs reports whether the items have texture coordinates.
func (m *Mesh) HasUVs() bool { return len(m.Items) > 0 && m.Items[0].UVs != nil }

// HasColors reports whether the items have vertex colors.
func (m *Mesh) HasColors() bool { return len(m.Items) > 0 && m.Items[0].Colors != nil }

// HasNormals reports whether the items have vertex normals.
func (m *Mesh) HasNormals() bool { return len(m.Items) > 0 && m.Items[0].Normals != nil }

// HasTangents reports whether the items have tangents.
func (m *Mesh) HasTangents() bool { return len(m.Items) > 0 && m.Items[0].Tangents != nil }

// Check reports the faults of a mesh that came over a link: no items, attributes that do not match the vertices, attributes
// of some items only, indexes out of range, textures that are not [B,H,W,3], coordinates that are not finite.
func (m *Mesh) Check() error {
	if m == nil || len(m.Items) == 0 {
		return fmt.Errorf("the batch is empty; connect a mesh with at least one item")
	}
	for i := range m.Items {
		if err := m.Items[i].check(&m.Items[0]); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	for _, t := range []struct {
		name string
		t    *tensor.Tensor
	}{{"texture", m.Texture}, {"metallic-roughness map", m.MetallicRoughness}, {"normal map", m.NormalMap}, {"emissive map", m.Emissive}} {
		if t.t == nil {
			continue
		}
		if s := t.t.Shape; len(s) != 4 || s[3] < 3 || s[1] == 0 || s[2] == 0 || tensor.Count(s) != len(t.t.Data) {
			return fmt.Errorf("the %s has shape %v, want [B,H,W,3]", t.name, s)
		}
	}
	return nil
}

func (it *Item) check(first *Item) error {
	n := it.VertexCount()
	if len(it.Vertices) != 3*n || len(it.Faces)%3 != 0 {
		return fmt.Errorf("%d coordinates and %d indexes are no whole vertices and triangles", len(it.Vertices), len(it.Faces))
	}
	if it.Colors != nil && it.Channels != 3 && it.Channels != 4 {
		return fmt.Errorf("vertex colors have %d channels, want 3 or 4", it.Channels)
	}
	for _, a := range []struct {
		name       string
		have, want int
		there      bool
	}{
		{"texture coordinates", len(it.UVs), 2 * n, (it.UVs != nil) == (first.UVs != nil)},
		{"vertex colors", len(it.Colors), it.Channels * n, (it.Colors != nil) == (first.Colors != nil)},
		{"normals", len(it.Normals), 3 * n, (it.Normals != nil) == (first.Normals != nil)},
		{"tangents", len(it.Tangents), 4 * n, (it.Tangents != nil) == (first.Tangents != nil)},
	} {
		switch {
		case !a.there:
			return fmt.Errorf("%s must be there for all items or for none", a.name)
		case a.have != 0 && a.have != a.want:
			return fmt.Errorf("%s have %d values, want %d for %d vertices", a.name, a.have, a.want, n)
		}
	}
	for i, f := range it.Faces {
		if f < 0 || int(f) >= n {
			return fmt.Errorf("face %d refers to vertex %d, there are %d", i/3, f, n)
		}
	}
	for i, v := range it.Vertices {
		if bad := math.IsNaN(float64(v)) || math.IsInf(float64(v), 0); bad {
			return fmt.Errorf("vertex %d has the coordinate %v, want a finite number", i/3, v)
		}
	}
	return nil
}

// Bounds returns the smallest and the largest coordinates; zeros for a mesh without vertices.
func (it *Item) Bounds() (lo, hi [3]float32) {
	if len(it.Vertices) < 3 {
		return lo, hi
	}
	copy(lo[:], it.Vertices)
	copy(hi[:], it.Vertices)
	for i, v := range it.Vertices {
		lo[i%3], hi[i%3] = min(lo[i%3], v), max(hi[i%3], v)
	}
	return lo, hi
}
