package sampling

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// proseKeys are what the data lacks: the texts, which are this project's own.
var proseKeys = map[string]bool{"tooltip": true, "description": true, "search_aliases": true, "output_tooltips": true}

func withoutProse(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if proseKeys[key] {
				delete(v, key)
			} else {
				v[key] = withoutProse(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutProse(v[i])
		}
	}
	return v
}

func TestSchemasEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/object_info.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for name := range want {
		class, ok := nodes.Default().Get(name)
		if !ok {
			t.Errorf("%s is not registered", name)
			continue
		}
		text, err := pyjson.Marshal(class.Info(nodes.Env{}))
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[name], withoutProse(got)); diff != "" {
			t.Errorf("%s (-upstream +here):\n%s", name, diff)
		}
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	mask := tensor.New(1, 2, 2)
	area := es.Area{Size: []float64{8, 8}, Offset: []float64{0, 4}}
	got, err := entries("positive", engine.Conditioning{
		{Tokens: mask},
		{Tokens: mask, Values: map[string]any{
			"area": area, "strength": 0.5, "mask": mask, "mask_strength": 2.0, "set_area_to_bounds": true,
			"start_percent": 0.1, "end_percent": 0.9, "default": true, "concat_mask": mask, "control": nil,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if first := got[0]; first.Strength != nil || first.Area != nil || first.Mask != nil || first.Tokens != mask {
		t.Errorf("an entry without values gives %+v", first)
	}
	second := got[1]
	if *second.Strength != 0.5 || *second.MaskStrength != 2 || *second.StartPercent != 0.1 || *second.EndPercent != 0.9 {
		t.Errorf("numbers differ: %+v", second)
	}
	if second.Area.Offset[1] != 4 || second.Mask != mask || second.Values[es.KeyConcatMask] != mask || !second.MaskBounds || !second.Default {
		t.Errorf("got %+v", second)
	}
}

func TestEntriesThatCannotBeSampled(t *testing.T) {
	t.Parallel()
	for _, values := range []map[string]any{
		{"control": struct{}{}}, {"hooks": "x"}, {"strength": "1"}, {"area": []int{1, 2, 3, 4}},
	} {
		if _, err := entries("negative", engine.Conditioning{{Values: values}}); err == nil {
			t.Errorf("%v was accepted", values)
		}
	}
}

func TestNoModelIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := (&KSampler{Steps: 1}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("sampling without a model gives no error")
	}
}
