package catalog_test

import (
	"slices"
	"testing"

	"comfygo/nodes/catalog"
	"comfygo/tests/objectinfo"
)

// TestCatalogEqualsRecording compares names, order and modules with the recorded /object_info.
func TestCatalogEqualsRecording(t *testing.T) {
	t.Parallel()
	recorded := objectinfo.Recorded(t)
	if !slices.Equal(catalog.Names(), recorded.Keys()) {
		t.Fatalf("the names differ from the recording: %d and %d", len(catalog.Names()), recorded.Len())
	}
	for _, c := range catalog.Classes() {
		if module := recorded.Object(c.Name).String("python_module"); c.Module != module {
			t.Errorf("%s is in module %s, want %s", c.Name, c.Module, module)
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	c, ok := catalog.Get("SAM3_Detect")
	if !ok || c.Module != "comfy_extras.nodes_sam3" || c.Uses != "the SAM 3 segmentation model" {
		t.Errorf("got %+v, %v", c, ok)
	}
	if c, _ := catalog.Get("DualCLIPLoader"); c.Uses != "pairs of text encoders" {
		t.Errorf("got %+v", c)
	}
	if _, ok := catalog.Get("NoSuchClass"); ok {
		t.Error("an unknown class is in the catalog")
	}
}
