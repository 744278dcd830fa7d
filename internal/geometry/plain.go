package geometry

import (
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/plain"
	"comfygo/internal/pyjson"
)

// padded makes of rows of each item a tensor [B,N,shape…] with zeros after the shorter ones.
func padded(rows [][]float32, shape ...int) *tensor.Tensor {
	width, most := tensor.Count(shape), 0
	for _, r := range rows {
		most = max(most, len(r)/width)
	}
	out := tensor.New(append([]int{len(rows), most}, shape...)...)
	for i, r := range rows {
		copy(out.Data[i*most*width:], r)
	}
	return out
}

// countsOf is nil where all items have as many rows, as upstream has it.
func countsOf(counts []int32) any {
	if len(slices.Compact(slices.Clone(counts))) < 2 {
		return nil
	}
	return plain.Floats(counts, "int64", len(counts))
}

// counts reads the lengths of items; all are n without the key.
func counts(o *pyjson.Object, key string, items, n int) ([]int32, error) {
	t, err := plain.Tensor(o, key, items)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return slices.Repeat([]int32{int32(min(n, plain.Exact))}, items), nil
	}
	return plain.Whole(key, t, n)
}

// rowsOf returns the rows of an item of a padded tensor, or nil without the tensor.
func rowsOf(t *tensor.Tensor, item int, n int32) []float32 {
	if t == nil {
		return nil
	}
	one := t.Index(item)
	width := tensor.Count(one.Shape[1:])
	return one.Data[: int(n)*width : int(n)*width]
}

// Object is the mesh as an object of upstream's class. An item's colors without alpha become opaque where others have it.
func (m *Mesh) Object() (pyjson.Instance, error) {
	if err := m.Check(); err != nil {
		return pyjson.Instance{}, err
	}
	var vertices, faces, uvs, colors, normals, tangents [][]float32
	var vertexCounts, faceCounts []int32
	channels := 0
	for i := range m.Items {
		channels = max(channels, m.Items[i].Channels)
	}
	for i := range m.Items {
		it := &m.Items[i]
		if it.VertexCount() > plain.Exact {
			return pyjson.Instance{}, fmt.Errorf("item %d has %d vertices, at most %d can be given to Python", i, it.VertexCount(), plain.Exact)
		}
		vertices, uvs, normals, tangents = append(vertices, it.Vertices), append(uvs, it.UVs), append(normals, it.Normals), append(tangents, it.Tangents)
		faces = append(faces, plain.Floats(it.Faces, "", len(it.Faces)).Data)
		colors = append(colors, opaque(it, channels))
		vertexCounts, faceCounts = append(vertexCounts, int32(it.VertexCount())), append(faceCounts, int32(it.FaceCount()))
	}
	triangles := padded(faces, 3)
	triangles.Type = "int64"
	o := pyjson.NewObject("vertices", padded(vertices, 3), "faces", triangles, "unlit", m.Unlit, "occlusion_in_mr", m.OcclusionInMR)
	vc, fc := countsOf(vertexCounts), countsOf(faceCounts)
	if vc != nil || fc != nil {
		o.Set("vertex_counts", plain.Floats(vertexCounts, "int64", len(m.Items))).Set("face_counts", plain.Floats(faceCounts, "int64", len(m.Items)))
	}
	for _, a := range []struct {
		key   string
		rows  [][]float32
		width int
		there bool
	}{{"uvs", uvs, 2, m.HasUVs()}, {"vertex_colors", colors, channels, m.HasColors()}, {"normals", normals, 3, m.HasNormals()}, {"tangents", tangents, 4, m.HasTangents()}} {
		if a.there {
			o.Set(a.key, padded(a.rows, a.width))
		}
	}
	for key, t := range m.maps() {
		if *t != nil {
			o.Set(key, *t)
		}
	}
	if m.Material != nil {
		o.Set("material", m.Material.Plain())
	}
	return pyjson.Instance{Class: "MESH", Attributes: o}, nil
}

// maps are the textures by upstream's names.
func (m *Mesh) maps() map[string]**tensor.Tensor {
	return map[string]**tensor.Tensor{"texture": &m.Texture, "metallic_roughness": &m.MetallicRoughness, "normal_map": &m.NormalMap, "emissive": &m.Emissive}
}

// opaque are an item's colors with the given number of channels.
func opaque(it *Item, channels int) []float32 {
	if it.Colors == nil || it.Channels == channels {
		return it.Colors
	}
	out := make([]float32, 0, it.VertexCount()*channels)
	for c := range slices.Chunk(it.Colors, it.Channels) {
		out = append(append(out, c...), 1)
	}
	return out
}

