package trellis2_test

import (
	"os"
	"path/filepath"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	_ "comfygo/engine/family/all"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	sampler "comfygo/nodes/sampling"
	"comfygo/nodes/trellis2"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// runtime is the one of all tests: a process can have one library open.
var runtime *engine.Runtime

func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, &runtime, nil)) }

// file writes recorded networks of families to a file: each a salt, a name and a prefix.
func file(t *testing.T, networks ...[3]string) string {
	t.Helper()
	var list []safetensors.Tensor
	for _, n := range networks {
		for _, x := range nodetest.Recorded(t, n[0], n[1]) {
			x.Name = n[2] + x.Name
			list = append(list, x)
		}
	}
	return nodetest.Save(t, filepath.Join(t.TempDir(), "weights.safetensors"), list)
}

// got is a result without an error.
func got[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func place(t *testing.T) *nodes.Context { return nodetest.Context(t, runtime, t.TempDir()) }

func normal(name string, shape ...int) *tensor.Tensor {
	return golden.Normal("trellis2/"+name, shape...)
}

// image is one of the recording's, times a factor.
func image(name string, factor float32, shape ...int) *tensor.Tensor {
	x := normal(name, shape...)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1) * factor
	}
	return x
}

// check compares values with what record.py kept of them.
func check(t *testing.T, all *inner.Tensors, name string, values []float32, tolerance golden.Tolerance) {
	t.Helper()
	want, err := all.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	const few, many, every, seldom = 200, 50000, 53, 371
	switch {
	case len(values) >= many:
		values = golden.Strided(values, seldom)
	case len(values) >= few:
		values = golden.Strided(values, every)
	}
	if len(values) != len(want.Data) {
		t.Errorf("%s: %d values, want %d", name, len(values), len(want.Data))
		return
	}
	golden.Compare(t, name, values, want.Data, tolerance)
}

