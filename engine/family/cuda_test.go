package family_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/unet"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// cudaFiles are the manifests whose graphs are checked, with the number of parts that run.
var cudaFiles = map[string]int{
	"sd15-full": 6, "sd15-small-inpaint": 6, "controlnet-sd15": 1, "vae-sd": 2, "clip-l": 3, "taesd": 2, "esrgan-4x-old": 1, "realesrgan-2x": 1, "compact-2x": 1,
	"sdxl-small": 1, "sdxl-refiner-small": 1, "clip-g": 3, "controlnet-sdxl": 1,
	"flux-tiny-dev": 1, "flux-tiny-diffusers": 1, "sd35-small": 1,
}

// TestCUDAGraphsHaveKernels writes the graphs of all families for CUDA, from files and for computing in float32, float16
// and bfloat16, and looks each operator up in the list of CUDA's kernels. A family without a manifest calls
// familytest.CheckCUDA in its own folder.
func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	for name, parts := range cudaFiles {
		for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			t.Run(fmt.Sprint(name, " ", stored), func(t *testing.T) {
				t.Parallel()
				checkKernels(t, familytest.Manifest(t, name, stored), parts)
			})
		}
	}
	var videos struct {
		Cases []struct {
			ID      string   `json:"id"`
			Weights [][2]any `json:"weights"`
		} `json:"cases"`
	}
	golden.JSON(t, "vae/taehv", &videos)
	for _, c := range videos.Cases {
		t.Run("taehv "+c.ID, func(t *testing.T) {
			t.Parallel()
			var list []weights.Entry
			for _, w := range c.Weights {
				e := weights.Entry{Name: w[0].(string), DType: dtype.F16, TypeName: "F16"}
				for _, n := range w[1].([]any) {
					e.Shape = append(e.Shape, int(n.(float64)))
				}
				list = append(list, e)
			}
			checkKernels(t, dryrun.Described(list), 2)
		})
	}
}

// checkKernels is familytest.CheckKernels, with the graph that a U-Net has beside a ControlNet.
func checkKernels(t *testing.T, file weights.Source, parts int) {
	t.Helper()
	familytest.CheckKernels(t, file, parts)
	d, _, err := family.Open(family.Default, file).Diffusion()
	m, ok := d.(*unet.Model)
	if err != nil || !ok {
		return
	}
	for _, target := range familytest.Targets(t) {
		g, err := m.Graph(unet.Variant{Input: []int{1}, Output: []int{0, 1}, Middle: true}).Build(family.Spec{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		cudakernels.Check(t, g)
	}
}

// TestCUDAGraphsWithLoRA is the same for U-Nets all of whose linear and convolution weights have a branch.
func TestCUDAGraphsWithLoRA(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sd15-full", "sdxl-small"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _, err := family.Open(family.Default, familytest.Manifest(t, name, dtype.F16)).Diffusion()
			if err != nil {
				t.Fatal(err)
			}
			m := d.(*unet.Model)
			adapters := branches(t, m.Source)
			for _, target := range familytest.Targets(t) {
				g, err := m.Graph(unet.Variant{}).Build(family.Spec{Target: target, Adapters: adapters})
				if err != nil {
					t.Fatal(err)
				}
				if len(g.Parameters()) == 0 {
					t.Error("the graph has no parameters")
				}
				cudakernels.Check(t, g)
			}
		})
	}
}

// branches is a LoRA of rank 2 for every weight of two or four axes.
func branches(t *testing.T, src weights.Source) *patch.Part {
	t.Helper()
	var keys patch.KeyMap
	var list []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		if len(e.Shape) != 2 && len(e.Shape) != 4 {
			continue
		}
		keys.AddKey(name, "m."+name)
		up, down := []int{e.Shape[0], 2}, append([]int{2}, e.Shape[1:]...)
		if len(e.Shape) == 4 {
			up = append(up, 1, 1)
		}
		for factor, shape := range map[string][]int{"up": up, "down": down} {
			list = append(list, weights.Entry{
				Name: name + ".lora_" + factor + ".weight", DType: dtype.F16, TypeName: "F16", Shape: shape, Data: make([]byte, 2*tensor.Count(shape)),
			})
		}
	}
	lora, err := weights.Memory("lora", list...)
	if err != nil {
		t.Fatal(err)
	}
	f, err := patch.Read(lora, &keys, func(key string) []int {
		e, _ := src.Lookup(strings.TrimPrefix(key, "m."))
		return e.Shape
	})
	if err != nil {
		t.Fatal(err)
	}
	return patch.Stack{}.With(f, 1).Part("m.")
}