// FromPlain implements nodes.FromPlain.
func (m *Mesh) FromPlain(v any) error {
	o, err := plain.Attributes(v, "MESH")
	if err != nil {
		return err
	}
	vertices, err := plain.Needed(o, "vertices", -1, -1, 3)
	if err != nil {
		return err
	}
	b, n := vertices.Shape[0], vertices.Shape[1]
	faces, err := plain.Needed(o, "faces", b, -1, 3)
	if err != nil {
		return err
	}
	indexes, err := plain.Whole("faces", faces, plain.Exact)
	if err != nil {
		return err
	}
	var uvs, colors, normals, tangents *tensor.Tensor
	var errs []error
	for _, a := range []struct {
		key   string
		to    **tensor.Tensor
		width int
	}{{"uvs", &uvs, 2}, {"vertex_colors", &colors, -1}, {"normals", &normals, 3}, {"tangents", &tangents, 4}} {
		*a.to, err = plain.Tensor(o, a.key, b, n, a.width)
		errs = append(errs, err)
	}
	var out Mesh
	for key, t := range out.maps() {
		*t, err = plain.Tensor(o, key, -1, -1, -1, -1)
		errs = append(errs, err)
	}
	vertexCounts, err := counts(o, "vertex_counts", b, n)
	errs = append(errs, err)
	faceCounts, err := counts(o, "face_counts", b, faces.Shape[1])
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	for i := range b {
		k := vertexCounts[i]
		from := 3 * i * faces.Shape[1]
		it := Item{Vertices: rowsOf(vertices, i, k), Faces: indexes[from : from+3*int(faceCounts[i])], UVs: rowsOf(uvs, i, k), Normals: rowsOf(normals, i, k), Tangents: rowsOf(tangents, i, k)}
		if colors != nil {
			it.Colors, it.Channels = rowsOf(colors, i, k), colors.Shape[2]
		}
		out.Items = append(out.Items, it)
	}
	unlit, _ := o.Get("unlit")
	packed, _ := o.Get("occlusion_in_mr")
	out.Unlit, out.OcclusionInMR = unlit == true, packed == true
	if material, _ := o.Get("material"); material != nil {
		out.Material = &Material{}
		if err := out.Material.FromPlain(material); err != nil {
			return fmt.Errorf("material: %w", err)
		}
	}
	if err := out.Check(); err != nil {
		return err
	}
	*m = out
	return nil
}

// Plain is the material as upstream's dictionary.
func (f *Material) Plain() any {
	o := pyjson.NewObject("metallic_factor", f.Metallic, "roughness_factor", f.Roughness, "emissive_factor", []any{f.Emissive[0], f.Emissive[1], f.Emissive[2]},
		"emissive_strength", f.EmissiveStrength, "normal_scale", f.NormalScale, "occlusion_strength", f.OcclusionStrength, "double_sided", f.DoubleSided)
	if f.BaseColor != nil {
		color := []any{}
		for _, c := range f.BaseColor {
			color = append(color, c)
		}
		o.Set("base_color_factor", color)
	}
	return o
}

// FromPlain reads upstream's dictionary; what is missing has upstream's default.
func (f *Material) FromPlain(v any) error {
	o, err := plain.Dictionary(v)
	if err != nil {
		return err
	}
	out := Material{Metallic: -1, Roughness: -1, EmissiveStrength: 1, NormalScale: 1, OcclusionStrength: 1, DoubleSided: true}
	for key, to := range map[string]*float64{
		"metallic_factor": &out.Metallic, "roughness_factor": &out.Roughness, "emissive_strength": &out.EmissiveStrength, "normal_scale": &out.NormalScale, "occlusion_strength": &out.OcclusionStrength,
	} {
		if !o.Has(key) {
			continue
		}
		if *to, err = plain.Number(o, key); err != nil {
			return err
		}
	}
	if sides, ok := o.Get("double_sided"); ok {
		out.DoubleSided = sides == true
	}
	if out.BaseColor, err = numbers(o, "base_color_factor", 4); err != nil {
		return err
	}
	emissive, err := numbers(o, "emissive_factor", 3)
	if err != nil {
		return err
	}
	copy(out.Emissive[:], emissive)
	*f = out
	return nil
}

