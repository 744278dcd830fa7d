package depthmap

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/plain"
	"comfygo/internal/pyjson"
)

// Plain is the map as upstream's dictionary; there cameras have a leading axis of one scene.
func (m *Map) Plain() any {
	if m == nil {
		return nil
	}
	o := pyjson.NewObject("depth", m.Depth, "image", m.Image, "mode", "mono")
	if m.Extrinsics != nil && m.Intrinsics != nil {
		o.Set("mode", "multiview")
		o.Set("extrinsics", &tensor.Tensor{Shape: append([]int{1}, m.Extrinsics.Shape...), Data: m.Extrinsics.Data})
		o.Set("intrinsics", &tensor.Tensor{Shape: append([]int{1}, m.Intrinsics.Shape...), Data: m.Intrinsics.Data})
	}
	if m.Sky != nil {
		o.Set("sky", m.Sky)
	}
	if m.Confidence != nil {
		o.Set("confidence", m.Confidence)
	}
	return o
}

// FromPlain implements nodes.FromPlain.
func (m *Map) FromPlain(v any) error {
	o, err := plain.Dictionary(v)
	if err != nil {
		return err
	}
	var out Map
	if out.Depth, err = plain.Needed(o, "depth", -1, -1, -1); err != nil {
		return err
	}
	b, h, w := out.Depth.Shape[0], out.Depth.Shape[1], out.Depth.Shape[2]
	for _, part := range []struct {
		key  string
		to   **tensor.Tensor
		want []int
	}{{"image", &out.Image, []int{b, h, w, 3}}, {"sky", &out.Sky, []int{b, h, w}}, {"confidence", &out.Confidence, []int{b, h, w}}} {
		if *part.to, err = plain.Tensor(o, part.key, part.want...); err != nil {
			return err
		}
	}
	if out.Extrinsics, err = scene(o, "extrinsics", b); err != nil {
		return err
	}
	if out.Intrinsics, err = scene(o, "intrinsics", b); err != nil {
		return err
	}
	*m = out
	return nil
}

// scene reads cameras [1,B,rows,columns].
func scene(o *pyjson.Object, key string, views int) (*tensor.Tensor, error) {
	t, err := plain.Tensor(o, key, 1, views, -1, -1)
	if t == nil || err != nil {
		return nil, err
	}
	if r, c := t.Shape[2], t.Shape[3]; c != 3 && c != 4 || r != 3 && r != 4 {
		return nil, fmt.Errorf("%s has the shape %v, want matrices of 3x3, 3x4 or 4x4", key, t.Shape)
	}
	return t.Reshape(t.Shape[1:]...)
}
