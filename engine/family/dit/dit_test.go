package dit_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// floats is a stored tensor of float32 values.
func floats(name string, shape []int, v ...float32) weights.Entry {
	var data []byte
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return weights.Entry{Name: name, DType: dtype.F32, Shape: shape, Data: data}
}

func values(t *testing.T, src weights.Source, name string) []float32 {
	t.Helper()
	e, ok := src.Lookup(name)
	if !ok {
		t.Fatalf("%s is missing", name)
	}
	v, err := weights.Float32s(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestView joins the rows of fused layers in their own order, whatever the file's, and trades halves.
func TestView(t *testing.T) {
	t.Parallel()
	var n dit.Names
	n.Fused("own.qkv", 1, "to_q", "to_k", "to_v")
	n.Swapped("norm", "own.mod")
	n.Tensor("pos", "own.pos")
	v := n.View(dryrun.Described([]weights.Entry{
		floats("to_v.weight", []int{1, 2}, 5, 6), floats("to_q.weight", []int{1, 2}, 1, 2), floats("to_k.weight", []int{1, 2}, 3, 4),
		floats("to_q.bias", []int{1}, 7), floats("to_k.bias", []int{1}, 8), floats("to_v.bias", []int{1}, 9),
		floats("norm.weight", []int{2, 1}, 1, 2), floats("pos", []int{1}, 4), floats("other", []int{1}, 0),
	}))
	for name, want := range map[string][]float32{
		"own.qkv.weight": {1, 2, 3, 4, 5, 6}, "own.qkv.bias": {7, 8, 9}, "own.mod.weight": {2, 1}, "own.pos": {4},
	} {
		if got := values(t, v, name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if len(v.Names()) != 4 {
		t.Errorf("names %v", v.Names())
	}
}

func TestPlusOne(t *testing.T) {
	t.Parallel()
	src := dit.PlusOne(dryrun.Described([]weights.Entry{floats("norm.scale", []int{2}, 0.5, -1), floats("a.weight", []int{1}, 3)}))
	if got := values(t, src, "norm.weight"); !slices.Equal(got, []float32{1.5, 0}) {
		t.Errorf("the norm's weight is %v", got)
	}
	if got := values(t, src, "a.weight"); got[0] != 3 {
		t.Errorf("another weight is %v", got)
	}
}

// TestPatches cuts latents that the patch does not divide, and joins them again.
func TestPatches(t *testing.T) {
	t.Parallel()
	x := tensor.New(2, 3, 5, 4)
	for i := range x.Data {
		x.Data[i] = float32(i)
	}
	for _, order := range []tensor.PatchOrder{tensor.ChannelsFirst, tensor.ChannelsLast} {
		tokens, grid, err := dit.Patchify(x, 2, order)
		if err != nil {
			t.Fatal(err)
		}
		if grid.Tokens() != 6 || !slices.Equal(tokens.Shape, []int{2, 6, 12}) {
			t.Errorf("%d patches, tokens %v", grid.Tokens(), tokens.Shape)
		}
		back, err := dit.Unpatchify(tokens, grid, order)
		if err != nil || !slices.Equal(back.Data, x.Data) {
			t.Errorf("the latent did not come back: %v", err)
		}
	}
}

// TestReferences follows the method that places reference latents from an entry to a call.
func TestReferences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ given, plain, want string }{
		"none stated": {"", dit.MethodIndex, dit.MethodIndex}, "stated": {dit.MethodUXO, dit.MethodIndex, dit.MethodUXO},
		"unknown": {"sideways", dit.MethodIndex, dit.MethodOffset}, "nothing": {"", "", ""},
	} {
		cond := &sampling.Cond{Values: map[string]any{sampling.KeyReferences: []any{tensor.New(1, 1, 2, 2)}}}
		if c.given != "" {
			cond.Values[sampling.KeyReferenceMethod] = c.given
		}
		in, err := dit.References(cond, sampling.Request{Format: sampling.LatentFormat{Scale: 1}}, c.plain)
		if err != nil {
			t.Fatal(err)
		}
		refs, method := dit.GivenReferences(sampling.Inputs{List: in})
		if len(refs) != 1 || method != c.want {
			t.Errorf("%s: %d latents, method %q, want %q", name, len(refs), method, c.want)
		}
	}
}
