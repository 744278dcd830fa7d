package mesh_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image/png"
	"math"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	_ "comfygo/nodes/mesh"
	_ "comfygo/nodes/splat" // CreateCameraInfo
	"comfygo/tests/nodecalls"
)

// options make and describe values as testdata/meshes.py does.
func options() nodecalls.Options {
	return nodecalls.Options{
		Described: described,
		Makers: map[string]func(*pyjson.Object, func(any) any) any{
			"mesh": makeMesh,
			"file": func(r *pyjson.Object, _ func(any) any) any {
				return geometry.Memory(decoded(r.String("data")), r.String("format"))
			},
			"grid": func(r *pyjson.Object, value func(any) any) any {
				return &geometry.Voxels{Grid: value(r.Object("data")).(*tensor.Tensor)}
			},
			"array": func(r *pyjson.Object, _ func(any) any) any { return floats(r) },
			"cells": func(r *pyjson.Object, _ func(any) any) any {
				cells, width := ints(r.Object("cells"))
				n, _ := r.Get("resolution")
				return &geometry.Voxels{Cells: cells, Batched: width == 4, Colors: floats(r.Object("colors")), Resolution: int(n.(int64))}
			},
			"file3d": func(r *pyjson.Object, _ func(any) any) any {
				return geometry.Memory(decoded(r.String("data")), r.String("format"))
			},
		},
	}
}

// TestCalls compares with upstream's results; testdata/cases.py says which differences are allowed and why.
func TestCalls(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"calls.json.gz", "calls_post.json.gz", "calls_decimate.json.gz", "calls_remesh.json.gz", "calls_bake.json.gz", "calls_unwrap.json.gz", "calls_render.json.gz", "calls_saved.json.gz", "calls_random.json.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodecalls.Run(t, name, options())
		})
	}
}

func decoded(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return data
}

func shape(r *pyjson.Object) []int {
	list, _ := r.Get("shape")
	var out []int
	for _, n := range list.([]any) {
		out = append(out, int(n.(int64)))
	}
	return out
}

func floats(r *pyjson.Object) *tensor.Tensor {
	return &tensor.Tensor{Shape: shape(r), Data: numbers(decoded(r.String("data")))}
}

