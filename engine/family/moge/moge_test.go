package moge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// read returns the recorded network of a file.
func read(t *testing.T, src weights.Source) family.PointMapNetwork {
	t.Helper()
	n, err := family.Open(family.Default, src).Geometry()
	if err != nil {
		t.Fatal(err)
	}
	return n.(family.PointMapNetwork)
}

// TestEqualsUpstream compares what versions 1 and 2 find, the latter with normals and without; torch's own error in float32 is about 1e-5 where
// depths are exponentials.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	x := golden.Normal("moge/x", 2, 3, 20, 33)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	tolerance := golden.Tolerance{RMSRel: 2e-5}
	for name, tokens := range map[string]int{"first": 2500, "second": 3600, "plain": 3600} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "moge")
		n := read(t, src)
		if least, most := n.Tokens(); least != 1200 || most != tokens {
			t.Errorf("%s: %d to %d patches", name, least, most)
		}
		y, err := n.Points(t.Context(), familytest.Runner{}, x, 30)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		familytest.Compare(t, stored, "points", y.Points, tolerance)
		if name != "plain" {
			familytest.Compare(t, stored, "mask", y.Mask, tolerance)
		}
		if second := name != "first"; y.Ahead != second || y.Threshold != 0.5 || (y.Scale != nil) != second || (y.Normals != nil) != (name == "second") {
			t.Errorf("%s: %v, %v, scale %v", name, y.Ahead, y.Threshold, y.Scale)
		}
		if y.Scale != nil {
			familytest.Compare(t, stored, "metric_scale", &tensor.Tensor{Shape: []int{2}, Data: y.Scale}, tolerance)
		}
		if y.Normals != nil {
			familytest.Compare(t, stored, "normal", y.Normals, tolerance)
		}
		if n.Memory(1, 512, 512, 1200) <= 0 {
			t.Errorf("%s: no estimate of memory", name)
		}
		familytest.CheckCUDA(t, src, 1)
	}
}

// entries are the tensors of a source.
func entries(src weights.Source) []weights.Entry {
	var list []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		list = append(list, e)
	}
	return list
}

// TestWrapped reads a file as MoGe's authors store it, with the tensors below a wrapper.
func TestWrapped(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/plain", "moge")
	var list []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		e.Name = "model." + name
		list = append(list, e)
	}
	read(t, dryrun.Described(list))
}

// TestDetection passes near misses.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, first := familytest.Recorded(t, "testdata/first", "moge")
	_, second := familytest.Recorded(t, "testdata/second", "moge")
	var deep []weights.Entry
	for i := range 32 {
		deep = append(deep, weights.Entry{Name: fmt.Sprintf("head.upsample_blocks.%d.x", i), DType: dtype.F32, Shape: []int{1}})
	}
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no head":         {familytest.Without(first, "head.upsample_blocks"), "holds no geometry model"},
		"no neck":         {familytest.Without(second, "neck."), "holds no geometry model"},
		"no mask":         {familytest.Without(second, "mask_head."), "mask_head.input_blocks.0.weight"},
		"no output":       {familytest.Without(first, "output_block.1"), "head.output_block.1.2.weight"},
		"few layers":      {familytest.Without(first, "backbone.blocks.3."), "at least 4 layers"},
		"no patches":      {familytest.Without(first, "patch_embed"), "patch_embeddings.projection.weight is []"},
		"many levels":     {dryrun.Described(append(entries(first), deep...)), "doubles the sides of the image 32 times"},
		"another network": {dryrun.List("feature_encoder.conv.weight 2 2 1 1\n"), "holds no geometry model"},
	} {
		if _, err := family.Open(family.Default, c.src).Geometry(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	n := read(t, first)
	for want, x := range map[string]*tensor.Tensor{"wanted [images, 3": tensor.New(1, 4, 8, 8), "too narrow": tensor.New(1, 3, 1, 4000)} {
		if _, err := n.Points(t.Context(), familytest.Runner{}, x, 30); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