func stored(t *testing.T) *inner.Tensors {
	t.Helper()
	all, err := inner.ReadTensors("testdata/nodes.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// grid are two small objects.
func grid() *geometry.Voxels {
	x := tensor.New(2, 32, 32, 32)
	for item, n := range []int{12, 7} {
		for i := range n {
			x.Index(item).Data[((14+i%3)*32+15+i/3%2+item)*32+13+i/6] = 1
		}
	}
	return &geometry.Voxels{Grid: x}
}

// models are the small networks.
type models struct {
	flow, posed    *engine.Model
	shape, texture *engine.VAE
	dino           *engine.ImageEncoder
}

func load(t *testing.T) models {
	t.Helper()
	return models{
		flow:    got[*engine.Model](t)(runtime.LoadModel(file(t, [3]string{"trellis2", "flow"}), dtype.Invalid)),
		posed:   got[*engine.Model](t)(runtime.LoadModel(file(t, [3]string{"trellis2", "seen"}), dtype.Invalid)),
		shape:   got[*engine.VAE](t)(runtime.LoadVAE(file(t, [3]string{"trellis2", "shape_vae"}))),
		texture: got[*engine.VAE](t)(runtime.LoadVAE(file(t, [3]string{"trellis2", "texture_vae"}))),
		dino:    got[*engine.ImageEncoder](t)(runtime.LoadVision(file(t, [3]string{"dino3", "plain"}))),
	}
}

// sampled runs the recording's KSampler.
func sampled(t *testing.T, ctx *nodes.Context, m *engine.Model, in []any) engine.Latent {
	t.Helper()
	return nodetest.Run(t, ctx, &sampler.KSampler{
		Model: m, Seed: 5, Steps: 2, CFG: 3, Sampler: "euler", Scheduler: "simple", Denoise: 1,
		Positive: in[0].(engine.Conditioning), Negative: in[1].(engine.Conditioning), Latent: in[2].(engine.Latent),
	})[0].(engine.Latent)
}

func numbers(list []int32) []float32 {
	out := make([]float32, len(list))
	for i, v := range list {
		out[i] = float32(v)
	}
	return out
}

var (
	// near is for networks in float32, chained in some cases. Lanczos rounds pixels to 8 bits, as upstream does, and one pixel in many thousands may round the other way.
	near  = golden.Tolerance{RMSRel: 1e-4}
	exact = golden.Tolerance{MaxAbs: 1e-6}
)

// TestEqualsUpstream runs the stages from an image to a colored mesh, two objects at a time, and compares each with ComfyUI's nodes and KSampler.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	ctx, all, m := place(t), stored(t), load(t)
	entries := nodetest.Run(t, ctx, &trellis2.Trellis2Conditioning{ClipVision: m.dino, Image: image("seen", 1.5, 2, 40, 56, 4)})
	positive, negative := entries[0].(engine.Conditioning), entries[1].(engine.Conditioning)
	check(t, all, "small", positive[0].Tokens.Data, near)
	check(t, all, "large", positive[0].Values["embeds"].(*tensor.Tensor).Data, near)
	for _, v := range negative[0].Values["embeds"].(*tensor.Tensor).Data {
		if v != 0 {
			t.Fatal("the negative entry is not empty")
		}
	}
	empty := nodetest.Run(t, ctx, &trellis2.EmptyTrellis2LatentStructure{BatchSize: 2})
	whole := sampled(t, ctx, m.flow, append(entries, empty...))
	var first []float32
	for i := range 2 {
		first = append(first, whole.Samples.Index(i).Data[:8*4096]...)
	}
	check(t, all, "structure", first, near)
	for _, side := range []string{"32", "64"} {
		v := nodetest.Run(t, ctx, &trellis2.VaeDecodeStructureTrellis2{Samples: whole, VAE: m.shape, Resolution: side})[0].(*geometry.Voxels)
		check(t, all, "voxel "+side, v.Grid.Data, exact)
	}

	stage := nodetest.Run(t, ctx, &trellis2.Trellis2ShapeStage{Positive: positive, Negative: negative, Voxel: grid()})
	check(t, all, "cells", numbers(stage[2].(engine.Latent).Sparse.At), exact)
	coarse := sampled(t, ctx, m.flow, stage)
	check(t, all, "coarse", coarse.Samples.Data, near)
	stage = nodetest.Run(t, ctx, &trellis2.Trellis2UpsampleStage{Positive: positive, Negative: negative, ShapeLatent: coarse, VAE: m.shape, TargetResolution: 1024})
	check(t, all, "fine cells", numbers(stage[2].(engine.Latent).Sparse.At), exact)
	fine := sampled(t, ctx, m.flow, stage)
	check(t, all, "fine", fine.Samples.Data, near)

	out := nodetest.Run(t, ctx, &trellis2.VaeDecodeShapeTrellis{Samples: coarse, VAE: m.shape})
	mesh := out[0].(*geometry.Mesh)
	if err := mesh.Check(); err != nil {
		t.Fatal(err)
	}
	var vertices, faces, sizes []float32
	for _, it := range mesh.Items { // the recording's are padded
		vertices = append(vertices, append(append([]float32{}, it.Vertices...), make([]float32, 3*(mesh.Items[0].VertexCount()-it.VertexCount()))...)...)
		faces = append(faces, append(numbers(it.Faces), make([]float32, 3*(mesh.Items[0].FaceCount()-it.FaceCount()))...)...)
	}
	for _, it := range mesh.Items {
		sizes = append(sizes, float32(it.VertexCount()))
	}
	for _, it := range mesh.Items {
		sizes = append(sizes, float32(it.FaceCount()))
	}
	check(t, all, "mesh counts", sizes, exact)
	check(t, all, "vertices", vertices, near)
	check(t, all, "faces", faces, exact)

	painted := sampled(t, ctx, m.flow, nodetest.Run(t, ctx, &trellis2.Trellis2TextureStage{Positive: positive, Negative: negative, ShapeLatent: coarse}))
	check(t, all, "texture", painted.Samples.Data, near)
	colors := nodetest.Run(t, ctx, &trellis2.VaeDecodeTextureTrellis{Samples: painted, VAE: m.texture, Divided: out[1].(engine.Divided)})[0].(*geometry.Voxels)
	if err := colors.CheckCells(); err != nil {
		t.Fatal(err)
	}
	check(t, all, "color cells", numbers(colors.Cells), exact)
	check(t, all, "colors", colors.Colors.Data, near)
	check(t, all, "sides", []float32{float32(colors.Resolution)}, exact)
}
