package wan

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/weights"
)

// TestSplitMusic splits the joined projections of a file into three and leaves everything else unchanged.
func TestSplitMusic(t *testing.T) {
	t.Parallel()
	joined := []float32{1, 2, 3, 4, 5, 6}
	entry := func(name string, shape ...int) weights.Entry {
		data := make([]byte, 4*len(joined))
		if err := weights.FromFloat32(data, joined, dtype.F32); err != nil {
			t.Fatal(err)
		}
		return weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: shape, Data: data}
	}
	src := splitMusic{dryrun.Described([]weights.Entry{
		entry("music_encoder.0.self_attn.in_proj_weight", 3, 2), entry("music_encoder.0.self_attn.in_proj_bias", 6), entry("blocks.0.self_attn.in_proj_weight", 6),
	})}
	names := src.Names()
	if len(names) != 7 || !slices.Contains(names, "music_encoder.0.self_attn.v_proj.bias") || !slices.Contains(names, "blocks.0.self_attn.in_proj_weight") {
		t.Errorf("%v", names)
	}
	for name, want := range map[string][]float32{
		"music_encoder.0.self_attn.k_proj.weight": {3, 4}, "music_encoder.0.self_attn.v_proj.bias": {5, 6}, "blocks.0.self_attn.in_proj_weight": joined,
	} {
		e, ok := src.Lookup(name)
		got, err := weights.Float32s(e)
		if !ok || err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"music_encoder.0.self_attn.o_proj.weight", "music_encoder.1.self_attn.q_proj.weight", "blocks.0.self_attn.q_proj.weight"} {
		if _, ok := src.Lookup(name); ok {
			t.Errorf("%s: it is there", name)
		}
	}
}
