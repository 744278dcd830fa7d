package nodes_test

import (
	"testing"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// TestShow wants what PreviewAny of ComfyUI 0.33.0 prints for the same values.
func TestShow(t *testing.T) {
	t.Parallel()
	one := func(v float32, shape ...int) *tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data {
			x.Data[i] = v
		}
		return x
	}
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"sigmas":       {[]float32{14.6, 0.5, 0}, "tensor([14.6000,  0.5000,  0.0000])"},
		"no sigmas":    {[]float32{}, "tensor([])"},
		"empty latent": {engine.Latent{Samples: one(0, 1, 1, 1, 2), DownscaleRatio: 8}, "{'samples': tensor([[[[0., 0.]]]]), 'downscale_ratio_spacial': 8}"},
		"masked": {
			engine.Latent{Samples: one(1, 1, 1, 1, 1), NoiseMask: one(0.5, 1, 1, 1, 1), BatchIndex: []int{2}},
			"{'samples': tensor([[[[1.]]]]), 'noise_mask': tensor([[[[0.5000]]]]), 'batch_index': [2]}",
		},
		"video": {engine.Latent{Samples: one(1, 1, 1), Along: []*tensor.Tensor{one(2, 1)}}, "{'samples': NestedTensor([tensor([[1.]]), tensor([2.])])}"},
		"conditioning": {
			engine.Conditioning{{Tokens: one(1, 1, 1, 1), Pooled: one(2, 1, 1), Values: map[string]any{"strength": 0.5, "area": "x"}}},
			"[[tensor([[[1.]]]), {'pooled_output': tensor([[2.]]), 'area': 'x', 'strength': 0.5}]]",
		},
		"order": {
			engine.Conditioning{{Values: map[string]any{"end_percent": 1.0, "set_area_to_bounds": false, "mask_strength": 0.5, "b": 1, "a": 2, "start_percent": 0.0}}},
			"[[None, {'set_area_to_bounds': False, 'mask_strength': 0.5, 'start_percent': 0.0, 'end_percent': 1.0, 'a': 2, 'b': 1}]]",
		},
		"cells":  {sampling.Area{Size: []float64{16, 8}, Offset: []float64{2, 1}}, "(16, 8, 2, 1)"},
		"shares": {sampling.Area{Size: []float64{0.3, 0.5}, Offset: []float64{0, 0.1}, Percent: true}, "('percentage', 0.3, 0.5, 0.0, 0.1)"},
		"list":   {[]any{one(1, 1), nil, []float32{2}}, "[tensor([1.]), None, tensor([2.])]"},
		"object": {pyjson.NewObject("a", one(1, 1)), "{'a': tensor([1.])}"},
		"text":   {"x'y", "x'y"},
		"edges":  {one(1, 1002), "tensor([1.,  ..., 1.])"},
	} {
		if got := nodes.Show(c.value, 1); got != c.want {
			t.Errorf("%s: have %s, want %s", name, got, c.want)
		}
	}
}
