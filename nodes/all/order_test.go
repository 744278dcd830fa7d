package all_test

import (
	"slices"
	"testing"

	"comfygo/nodes"
	"comfygo/nodes/all"
	"comfygo/tests/objectinfo"
)

// TestOrder compares the order of the classes with that of the recording.
func TestOrder(t *testing.T) {
	t.Parallel()
	registry := all.Registry()
	if registry.Len() != nodes.Default().Len() {
		t.Fatalf("%d classes of %d", registry.Len(), nodes.Default().Len())
	}
	var want []string
	for _, name := range objectinfo.Recorded(t).Keys() {
		if _, ok := registry.Get(name); ok {
			want = append(want, name)
		}
	}
	if names := registry.Names(); !slices.Equal(names[:len(want)], want) {
		t.Errorf("the order is %v, want %v first", names, want)
	}
}
