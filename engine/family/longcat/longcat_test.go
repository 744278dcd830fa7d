package longcat_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/weights"
)

// small is a Flux schnell with the text encoding's width of LongCat-Image, and without a pooled encoding.
func small(t *testing.T) weights.Source {
	t.Helper()
	const width = 3584
	src := familytest.Without(familytest.Manifest(t, "flux-schnell-small", dtype.F16), "vector_in.")
	var list []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		if name == "txt_in.weight" {
			e.Shape = []int{e.Shape[0], width}
		}
		list = append(list, e)
	}
	return dryrun.Described(list)
}

func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	_, fam, err := family.Open(family.Default, small(t)).Diffusion()
	if err != nil || fam.Name() != "LongCat-Image" {
		t.Fatalf("read as %v: %v", fam, err)
	}
	familytest.CheckCUDA(t, small(t), 1)
}
