package pointmap

import (
	"comfygo/engine/tensor"
	"comfygo/internal/plain"
	"comfygo/internal/pyjson"
)

// Plain is the map as upstream's dictionary.
func (m *Map) Plain() any {
	if m == nil {
		return nil
	}
	o := pyjson.NewObject()
	for _, part := range []struct {
		key string
		t   *tensor.Tensor
	}{{"image", m.Image}, {"points", m.Points}, {"depth", m.Depth}, {"intrinsics", m.Intrinsics}, {"mask", m.Mask}, {"normal", m.Normals}} {
		if part.t == nil {
			continue
		}
		if part.key == "mask" {
			part.t = &tensor.Tensor{Shape: part.t.Shape, Data: part.t.Data, Type: "bool"}
		}
		o.Set(part.key, part.t)
	}
	return o
}

// FromPlain implements nodes.FromPlain. Any of the parts may be missing, as classes upstream use what is there.
func (m *Map) FromPlain(v any) error {
	o, err := plain.Dictionary(v)
	if err != nil {
		return err
	}
	var out Map
	if out.Points, err = plain.Needed(o, "points", -1, -1, -1, 3); err != nil {
		return err
	}
	b, h, w := out.Points.Shape[0], out.Points.Shape[1], out.Points.Shape[2]
	for _, part := range []struct {
		key  string
		to   **tensor.Tensor
		want []int
	}{
		{"image", &out.Image, []int{b, h, w, 3}},
		{"depth", &out.Depth, []int{b, h, w}},
		{"intrinsics", &out.Intrinsics, []int{b, 3, 3}},
		{"mask", &out.Mask, []int{b, h, w}},
		{"normal", &out.Normals, []int{b, h, w, 3}},
	} {
		if *part.to, err = plain.Tensor(o, part.key, part.want...); err != nil {
			return err
		}
	}
	*m = out
	return nil
}