// numbers reads a list of n numbers; nil if it is not there.
func numbers(o *pyjson.Object, key string, n int) ([]float64, error) {
	v, _ := o.Get(key)
	if v == nil {
		return nil, nil
	}
	list, _ := v.([]any)
	var out []float64
	for _, e := range list {
		x, err := plain.Number(pyjson.NewObject(key, e), key)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	if len(out) != n {
		return nil, fmt.Errorf("%s is %s, want %d numbers", key, pyjson.Repr(v), n)
	}
	return out, nil
}

// Object is the voxels as an object of upstream's class.
func (v *Voxels) Object() (pyjson.Instance, error) {
	o := pyjson.NewObject("data", v.Grid)
	if v.Sparse() {
		if v.Resolution > plain.Exact {
			return pyjson.Instance{}, fmt.Errorf("a resolution of %d cannot be given to Python", v.Resolution)
		}
		o = pyjson.NewObject("data", plain.Floats(v.Cells, "int32", v.Count(), v.Columns()), "resolution", int64(v.Resolution))
		if v.Colors != nil {
			o.Set("voxel_colors", v.Colors)
		}
	}
	return pyjson.Instance{Class: "VOXEL", Attributes: o}, nil
}

// FromPlain implements nodes.FromPlain: two axes are a list of cells, four a volume.
func (v *Voxels) FromPlain(from any) error {
	o, err := plain.Attributes(from, "VOXEL")
	if err != nil {
		return err
	}
	data, _ := o.Get("data")
	t, ok := data.(*tensor.Tensor)
	if !ok {
		return fmt.Errorf("data is a %s, want a tensor", pyjson.TypeName(data))
	}
	if len(t.Shape) != 2 {
		out := Voxels{Grid: t}
		if err := out.CheckGrid(); err != nil {
			return err
		}
		*v = out
		return nil
	}
	if t.Shape[1] != 3 && t.Shape[1] != 4 {
		return fmt.Errorf("cells have the shape %v, want [M,3] or [M,4]", t.Shape)
	}
	out := Voxels{Batched: t.Shape[1] == 4}
	if out.Cells, err = plain.Whole("data", t, MaxResolution); err != nil {
		return err
	}
	if out.Colors, err = plain.Tensor(o, "voxel_colors", t.Shape[0], -1); err != nil {
		return err
	}
	if r, _ := o.Get("resolution"); r != nil {
		n, err := plain.Number(o, "resolution")
		if err != nil {
			return err
		}
		if !(n >= 1 && n <= MaxResolution) {
			return fmt.Errorf("the resolution is %v, want 1 to %d", n, MaxResolution)
		}
		out.Resolution = int(n)
	}
	*v = out
	return nil
}

// Object is the splats as an object of upstream's class. Coefficients that an item does not have are 0.
func (s *Splats) Object() (pyjson.Instance, error) {
	var positions, scales, rotations, opacities, sh [][]float32
	var lengths []int32
	terms := 1
	for i := range s.Items {
		terms = max(terms, s.Items[i].K)
	}
	for i := range s.Items {
		it := &s.Items[i]
		n := len(it.Positions) / 3
		if len(it.SH) != 3*n*it.K {
			return pyjson.Instance{}, fmt.Errorf("item %d has %d coefficients of %d splats, want %d each", i, len(it.SH), n, 3*it.K)
		}
		positions, scales, rotations, opacities = append(positions, it.Positions), append(scales, it.Scales), append(rotations, it.Rotations), append(opacities, it.Opacities)
		all := make([]float32, 3*n*terms)
		for j := range n {
			copy(all[3*j*terms:], it.SH[3*j*it.K:3*(j+1)*it.K])
		}
		sh, lengths = append(sh, all), append(lengths, int32(n))
	}
	o := pyjson.NewObject("positions", padded(positions, 3), "scales", padded(scales, 3), "rotations", padded(rotations, 4), "opacities", padded(opacities, 1),
		"sh", padded(sh, terms, 3))
	if c := countsOf(lengths); c != nil {
		o.Set("counts", c)
	}
	return pyjson.Instance{Class: "SPLAT", Attributes: o}, nil
}

// FromPlain implements nodes.FromPlain.
func (s *Splats) FromPlain(v any) error {
	o, err := plain.Attributes(v, "SPLAT")
	if err != nil {
		return err
	}
	positions, err := plain.Needed(o, "positions", -1, -1, 3)
	if err != nil {
		return err
	}
	b, n := positions.Shape[0], positions.Shape[1]
	scales, err1 := plain.Needed(o, "scales", b, n, 3)
	rotations, err2 := plain.Needed(o, "rotations", b, n, 4)
	opacities, err3 := plain.Needed(o, "opacities", b, n, 1)
	sh, err4 := plain.Needed(o, "sh", b, n, -1, 3)
	lengths, err5 := counts(o, "counts", b, n)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	var out Splats
	for i, k := range lengths {
		out.Items = append(out.Items, SplatItem{
			Positions: rowsOf(positions, i, k), Scales: rowsOf(scales, i, k), Rotations: rowsOf(rotations, i, k), Opacities: rowsOf(opacities, i, k),
			SH: rowsOf(sh, i, k), K: sh.Shape[2],
		})
	}
	*s = out
	return nil
}
