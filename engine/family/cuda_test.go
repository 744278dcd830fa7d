package family_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/unet"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// cudaFiles are the manifests whose graphs are checked, with the number of parts that run.
var cudaFiles = map[string]int{
	"sd15-full": 6, "sd15-small-inpaint": 6, "controlnet-sd15": 1, "vae-sd": 2, "clip-l": 3, "taesd": 2, "esrgan-4x-old": 1, "realesrgan-2x": 1, "compact-2x": 1,
	"sdxl-small": 1, "sdxl-refiner-small": 1, "clip-g": 3, "controlnet-sdxl": 1,
}

// TestCUDAGraphsHaveKernels writes the graphs of all families for CUDA, from files and for computing in float32, float16
// and bfloat16, for the target that the engine uses, and looks each operator up in the list of CUDA's kernels. That
// weights are asked to stay mapped, as they are by default, must change nothing.
func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	for name, parts := range cudaFiles {
		for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			t.Run(fmt.Sprint(name, " ", stored), func(t *testing.T) {
				t.Parallel()
				checkKernels(t, described(t, name, stored), parts)
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

// checkKernels writes the graphs of a file, of which so many parts run, for computing in each type, and looks for
// operators without kernels.
func checkKernels(t *testing.T, file weights.Source, parts int) {
	t.Helper()
	found := family.Open(family.Default, file)
	for _, compute := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		target, err := engine.Target(engine.TargetOptions{Device: ort.Device{Kind: ort.CUDA}, Compute: compute, Block: 16, Lean: true})
		if err != nil {
			t.Fatal(err)
		}
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		ran := dryrun.Exercise(t.Context(), found, run)
		if run.Err != nil || len(ran) != parts {
			t.Errorf("computing in %s: %d parts ran (%v), want %d: %v", compute, len(ran), ran, parts, run.Err)
		}
		if d, _, err := found.Diffusion(); err == nil {
			g, err := d.(*unet.Model).Graph(unet.Variant{Controlled: true}).Build(run.Spec)
			if err != nil {
				t.Fatal(err)
			}
			run.Graphs = append(run.Graphs, g)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

// described is the model of a manifest with all of its floating-point weights in one type, without their bytes.
func described(t *testing.T, name string, stored dtype.DType) weights.Source {
	t.Helper()
	m, err := recipe.Load(filepath.Join(filepath.Dir(golden.Path(t, "models/x")), name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var list []weights.Entry
	for _, x := range m.Tensors {
		e := weights.Entry{Name: x.Key, DType: x.DType, Shape: x.Shape}
		if e.DType.IsFloat() {
			e.DType = stored
		}
		e.TypeName = e.DType.String()
		if len(e.Shape) == 0 || strings.HasSuffix(x.Key, "token_embedding.weight") || strings.HasSuffix(x.Key, "text_projection.weight") {
			e.Data = make([]byte, e.Count()*e.DType.Size()) // what the host reads
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b weights.Entry) int { return strings.Compare(a.Name, b.Name) })
	return dryrun.Described(list)
}
