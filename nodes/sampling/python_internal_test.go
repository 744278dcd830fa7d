package sampling

import (
	"reflect"
	"testing"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// TestEntriesOfPython has an entry as it comes back from a node in Python: an area as a list, whole numbers.
func TestEntriesOfPython(t *testing.T) {
	t.Parallel()
	area := es.Area{Size: []float64{4, 4}, Offset: []float64{2, 2}}
	got, err := entries("positive", engine.Conditioning{{Tokens: tensor.New(1, 1, 1), Values: map[string]any{
		es.KeyArea: area.Listed(), es.KeyStrength: int64(1), es.KeyStart: int64(0), es.KeyEnd: int64(1),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	c := got[0]
	if c.Area == nil || !reflect.DeepEqual(*c.Area, area) || *c.Strength != 1 || *c.StartPercent != 0 || *c.EndPercent != 1 {
		t.Errorf("the entry is read as %+v", c)
	}
	for key, v := range map[string]any{es.KeyArea: []any{int64(1)}, es.KeyStrength: "1", es.KeyMask: []any{}} {
		if _, err := entries("positive", engine.Conditioning{{Values: map[string]any{key: v}}}); err == nil {
			t.Errorf("%s as %v is taken", key, v)
		}
	}
}
