package census_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/census"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	_ "comfygo/engine/ort" // whose kernels decode embeddings
	"comfygo/engine/weights"
)

// form is a quantized form of matrices: blocks of so many elements of a row take so many bytes.
type form struct {
	format          string
	elements, bytes int
	stored          dtype.DType
}

var forms = []form{
	{"GGUF Q8_0", 32, 34, dtype.U8},
	{"GGUF Q4_K", 256, 144, dtype.U8},
	{"float8_e4m3fn", 1, 1, dtype.F8E4M3},
}

// zeros are the bytes of all tensors; no one writes to them.
var zeros = make([]byte, 1<<27)

// of stores the matrices of a sample in the form, as converters do: those whose rows consist of blocks. It counts them. Without a form the sample
// stays as it is.
func (f form) of(s census.Sample) (weights.Source, int) {
	count := 0
	list := slices.Clone(s.Tensors)
	for i, e := range list {
		if n := e.Count() * e.DType.Size(); n <= len(zeros) {
			list[i].Data = zeros[:n:n]
		}
		if f.format == "" || !strings.HasSuffix(e.Name, ".weight") || len(e.Shape) != 2 || !e.DType.IsFloat() || e.Scheme != nil || e.Shape[1]%f.elements != 0 {
			continue
		}
		scheme := &weights.Scheme{Format: f.format, Stored: f.stored, Cols: e.Shape[1]}
		if f.stored == dtype.F8E4M3 {
			scale := weights.Entry{Name: strings.TrimSuffix(e.Name, "weight") + "scale_weight", DType: dtype.F32, Data: zeros[:4]}
			scheme.Companions = map[string]weights.Entry{"weight_scale": scale}
		}
		e.DType, e.TypeName, e.Scheme = dtype.F32, f.format, scheme
		if n := e.Count() / f.elements * f.bytes; n <= len(zeros) {
			e.Data = zeros[:n:n]
		}
		list[i] = e
		count++
	}
	return dryrun.Described(list), count
}

// parts writes the graphs of a file and counts them by part.
func parts(t *testing.T, src weights.Source) (class string, graphs map[string]int, failed error) {
	t.Helper()
	target, err := nn.TargetFor(nn.TargetOptions{Linear: true, MapWeights: true})
	if err != nil {
		t.Fatal(err)
	}
	file, graphs := family.Open(family.Default, src), map[string]int{}
	run := &dryrun.Runner{Spec: family.Spec{Target: target}, Built: func(_ family.Role, g family.Graph, _ *onnx.Graph) { graphs[g.Part]++ }}
	dryrun.Exercise(t.Context(), file, run)
	return file.Describe().Family, graphs, run.Err
}

// TestEveryFamilyReadsQuantizedForms takes the samples of all families as GGUF files of two types and as scaled 8-bit floats: they are detected as before,
// and all their graphs are written. Of the models of Hunyuan-DiT, Krea 2, HiDream and audio, whose inputs only their own text encoders make, detection alone is
// tried here.
func TestEveryFamilyReadsQuantizedForms(t *testing.T) {
	t.Parallel()
	const written, detected = 82, 90
	samples, err := census.Samples()
	if err != nil {
		t.Fatal(err)
	}
	whole, told := map[string]bool{}, map[string]bool{}
	for _, s := range samples {
		if whole[s.Class] || slices.Contains(s.Stored, "U8") {
			continue
		}
		plain, _ := form{}.of(s)
		class, want, err := parts(t, plain)
		if err != nil {
			t.Errorf("%s (%s): %v", s.Name, s.Class, err)
		}
		if len(want) == 0 && told[s.Class] {
			continue
		}
		for _, f := range forms {
			src, count := f.of(s)
			if count == 0 {
				continue
			}
			got, graphs, err := parts(t, src)
			if err != nil || got != class || !maps.Equal(graphs, want) {
				t.Errorf("%s (%s) with %d matrices in %s: taken for %s, graphs %v, %v; want %s, %v", s.Name, s.Class, count, f.format, got, graphs, err, class, want)
			}
			told[s.Class], whole[s.Class] = true, whole[s.Class] || len(want) > 0
		}
	}
	if len(whole) < written || len(told) < detected {
		t.Errorf("graphs of %d families were written, %d were detected", len(whole), len(told))
	}
}
