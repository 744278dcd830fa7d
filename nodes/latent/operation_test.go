package latent_test

import (
	"slices"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/latent"
	"comfygo/tests/golden"
)

// operation returns what a node of an operation gives.
func operation(t *testing.T, n nodes.Node) latent.Operation {
	t.Helper()
	r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	return r.Values[0].(latent.Operation)
}

// TestOperations compares with upstream's formulas, computed in double precision with numpy: every 37th value.
func TestOperations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		node nodes.Node
		want []float32
	}{
		{"tonemap 1", &latent.LatentOperationTonemapReinhard{Multiplier: 1}, []float32{
			0.07724151, 0.3499006, 1.292606, -0.6285929, -0.9569115, 0.3733979, 0.426438, -0.6165937, 0.9397353, 0.4523953,
		}},
		{"tonemap 0.3", &latent.LatentOperationTonemapReinhard{Multiplier: 0.3}, []float32{
			0.05255435, 0.2486265, 0.7266399, -0.3690557, -0.5821512, 0.2393838, 0.2815022, -0.4403534, 0.5478318, 0.301566,
		}},
		{"sharpen 2", &latent.LatentOperationSharpen{Radius: 2, Sigma: 1, Alpha: 0.1}, []float32{
			0.2876719, 0.9577164, 3.542146, -1.46615, -2.654152, 0.9353418, 0.7360782, -1.300103, 1.982973, 1.311596,
		}},
		{"sharpen 5", &latent.LatentOperationSharpen{Radius: 5, Sigma: 0.7, Alpha: 1.5}, []float32{
			2.440116, 8.029643, 29.59329, -12.12415, -22.14169, 7.573415, 4.904306, -12.09313, 16.50534, 7.349353,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := golden.Normal("latent/operation", 2, 4, 6, 7)
			before := x.Clone()
			r, err := (&latent.LatentApplyOperation{Samples: engine.Latent{Samples: x}, Operation: operation(t, c.node)}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
			if err != nil {
				t.Fatal(err)
			}
			got := golden.Strided(r.Values[0].(engine.Latent).Samples.Data, 37)
			golden.Compare(t, c.name, got, c.want, golden.Tolerance{RMSRel: 2e-6}) // float32 sums of up to 121 products
			if !slices.Equal(x.Data, before.Data) {
				t.Error("the input was changed")
			}
		})
	}
}

func TestOperationsThatCannotBeApplied(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	op := operation(t, &latent.LatentOperationSharpen{Radius: 9, Sigma: 1, Alpha: 0.1})
	for _, shape := range [][]int{{1, 4, 8, 64}, {1, 4, 2, 32, 32}} {
		n := &latent.LatentApplyOperation{Samples: engine.Latent{Samples: tensor.New(shape...)}, Operation: op}
		if _, err := n.Run(ctx); err == nil {
			t.Errorf("latents of %v were sharpened", shape)
		}
	}
	if _, err := (&latent.LatentApplyOperation{Samples: engine.Latent{Samples: tensor.New(1, 4, 8, 8)}}).Run(ctx); err == nil {
		t.Error("no operation gives no error")
	}
	if _, err := (&latent.LatentApplyOperationCFG{Operation: op}).Run(ctx); err == nil {
		t.Error("no model gives no error")
	}
}

func batchOf(first float32, n, h, w int) *tensor.Tensor {
	x := tensor.New(n, 1, h, w)
	for i := range x.Data {
		x.Data[i] = first + float32(i/(h*w))
	}
	return x
}

