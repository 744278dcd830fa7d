package trellis2_test

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family/familytest"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/trellis2"
	"comfygo/tests/nodetest"
)

// sighted is a file of DINOv3 with the recording's upsampler, whose weights are named after their places in it and whose periods are those of the published
// one.
func sighted(t *testing.T) string {
	t.Helper()
	var list []safetensors.Tensor
	for _, name := range []string{"plain", "naf"} {
		_, src := familytest.Recorded(t, "../../engine/family/dino3/testdata/"+name, "dino3")
		for _, key := range src.Names() {
			e, _ := src.Lookup(key)
			out := safetensors.Tensor{Name: key, DType: dtype.F32, Shape: e.Shape, Data: e.Data}
			if own, ok := strings.CutPrefix(key, "naf."); ok {
				out.Data = filled(own, e.Shape)
			}
			list = append(list, out)
		}
	}
	path := filepath.Join(t.TempDir(), "sighted.safetensors")
	if err := safetensors.Save(path, nil, list); err != nil {
		t.Fatal(err)
	}
	return path
}

// filled are weights by familytest.Recorded's rule.
func filled(name string, shape []int) []byte {
	v := normal(name, shape...)
	var out []byte
	for i, x := range v.Data {
		y := float64(x) / 10
		switch {
		case strings.HasSuffix(name, "periods"):
			y = math.Pow(100, float64(i)/4)
		case len(shape) > 1:
			y = float64(x) / math.Sqrt(float64(tensor.Count(shape[1:])))
		case strings.HasSuffix(name, "weight"):
			y = 1 + float64(x)/8
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(y)))
	}
	return out
}

// places are the recording's cells, [N,4].
func places() *engine.CellLatent {
	out := &engine.CellLatent{Counts: []int{19, 11}, Resolution: 32}
	for item, n := range out.Counts {
		var list [][4]int32
		for i := range n {
			k := i*5 + item*3
			list = append(list, [4]int32{int32(item), int32(k/25%5 + 5), int32(k / 5 % 5), int32((k+i)%5 + 2*item)})
		}
		slices.SortFunc(list, func(a, b [4]int32) int { return slices.Compare(a[:], b[:]) })
		for _, c := range list {
			out.At = append(out.At, c[:]...)
		}
	}
	return out
}

// TestPixal3D compares the image features of cells, and what the stages of a model that reads them give.
func TestPixal3D(t *testing.T) {
	t.Parallel()
	ctx, all, m := place(t), stored(t), load(t)
	dino := got[*engine.ImageEncoder](t)(runtime.LoadVision(sighted(t)))
	entries := nodetest.Run(t, ctx, &trellis2.Pixal3DConditioning{ClipVision: dino, Image: image("posed", 1, 2, 33, 33, 3), Angle: 49.13})
	positive, negative := entries[0].(engine.Conditioning), entries[1].(engine.Conditioning)
	check(t, all, "global small", positive[0].Tokens.Data, near)
	check(t, all, "global large", positive[0].Values["embeds"].(*tensor.Tensor).Data, near)
	check(t, all, "whole features", positive[0].Values["trellis2_proj_feats"].(*tensor.Tensor).Data, near)
	for _, name := range []string{"shape_512", "shape_1024", "tex_1024"} {
		y, err := trellis2.Features(ctx, positive, name, places())
		if err != nil {
			t.Fatal(err)
		}
		check(t, all, "features "+name, y.Data, near)
	}
	empty := nodetest.Run(t, ctx, &trellis2.EmptyTrellis2LatentStructure{BatchSize: 2})
	whole := sampled(t, ctx, m.posed, append(entries, empty...))
	var first []float32
	for i := range 2 {
		first = append(first, whole.Samples.Index(i).Data[:8*4096]...)
	}
	check(t, all, "posed structure", first, near)
	coarse := sampled(t, ctx, m.posed, nodetest.Run(t, ctx, &trellis2.Trellis2ShapeStage{Positive: positive, Negative: negative, Voxel: grid()}))
	check(t, all, "posed coarse", coarse.Samples.Data, near)
	stage := nodetest.Run(t, ctx, &trellis2.Trellis2UpsampleStage{Positive: positive, Negative: negative, ShapeLatent: coarse, VAE: m.shape, TargetResolution: 1024})
	check(t, all, "posed cells", numbers(stage[2].(engine.Latent).Sparse.At), exact)
	painted := sampled(t, ctx, m.posed, nodetest.Run(t, ctx, &trellis2.Trellis2TextureStage{Positive: positive, Negative: negative, ShapeLatent: coarse}))
	check(t, all, "posed texture", painted.Samples.Data, near)
	if !coarse.Sparse.YUp || !painted.Sparse.YUp {
		t.Error("the y axis of Pixal3D does not point up")
	}

	blind := got[*engine.ImageEncoder](t)(runtime.LoadVision(file(t, [3]string{"dino3", "plain"})))
	entries = nodetest.Run(t, ctx, &trellis2.Pixal3DConditioning{ClipVision: blind, Image: image("posed", 1, 2, 33, 33, 3), Angle: 170})
	positive, negative = entries[0].(engine.Conditioning), entries[1].(engine.Conditioning)
	y, err := trellis2.Features(ctx, positive, "shape_512", places())
	if err != nil || y.Dim(1) != 128 {
		t.Errorf("features without an upsampler: %v, %v", y, err)
	}
	for _, v := range y.Data {
		if v-v != 0 {
			t.Fatal("features that are not finite")
		}
	}
	one := grid()
	one.Grid = one.Grid.Slice(0, 1)
	for want, n := range map[string]nodes.Node{
		"it is NaN, wanted 1 to 170": &trellis2.Pixal3DConditioning{ClipVision: dino, Image: image("posed", 1, 1, 33, 33, 3), Angle: math.NaN()},
		"connect CLIPVisionLoader":   &trellis2.Pixal3DConditioning{Image: image("posed", 1, 1, 33, 33, 3), Angle: 50},
		"is of 2 images and there":   &trellis2.Trellis2ShapeStage{Positive: positive, Negative: negative, Voxel: one},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
}
