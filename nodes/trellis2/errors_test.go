package trellis2_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/nodes"
	sampler "comfygo/nodes/sampling"
	"comfygo/nodes/trellis2"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// cellsAt is a latent of cells in one row along z.
func cellsAt(n int, from int32) engine.Latent {
	l := engine.Latent{Samples: normal("few", 1, 32, n, 1), Sparse: &engine.CellLatent{Counts: []int{n}, Resolution: 32}}
	for i := range int32(n) {
		l.Sparse.At = append(l.Sparse.At, 0, 3, 5, from+i)
	}
	return l
}

// changed is a latent of three cells that is changed.
func changed(f func(l *engine.Latent)) engine.Latent {
	l := cellsAt(3, 4)
	f(&l)
	return l
}

// TestErrors passes what does not fit.
func TestErrors(t *testing.T) {
	t.Parallel()
	ctx, m := place(t), load(t)
	entry := engine.Conditioning{{Tokens: tensor.New(1, 5, 128), Values: map[string]any{"embeds": tensor.New(1, 5, 128)}}}
	x, nan := image("seen", 1, 1, 40, 56, 3), float32(math.NaN())
	half := grid()
	clear(half.Grid.Index(1).Data)
	structure := func(shape ...int) engine.Latent { return engine.Latent{Samples: tensor.New(shape...)} }
	broken := structure(1, 32, 16, 16, 16)
	broken.Samples.Data[7] = nan
	divided := engine.Divided{make([]family.Cells, 4)}
	stages := nodetest.Run(t, ctx, &trellis2.Trellis2ShapeStage{Positive: entry, Negative: entry, Voxel: grid()})
	ksampler := func(l engine.Latent, c any) nodes.Node {
		return &sampler.KSampler{Model: m.flow, Steps: 1, CFG: 1, Sampler: "euler", Scheduler: "simple", Denoise: 1, Positive: c.(engine.Conditioning), Negative: c.(engine.Conditioning), Latent: l}
	}
	for want, n := range map[string]nodes.Node{
		"connect CLIPVisionLoader":             &trellis2.Trellis2Conditioning{Image: x},
		"with at least one pixel":              &trellis2.Trellis2Conditioning{ClipVision: m.dino, Image: tensor.New(0, 8, 8, 3)},
		"and three channels":                   &trellis2.Trellis2Conditioning{ClipVision: m.dino, Image: tensor.New(1, 8, 8, 1)},
		"allocating latents":                   &trellis2.EmptyTrellis2LatentStructure{BatchSize: 1 << 50},
		"VAELoader with the shape VAE":         &trellis2.VaeDecodeStructureTrellis2{Samples: broken, Resolution: "32"},
		"wanted 32 or 64":                      &trellis2.VaeDecodeStructureTrellis2{Samples: broken, VAE: m.shape, Resolution: "33"},
		"decodes no shapes":                    &trellis2.VaeDecodeStructureTrellis2{Samples: broken, VAE: m.texture, Resolution: "32"},
		"values that are not finite":           &trellis2.VaeDecodeStructureTrellis2{Samples: broken, VAE: m.shape, Resolution: "32"},
		"of shape [1 4 8 8]":                   &trellis2.VaeDecodeStructureTrellis2{Samples: structure(1, 4, 8, 8), VAE: m.shape, Resolution: "32"},
		"of shape []":                          &trellis2.VaeDecodeStructureTrellis2{VAE: m.shape, Resolution: "32"},
		"has shape [1 8 1 1 500]":              &trellis2.VaeDecodeStructureTrellis2{Samples: structure(1, 8, 1, 1, 500), VAE: m.shape, Resolution: "32"},
		"choose a lower one":                   &trellis2.VaeDecodeStructureTrellis2{Samples: structure(1, 8, 4, 4, 4), VAE: m.shape, Resolution: "32"},
		"there are no voxels":                  &trellis2.Trellis2ShapeStage{Positive: entry, Negative: entry},
		"item 1 of its 2 has no cells":         &trellis2.Trellis2ShapeStage{Positive: entry, Negative: entry, Voxel: half},
		"more than the 128":                    &trellis2.Trellis2ShapeStage{Positive: entry, Negative: entry, Voxel: &geometry.Voxels{Grid: tensor.New(1, 1, 1, 129)}},
		"it is 100000, wanted 1024 to 2048":    &trellis2.Trellis2UpsampleStage{Positive: entry, Negative: entry, ShapeLatent: cellsAt(3, 4), VAE: m.shape, TargetResolution: 100000},
		"it has no cells: connect the latent":  &trellis2.Trellis2UpsampleStage{Positive: entry, Negative: entry, ShapeLatent: structure(1, 32, 3, 1), VAE: m.shape, TargetResolution: 1024},
		"input vae: it is empty":               &trellis2.Trellis2UpsampleStage{Positive: entry, Negative: entry, ShapeLatent: cellsAt(3, 4), TargetResolution: 1024},
		"input shape_latent":                   &trellis2.Trellis2TextureStage{Positive: entry, Negative: entry},
		"1 items and 8 numbers":                &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: changed(func(l *engine.Latent) { l.Sparse.At, l.Samples = l.Sparse.At[:8], tensor.New(2, 32, 3, 1) })},
		"item 0 of it has 3 of 2 cells":        &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: changed(func(l *engine.Latent) { l.Sparse.At = l.Sparse.At[:8] })},
		"cell 1 of it is of item 7":            &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: changed(func(l *engine.Latent) { l.Sparse.At[4] = 7 })},
		"two cells lie at 3, 5, 4":             &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: changed(func(l *engine.Latent) { l.Sparse.At[7] = 4 })},
		"lies at [3 5 1073741824]":             &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: cellsAt(3, 1<<30)},
		"lies at [3 5 -1]":                     &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: cellsAt(3, -1)},
		"sample it again, in float32":          &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: changed(func(l *engine.Latent) { l.Samples = tensor.New(1, 32, 3, 1); l.Samples.Data[0] = nan })},
		"of 32 values":                         &trellis2.VaeDecodeShapeTrellis{VAE: m.shape, Samples: changed(func(l *engine.Latent) { l.Samples = tensor.New(1, 4, 3, 1) })},
		"connect VAELoader with the texture":   &trellis2.VaeDecodeTextureTrellis{Samples: cellsAt(3, 4), Divided: divided},
		"input shape_subdivides":               &trellis2.VaeDecodeTextureTrellis{Samples: cellsAt(3, 4), VAE: m.texture},
		"decodes no textures":                  &trellis2.VaeDecodeTextureTrellis{Samples: cellsAt(3, 4), VAE: m.shape, Divided: divided},
		"1 items and the shape 2":              &trellis2.VaeDecodeTextureTrellis{Samples: cellsAt(3, 4), VAE: m.texture, Divided: engine.Divided{nil, nil}},
		"was divided 0 times":                  &trellis2.VaeDecodeTextureTrellis{Samples: cellsAt(3, 4), VAE: m.texture, Divided: engine.Divided{nil}},
		"0 cells of level 0 and the texture 3": &trellis2.VaeDecodeTextureTrellis{Samples: cellsAt(3, 4), VAE: m.texture, Divided: divided},
		"is not of this stage":                 ksampler(stages[2].(engine.Latent), entry),
		"for 2 volumes of up to 12 cells":      ksampler(cellsAt(3, 4), stages[0]),
		"wanted [batch, 32, 16, 16, 16]":       ksampler(structure(1, 32, 4, 4, 4), entry),
		"connect Trellis2Conditioning or":      ksampler(structure(1, 32, 16, 16, 16), engine.Conditioning{{Values: map[string]any{}}}),
		"tokens of width 128":                  ksampler(structure(1, 32, 16, 16, 16), engine.Conditioning{{Tokens: tensor.New(1, 5, 64), Values: map[string]any{}}}),
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
}