func numbers(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func ints(r *pyjson.Object) (values []int32, width int) {
	data := decoded(r.String("data"))
	values = make([]int32, len(data)/4)
	for i := range values {
		values[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
	s := shape(r)
	return values, s[len(s)-1]
}

func makeMesh(r *pyjson.Object, value func(any) any) any {
	m := &geometry.Mesh{}
	list, _ := r.Get("items")
	for _, e := range list.([]any) {
		var it geometry.Item
		for key, v := range e.(*pyjson.Object).All() {
			o := v.(*pyjson.Object)
			switch key {
			case "vertices":
				it.Vertices = floats(o).Data
			case "faces":
				it.Faces, _ = ints(o)
			case "uvs":
				it.UVs = floats(o).Data
			case "vertex_colors":
				t := floats(o)
				it.Colors, it.Channels = t.Data, t.Shape[1]
			case "normals":
				it.Normals = floats(o).Data
			case "tangents":
				it.Tangents = floats(o).Data
			}
		}
		m.Items = append(m.Items, it)
	}
	unlit, _ := r.Get("unlit")
	packed, _ := r.Get("occlusion_in_mr")
	m.Unlit, m.OcclusionInMR = unlit.(bool), packed.(bool)
	for key, v := range r.Object("stacks").All() {
		t := value(v).(*tensor.Tensor)
		switch key {
		case "texture":
			m.Texture = t
		case "metallic_roughness":
			m.MetallicRoughness = t
		case "normal_map":
			m.NormalMap = t
		case "emissive":
			m.Emissive = t
		}
	}
	if o := r.Object("material"); o != nil {
		m.Material = material(o)
	}
	return m
}

func material(o *pyjson.Object) *geometry.Material {
	number := func(key string, fallback float64) float64 {
		if v, ok := o.Get(key); ok {
			return v.(float64)
		}
		return fallback
	}
	list := func(key string) (out []float64) {
		v, _ := o.Get(key)
		l, _ := v.([]any)
		for _, e := range l {
			switch e := e.(type) {
			case float64:
				out = append(out, e)
			case int64:
				out = append(out, float64(e))
			}
		}
		return out
	}
	m := &geometry.Material{
		BaseColor: list("base_color_factor"), Metallic: number("metallic_factor", -1), Roughness: number("roughness_factor", -1),
		EmissiveStrength: number("emissive_strength", 1), NormalScale: number("normal_scale", 1), OcclusionStrength: number("occlusion_strength", 1), DoubleSided: true,
	}
	copy(m.Emissive[:], list("emissive_factor"))
	if v, ok := o.Get("double_sided"); ok {
		m.DoubleSided = v.(bool)
	}
	return m
}

func described(v any) (any, bool) {
	switch v := v.(type) {
	case *geometry.Mesh:
		return describedMesh(v), true
	case *geometry.File:
		return describedFile(v), true
	}
	return nil, false
}

func describedMesh(m *geometry.Mesh) *pyjson.Object {
	items := []any{}
	for i := range m.Items {
		it := &m.Items[i]
		faces := make([]float32, len(it.Faces))
		for i, f := range it.Faces {
			faces[i] = float32(f)
		}
		o := pyjson.NewObject("vertices", table(it.Vertices, 3), "faces", table(faces, 3))
		for _, a := range []struct {
			name   string
			values []float32
			width  int
		}{{"uvs", it.UVs, 2}, {"vertex_colors", it.Colors, it.Channels}, {"normals", it.Normals, 3}, {"tangents", it.Tangents, 4}} {
			if a.values != nil {
				o.Set(a.name, table(a.values, a.width))
			}
		}
		items = append(items, o)
	}
	o := pyjson.NewObject("items", items, "unlit", m.Unlit, "occlusion_in_mr", m.OcclusionInMR)
	for name, t := range map[string]*tensor.Tensor{"texture": m.Texture, "metallic_roughness": m.MetallicRoughness, "normal_map": m.NormalMap, "emissive": m.Emissive} {
		if t != nil {
			o.Set(name, t)
		}
	}
	return o
}

func table(values []float32, width int) *tensor.Tensor {
	return &tensor.Tensor{Shape: []int{len(values) / width, width}, Data: values}
}

// describedFile is a GLB file by its JSON, the numbers of its buffer and the pixels of its images; another file by its bytes.
func describedFile(f *geometry.File) *pyjson.Object {
	data, err := f.Bytes(1 << 20)
	if err != nil {
		panic(err)
	}
	if f.Format() != "glb" || !bytes.HasPrefix(data, []byte("glTF")) {
		t := tensor.New(len(data))
		for i, b := range data {
			t.Data[i] = float32(b)
		}
		return pyjson.NewObject("format", f.Format(), "bytes", t)
	}
	if n := binary.LittleEndian.Uint32(data[8:]); int(n) != len(data) {
		panic("the header has another length")
	}
	length := binary.LittleEndian.Uint32(data[12:])
	doc, err := pyjson.UnmarshalObject(data[20 : 20+length])
	if err != nil {
		panic(err)
	}
	buffer := data[28+length:]
	start := len(buffer)
	images := []any{}
	views, _ := doc.Get("bufferViews")
	list, _ := doc.Get("images")
	stored, _ := list.([]any)
	for _, p := range stored {
		at, _ := p.(*pyjson.Object).Get("bufferView")
		view := views.([]any)[at.(int64)].(*pyjson.Object)
		offset, _ := view.Get("byteOffset")
		size, _ := view.Get("byteLength")
		start = min(start, int(offset.(int64)))
		images = append(images, pixels(buffer[offset.(int64):offset.(int64)+size.(int64)]))
		view.Set("byteOffset", int64(0)).Set("byteLength", int64(0))
	}
	first, _ := doc.Get("buffers")
	first.([]any)[0].(*pyjson.Object).Set("byteLength", int64(start))
	text, err := pyjson.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return pyjson.NewObject("format", "glb", "json", string(text), "numbers", &tensor.Tensor{Shape: []int{start / 4}, Data: numbers(buffer[:start])}, "images", images)
}

func pixels(data []byte) *tensor.Tensor {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	b := img.Bounds()
	t := tensor.New(b.Dy(), b.Dx(), 3)
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := img.At(x, y).RGBA()
			for c, v := range []uint32{r, g, bl} {
				t.Data[(y*b.Dx()+x)*3+c] = float32(v >> 8)
			}
		}
	}
	return t
}
