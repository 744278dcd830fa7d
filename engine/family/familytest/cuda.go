package familytest

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/nn"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
)

// computed are the compute types that a GPU has, and the types in which the weights of files are stored.
var computed = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}

// Targets returns the CUDA target of each compute type. Weights are requested to stay mapped, which must have no effect on
// CUDA.
func Targets(t *testing.T) []nn.Target {
	t.Helper()
	var out []nn.Target
	for _, compute := range computed {
		target, err := nn.TargetFor(nn.TargetOptions{CUDA: true, Compute: compute, Block: 16, MapWeights: true})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, target)
	}
	return out
}

// CheckCUDA writes the graphs of a file's parts for CUDA in each compute type, from weights stored in each type, and fails
// for operators that CUDA has no kernel for. parts is the number of parts that have to run, as dryrun.Exercise counts them:
// three for a text encoder.
func CheckCUDA(t *testing.T, file weights.Source, parts int) {
	t.Helper()
	for _, stored := range computed {
		CheckKernels(t, Stored(file, stored), parts)
	}
}

// CheckKernels is CheckCUDA for weights as the file has them.
func CheckKernels(t *testing.T, file weights.Source, parts int) {
	t.Helper()
	found := family.Open(family.Default, file)
	for _, target := range Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		ran := dryrun.Exercise(t.Context(), found, run)
		if run.Err != nil || len(ran) != parts {
			t.Errorf("computing in %s: %d parts ran (%v), want %d: %v", target.Compute, len(ran), ran, parts, run.Err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

// Stored returns a file with all floating-point weights in one type. Tensors that have data get zeros.
func Stored(file weights.Source, d dtype.DType) weights.Source {
	var list []weights.Entry
	for _, name := range file.Names() {
		e, ok := file.Lookup(name)
		if !ok {
			continue
		}
		if e.DType.IsFloat() && e.Scheme == nil {
			hasData := len(e.Data) > 0
			e = weights.Entry{Name: e.Name, DType: d, TypeName: d.String(), Shape: e.Shape}
			if hasData {
				e.Data = make([]byte, e.Count()*d.Size())
			}
		}
		list = append(list, e)
	}
	return dryrun.Described(list)
}