// TestInterrupted decodes for a job that was interrupted.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	m := load(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.shape.DecodeShape(ctx, cellsAt(3, 4), 512); err == nil {
		t.Error("decoding a shape ended without an error")
	}
	if _, err := m.shape.DecodeStructure(ctx, tensor.New(1, 8, 16, 16, 16)); err == nil {
		t.Error("decoding a structure ended without an error")
	}
	if _, err := m.shape.DivideCells(ctx, cellsAt(3, 4), 4); err == nil {
		t.Error("dividing cells ended without an error")
	}
}

// TestEightBits samples with weights that UNETLoader rounds to eight bits, of three bits of fraction each: the result is near the recorded one and not equal to it.
func TestEightBits(t *testing.T) {
	t.Parallel()
	ctx, all, m := place(t), stored(t), load(t)
	entries := nodetest.Run(t, ctx, &trellis2.Trellis2Conditioning{ClipVision: m.dino, Image: image("seen", 1.5, 2, 40, 56, 4)})
	stage := nodetest.Run(t, ctx, &trellis2.Trellis2ShapeStage{Positive: entries[0].(engine.Conditioning), Negative: entries[1].(engine.Conditioning), Voxel: grid()})
	small := got[*engine.Model](t)(runtime.LoadModel(file(t, [3]string{"trellis2", "flow"}), dtype.F8E4M3))
	rounded, whole := sampled(t, ctx, small, stage), sampled(t, ctx, m.flow, stage)
	check(t, all, "coarse", rounded.Samples.Data, golden.Tolerance{RMSRel: 0.1})
	if slices.Equal(rounded.Samples.Data, whole.Samples.Data) {
		t.Error("the weights were not rounded")
	}
}
