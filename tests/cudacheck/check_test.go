package cudacheck_test

import (
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/tests/cudacheck"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// TestGraphs writes the graphs of the samples that cover all families, and of those that have come since graphs.txt was
// written, and looks their operators up in the list of CUDA's kernels. make cuda-check writes those of all samples, from
// weights in all types.
func TestGraphs(t *testing.T) {
	t.Parallel()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	samples, err := cudacheck.Samples(root)
	if err != nil {
		t.Fatal(err)
	}
	known, err := cudacheck.Known()
	if err != nil {
		t.Fatal(err)
	}
	c := cudacheck.New(family.Default)
	covered := map[string]bool{}
	for _, s := range samples {
		f := known[s.Name]
		if f != nil && !f.Short || f == nil && !s.Whole() {
			continue
		}
		found, families, err := c.Check(t.Context(), s, dtype.Invalid)
		if err != nil {
			t.Error(err)
		}
		for compute, parts := range found {
			for _, problem := range cudacheck.Compare(f, compute, parts) {
				t.Errorf("%s in %s: %s", s.Name, compute, problem)
			}
		}
		for _, name := range families {
			covered[name] = true
		}
	}
	if len(covered) < 60 {
		t.Errorf("graphs of %d families were written", len(covered))
	}
}

// TestCompare holds what is reported.
func TestCompare(t *testing.T) {
	t.Parallel()
	found := map[string]*cudacheck.Found{"model": {Short: true, Parts: map[dtype.DType]map[string]*cudacheck.Part{}}}
	for _, compute := range cudacheck.Computed {
		found["model"].Parts[compute] = map[string]*cudacheck.Part{"unet": {Nodes: 100, Digest: "0a"}}
	}
	const line = "*model | unet | 100:0a 100:0a 100:0a\n"
	if text := cudacheck.Format(found); !strings.HasSuffix(text, "\n"+line) {
		t.Errorf("stored as %q", text)
	}
	for nodes, want := range map[int]int{90: 0, 102: 0, 103: 1} {
		if got := cudacheck.Compare(found["model"], dtype.F16, map[string]*cudacheck.Part{"unet": {Nodes: nodes}}); len(got) != want {
			t.Errorf("%d operators: %q", nodes, got)
		}
	}
	lacking := map[string]*cudacheck.Part{"vae decoder": {Missing: []cudakernels.Missing{{Op: "Resize", Types: "bfloat16", Opset: 22}}}}
	if got := cudacheck.Compare(nil, dtype.BF16, lacking); len(got) != 1 || !strings.Contains(got[0], "Resize(bfloat16)") {
		t.Errorf("without a kernel: %q", got)
	}
}
