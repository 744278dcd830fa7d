package triposplat_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	sampler "comfygo/nodes/sampling"
	"comfygo/nodes/triposplat"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// runtime is the one of all tests: a process can have one library open.
var runtime *engine.Runtime

func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, &runtime, nil)) }

// file writes a recorded network of a family to a file.
func file(t *testing.T, salt, name string) string {
	t.Helper()
	return nodetest.Save(t, filepath.Join(t.TempDir(), name+".safetensors"), nodetest.Recorded(t, salt, name))
}

// loaded is the result of a loader.
func loaded[T any](t *testing.T) func(v T, err error) T {
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
	return golden.Normal("triposplat/"+name, shape...)
}

// pictured is one of the recording's images.
func pictured(name string, shape ...int) *tensor.Tensor {
	x := normal(name, shape...)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	return x
}

// ellipse is a mask with soft edges.
func ellipse(h, w int, x, y, a, b float32) *tensor.Tensor {
	out := tensor.New(1, h, w)
	for i := range out.Data {
		u, v := (float32(i%w)-x)/a, (float32(i/w)-y)/b
		out.Data[i] = min(max(1.5-u*u-v*v, 0), 1)
	}
	return out
}

// stored are the recorded results.
func stored(t *testing.T) *inner.Tensors {
	t.Helper()
	all, err := inner.ReadTensors("testdata/nodes.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// check compares values with those recorded, one of every so many.
func check(t *testing.T, stored *inner.Tensors, name string, got []float32, tolerance golden.Tolerance) {
	t.Helper()
	const every = 53
	want, err := stored.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, name, golden.Strided(got, every), want.Data, tolerance)
}

// TestPreprocess compares objects cut out of images; Pillow scales in 8 bits, and so do we: the product of color and opacity is a product of 8-bit values.
func TestPreprocess(t *testing.T) {
	t.Parallel()
	ctx, all := place(t), stored(t)
	x := pictured("pictured", 2, 40, 56, 4)
	plain := tensor.New(2, 40, 56, 3)
	for i := range 2 * 40 * 56 {
		copy(plain.Data[3*i:3*i+3], x.Data[4*i:])
	}
	edge := tensor.New(2, 40, 56)
	copy(edge.Data, ellipse(40, 56, 50, 8, 14, 9).Data)
	copy(edge.Index(1).Data, ellipse(40, 56, 3, 30, 5, 16).Data)
	for name, n := range map[string]*triposplat.TripoSplatPreprocessImage{
		"small mask":  {Image: x, Mask: ellipse(20, 28, 15, 9, 7, 5), ErodeRadius: 1, Size: 256},
		"at the edge": {Image: plain, Mask: edge, Size: 263},
		"large":       {Image: pictured("wide", 1, 300, 700, 3), Mask: ellipse(300, 700, 350, 150, 90, 60), ErodeRadius: 3, Size: 256},
	} {
		y := nodetest.Run(t, ctx, n)[0].(*tensor.Tensor)
		if y.Dim(1) != 256 || y.Dim(2) != 256 {
			t.Errorf("%s: shape %v", name, y.Shape)
		}
		check(t, all, name, y.Data, golden.Tolerance{MaxAbs: 1e-6})
	}
}

// TestConditioning compares what both encoders see of an image; torch's own error in float32 is about 1e-6.
func TestConditioning(t *testing.T) {
	t.Parallel()
	ctx, all := place(t), stored(t)
	dino := loaded[*engine.ImageEncoder](t)(runtime.LoadVision(file(t, "dino3", "gated")))
	out := nodetest.Run(t, ctx, &triposplat.TripoSplatConditioning{ClipVision: dino, VAE: runtime.PixelSpace(), Image: pictured("seen", 2, 48, 64, 3)})
	positive, negative, latent := out[0].(engine.Conditioning)[0], out[1].(engine.Conditioning)[0], out[2].(engine.Latent)
	reference := func(c engine.Cond) *tensor.Tensor {
		return c.Values[sampling.KeyReferences].([]any)[0].(*tensor.Tensor)
	}
	check(t, all, "positive", positive.Tokens.Data, golden.Tolerance{RMSRel: 1e-5})
	check(t, all, "reference", reference(positive).Data, golden.Tolerance{RMSRel: 1e-6})
	for _, v := range append(negative.Tokens.Data, reference(negative).Data...) {
		if v != 0 {
			t.Fatal("the negative conditioning is not zeros")
		}
	}
	if fmt.Sprint(latent.Samples.Shape, latent.Along[0].Shape) != "[2 8192 16] [2 1 5]" || fmt.Sprint(negative.Tokens.Shape) != fmt.Sprint(positive.Tokens.Shape) {
		t.Errorf("a latent of %v and %v, tokens of %v", latent.Samples.Shape, latent.Along[0].Shape, negative.Tokens.Shape)
	}
}

// TestDecode compares splats with those of ComfyUI's class: float32 networks, and quaternions of them.
func TestDecode(t *testing.T) {
	t.Parallel()
	ctx, all := place(t), stored(t)
	vae := loaded[*engine.VAE](t)(runtime.LoadVAE(file(t, "triposplat", "vae")))
	s := nodetest.Run(t, ctx, &triposplat.VAEDecodeTripoSplat{Samples: engine.Latent{Samples: normal("z", 2, 24, 16)}, VAE: vae, NumGaussians: 32768, Seed: 7})[0].(*geometry.Splats)
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	joined := func(of func(it geometry.SplatItem) []float32) (out []float32) {
		for _, it := range s.Items {
			out = append(out, of(it)...)
		}
		return out
	}
	near := golden.Tolerance{RMSRel: 2e-5}
	check(t, all, "positions", joined(func(it geometry.SplatItem) []float32 { return it.Positions }), near)
	check(t, all, "scales", joined(func(it geometry.SplatItem) []float32 { return it.Scales }), near)
	check(t, all, "rotations", joined(func(it geometry.SplatItem) []float32 { return it.Rotations }), near)
	check(t, all, "opacities", joined(func(it geometry.SplatItem) []float32 { return it.Opacities }), near)
	check(t, all, "colors", joined(func(it geometry.SplatItem) []float32 { return it.SH }), near)
}

// TestShown compares images of splats. Of equally near Gaussians upstream shows the smaller one, we show the first: one pixel of a hundred may differ.
func TestShown(t *testing.T) {
	t.Parallel()
	all := stored(t)
	at, size, alpha := normal("at", 500, 3), normal("size", 500, 3), normal("alpha", 500)
	s := family.Splats{Colors: normal("dc", 500, 3).Data}
	for i, v := range alpha.Data {
		p := at.Data[3*i : 3*i+3]
		s.Positions = append(s.Positions, p[0]*0.3, -p[2]*0.3, p[1]*0.3)
		for _, d := range size.Data[3*i : 3*i+3] {
			s.Scales = append(s.Scales, float32(math.Abs(float64(d)))*0.01)
		}
		s.Opacities = append(s.Opacities, float32(1/(1+math.Exp(-float64(v)))))
	}
	for name, v := range map[string]struct {
		yaw, pitch float64
		largest    int
	}{"front": {90, 15, 3}, "above": {-30, 70, 9}} {
		img := triposplat.Render(s, v.yaw, v.pitch, v.largest)
		var got []float32
		for i := range img.Pix {
			if i%4 != 3 {
				got = append(got, float32(img.Pix[i]))
			}
		}
		want, err := all.Get("shown " + name)
		if err != nil {
			t.Fatal(err)
		}
		const every = 53
		differ, painted := 0, 0
		for i, g := range golden.Strided(got, every) {
			if math.Abs(float64(g-want.Data[i])) > 1 {
				differ++
			}
			if g > 0 {
				painted++
			}
		}
		if 100*differ > len(want.Data) || painted < len(want.Data)/100 {
			t.Errorf("%s: %d of %d values differ, %d are painted", name, differ, len(want.Data), painted)
		}
	}
}

// TestSampled samples a small latent with a preview of each step, and decodes it.
func TestSampled(t *testing.T) {
	t.Parallel()
	ctx := place(t)
	model := loaded[*engine.Model](t)(runtime.LoadModel(file(t, "triposplat", "flow"), dtype.Invalid))
	vae := loaded[*engine.VAE](t)(runtime.LoadVAE(file(t, "triposplat", "vae")))
	shown := nodetest.Run(t, ctx, &triposplat.TripoSplatSamplingPreview{Model: model, VAE: vae, OctreeLevel: 3, NumGaussians: 1024, Yaw: 90, Pitch: 15, PointSize: 3})[0].(*engine.Model)
	if model.Preview() != nil || shown.Preview() == nil {
		t.Fatal("the preview is not that of the new model alone")
	}
	img, err := shown.Preview()(t.Context(), normal("z", 2, 24, 16))
	if err != nil || img.Bounds().Dx() != 320 {
		t.Fatalf("%v, %v", img, err)
	}
	entry := func(name string) engine.Conditioning {
		return engine.Conditioning{{Tokens: normal(name, 1, 11, 128), Values: map[string]any{sampling.KeyReferences: []any{normal(name+" latent", 1, 8, 2, 3)}}}}
	}
	latent := nodetest.Run(t, ctx, &sampler.KSampler{
		Model: shown, Steps: 2, CFG: 3, Sampler: "euler", Scheduler: "simple", Positive: entry("positive"), Negative: entry("negative"), Denoise: 1,
		Latent: engine.Latent{Samples: tensor.New(1, 24, 16), Along: []*tensor.Tensor{tensor.New(1, 1, 5)}},
	})[0].(engine.Latent)
	if fmt.Sprint(latent.Samples.Shape, latent.Along[0].Shape) != "[1 24 16] [1 1 5]" {
		t.Errorf("a latent of %v and %v", latent.Samples.Shape, latent.Along[0].Shape)
	}
	s := nodetest.Run(t, ctx, &triposplat.VAEDecodeTripoSplat{Samples: latent, VAE: vae, NumGaussians: 32768})[0].(*geometry.Splats)
	if len(s.Items) != 1 || s.Items[0].Count() != 32768 {
		t.Errorf("%d items", len(s.Items))
	}
	if err := s.Items[0].CheckFinite(); err != nil {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := vae.DecodeSplats(cancelled, latent.Samples, 320, 2, 0); err == nil {
		t.Error("an interrupted decoder ended without an error")
	}
}

// TestErrors passes what does not fit.
func TestErrors(t *testing.T) {
	t.Parallel()
	ctx := place(t)
	vae := loaded[*engine.VAE](t)(runtime.LoadVAE(file(t, "triposplat", "vae")))
	model := loaded[*engine.Model](t)(runtime.LoadModel(file(t, "triposplat", "flow"), dtype.Invalid))
	dino := loaded[*engine.ImageEncoder](t)(runtime.LoadVision(file(t, "dino3", "gated")))
	x, one, nan := pictured("pictured", 1, 20, 20, 3), tensor.New(1, 20, 20), tensor.New(1, 20, 20)
	one.Data[210] = 1
	for i := range nan.Data {
		nan.Data[i] = float32(math.NaN())
	}
	broken := normal("z", 1, 24, 16)
	broken.Data[0] = float32(math.Inf(1))
	for want, n := range map[string]nodes.Node{
		"reading the input image":             &triposplat.TripoSplatPreprocessImage{Mask: one, Size: 256},
		"with at least one pixel and three":   &triposplat.TripoSplatPreprocessImage{Image: tensor.New(0, 8, 8, 3), Mask: one, Size: 256},
		"reading the input mask":              &triposplat.TripoSplatPreprocessImage{Image: x, Mask: tensor.New(0, 8, 8), Size: 256},
		"the mask shows none":                 &triposplat.TripoSplatPreprocessImage{Image: x, Mask: nan, Size: 256},
		"or a smaller erode_radius":           &triposplat.TripoSplatPreprocessImage{Image: x, Mask: one, ErodeRadius: 16, Size: 256},
		"scaling an image of 100000x1 pixels": &triposplat.TripoSplatPreprocessImage{Image: tensor.New(1, 1, 100000, 3), Mask: one, Size: 4096},
		"connect CLIPVisionLoader":            &triposplat.TripoSplatConditioning{VAE: vae, Image: x},
		"connect VAELoader with the VAE of F": &triposplat.TripoSplatConditioning{ClipVision: dino, Image: x},
		"[B,H,W,3]":                           &triposplat.TripoSplatConditioning{ClipVision: dino, VAE: vae, Image: tensor.New(1, 16, 16, 4)},
		"at least 16 pixels":                  &triposplat.TripoSplatConditioning{ClipVision: dino, VAE: vae, Image: tensor.New(1, 1, 1, 3)},
		"use the class that gives voxels":     &triposplat.TripoSplatConditioning{ClipVision: dino, VAE: vae, Image: x},
		"the VAE of TripoSplat":               &triposplat.VAEDecodeTripoSplat{},
		"there is no latent":                  &triposplat.VAEDecodeTripoSplat{VAE: vae},
		"not one of Gaussian splats":          &triposplat.VAEDecodeTripoSplat{VAE: runtime.PixelSpace(), Samples: engine.Latent{Samples: broken}},
		"[batch, vectors, 16]":                &triposplat.VAEDecodeTripoSplat{VAE: vae, Samples: engine.Latent{Samples: tensor.New(1, 4, 8, 8)}},
		"that are not finite":                 &triposplat.VAEDecodeTripoSplat{VAE: vae, Samples: engine.Latent{Samples: broken}},
		"connect UNETLoader":                  &triposplat.TripoSplatSamplingPreview{VAE: vae},
		"load the VAE of TripoSplat":          &triposplat.TripoSplatSamplingPreview{Model: model, VAE: runtime.PixelSpace()},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
}