func TestRebatchLatents(t *testing.T) {
	t.Parallel()
	mask := tensor.New(1, 4, 4)
	r, err := (&latent.RebatchLatents{BatchSize: []int{2}, Latents: []engine.Latent{
		{Samples: batchOf(0, 3, 2, 2)},
		{Samples: batchOf(10, 2, 2, 2), BatchIndex: []int{7, 9}},
		{Samples: batchOf(20, 1, 1, 2), NoiseMask: mask},
		{Samples: batchOf(30, 1, 1, 2)},
	}}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	// The mask of the third is 4x4, that of the fourth would be 8x16: they make no batch.
	if err == nil {
		t.Fatalf("masks of two sizes made a batch: %v", r.Values)
	}
	mask = tensor.New(1, 8, 16)
	if r, err = (&latent.RebatchLatents{BatchSize: []int{2}, Latents: []engine.Latent{
		{Samples: batchOf(0, 3, 2, 2)},
		{Samples: batchOf(10, 2, 2, 2), BatchIndex: []int{7, 9}},
		{Samples: batchOf(20, 1, 1, 2), NoiseMask: mask},
		{Samples: batchOf(30, 1, 1, 2)},
	}}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		firsts, numbers []int
		masked          bool
	}{{[]int{0, 1}, []int{0, 1}, false}, {[]int{2, 10}, []int{2, 7}, false}, {[]int{11}, []int{9}, false}, {[]int{20, 30}, []int{5, 6}, true}}
	got := r.Values[0].([]engine.Latent)
	if len(got) != len(want) {
		t.Fatalf("%d batches, want %d", len(got), len(want))
	}
	for i, w := range want {
		if got[i].Samples.Dim(0) != len(w.firsts) || (got[i].NoiseMask != nil) != w.masked {
			t.Fatalf("batch %d is %v, masked %v", i, got[i].Samples.Shape, got[i].NoiseMask != nil)
		}
		for j, first := range w.firsts {
			if got[i].Samples.Index(j).Data[0] != float32(first) || got[i].BatchIndex[j] != w.numbers[j] {
				t.Errorf("batch %d, latent %d: %v with number %d, want %d with %d", i, j, got[i].Samples.Index(j).Data[0], got[i].BatchIndex[j], first, w.numbers[j])
			}
		}
	}
	if m := got[3].NoiseMask; m.Data[0] != 0 || m.Data[len(m.Data)-1] != 1 {
		t.Error("a latent without a mask is not changed everywhere")
	}
}

func TestBatchLatents(t *testing.T) {
	t.Parallel()
	r, err := (&latent.BatchLatents{Latents: nodes.Grown{Names: []string{"latent0", "latent1"}, Values: []any{
		engine.Latent{Samples: batchOf(1, 2, 4, 4), BatchIndex: []int{5, 6}}, engine.Latent{Samples: batchOf(3, 1, 2, 2)},
	}}}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	l := r.Values[0].(engine.Latent)
	if l.Samples.Dim(0) != 3 || l.Samples.Dim(2) != 4 || l.Samples.Index(2).Data[0] != 3 {
		t.Errorf("got %v", l.Samples)
	}
	if len(l.BatchIndex) != 3 || l.BatchIndex[1] != 6 || l.BatchIndex[2] != 0 {
		t.Errorf("numbers are %v", l.BatchIndex)
	}
}

func TestReplaceVideoLatentFrames(t *testing.T) {
	t.Parallel()
	class, ok := nodes.Default().Get("ReplaceVideoLatentFrames")
	if !ok {
		t.Fatal("not registered")
	}
	video := func(frames int, v float32) engine.Latent {
		x := tensor.New(1, 2, frames, 1, 1)
		for i := range x.Data {
			x.Data[i] = v
		}
		return engine.Latent{Samples: x}
	}
	for _, c := range []struct {
		index int
		want  []float32 // of both channels
	}{
		{0, []float32{2, 2, 1, 1, 2, 2, 1, 1}},
		{2, []float32{1, 1, 2, 2, 1, 1, 2, 2}},
		{-3, []float32{1, 2, 2, 1, 1, 2, 2, 1}},
		{3, []float32{1, 1, 1, 1, 1, 1, 1, 1}},
		{-9, []float32{1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		n, err := class.Bind(pyjson.NewObject("destination", video(4, 1), "source", video(2, 2), "index", c.index), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Values[0].(engine.Latent).Samples.Data; !slices.Equal(got, c.want) {
			t.Errorf("from %d on: %v, want %v", c.index, got, c.want)
		}
	}
}
