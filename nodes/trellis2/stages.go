package trellis2

import (
	"context"
	"math"
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&Trellis2ShapeStage{})
	nodes.Register(&Trellis2UpsampleStage{})
	nodes.Register(&Trellis2TextureStage{})
}

// Trellis2ShapeStage begins the stage of the shape.
type Trellis2ShapeStage struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Voxel    *geometry.Voxels    `in:"voxel" type:"VOXEL" tooltip:"Structure of VaeDecodeStructureTrellis2."`
}

// Spec implements nodes.Node.
func (*Trellis2ShapeStage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Trellis2ShapeStage", Category: category, Module: module, V3: true,
		Description: "Makes the empty latent and the conditionings for the shape of the cells of a structure: at 512 for a structure of 32 cells a side, else at 1024.",
		Outputs:     stageOutputs(),
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer: the latent stands for no pixels.
func (*Trellis2ShapeStage) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *Trellis2ShapeStage) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := n.Voxel.CheckGrid(); err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input voxel: %w", err)
	}
	const widest = 128 // cells of a side
	grid := n.Voxel.Grid
	if side := slices.Max(grid.Shape[1:]); side > widest {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input voxel: it has %d cells along a side, more than the %d of a structure: connect VaeDecodeStructureTrellis2", side, widest)
	}
	sparse := &engine.CellLatent{Resolution: grid.Dim(3)}
	h, w := grid.Dim(2), grid.Dim(3)
	for b := range grid.Dim(0) {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		count := 0
		for i, v := range grid.Index(b).Data {
			if v != 0 {
				sparse.At = append(sparse.At, int32(b), int32(i/(h*w)), int32(i/w%h), int32(i%w))
				count++
			}
		}
		if count == 0 {
			return nodes.Result{}, nodes.Errorf("ValueError", "reading the input voxel: item %d of its %d has no cells: sample the structure with another seed or a larger object in the image", b, grid.Dim(0))
		}
		sparse.Counts = append(sparse.Counts, count)
	}
	const coarse = 32
	mode, stage := "shape_generation", stageFine
	if sparse.Resolution <= coarse {
		mode, stage = "shape_generation_512", stageCoarse
	}
	return begun(ctx, n.Positive, n.Negative, mode, stage, sparse)
}

// begun is the result of a stage of the shape.
func begun(ctx *nodes.Context, positive, negative engine.Conditioning, mode string, stage stage, sparse *engine.CellLatent) (nodes.Result, error) {
	p := projectionOf(positive)
	features, err := p.ofCells(ctx, stage, sparse)
	if err != nil {
		return nodes.Result{}, err
	}
	sparse.YUp = sparse.YUp || p != nil
	return stageNode{positive: positive, negative: negative, mode: mode, sparse: sparse, features: features}.result(ctx)
}

// Trellis2UpsampleStage begins the second stage of the shape, with smaller cells.
type Trellis2UpsampleStage struct {
	Positive         engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative         engine.Conditioning `in:"negative" type:"CONDITIONING"`
	ShapeLatent      engine.Latent       `in:"shape_latent" type:"LATENT" tooltip:"Sampled latent of the first stage of the shape, at 512."`
	VAE              *engine.VAE         `in:"vae" type:"VAE" tooltip:"Shape VAE of Trellis 2."`
	TargetResolution int                 `in:"target_resolution" default:"1024" min:"1024" max:"2048" step:"128" tooltip:"Number of the smallest cells along each axis of the shape. More show more detail and take more time and memory."`
}

// Spec implements nodes.Node.
func (*Trellis2UpsampleStage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Trellis2UpsampleStage", DisplayName: "Trellis2 Upsample Stage", Category: category, Module: module, V3: true,
		Description: "Finds the cells of a shape at a higher resolution, and makes the empty latent and the conditionings for them.",
		Outputs:     stageOutputs(),
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer: the latent stands for no pixels.
func (*Trellis2UpsampleStage) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// perCell is the number of the smallest cells along a side of a cell of a latent, divisions how often it is divided for them.
const (
	perCell   = 16
	divisions = 4
)

// Run implements nodes.Node.
func (n *Trellis2UpsampleStage) Run(ctx *nodes.Context) (nodes.Result, error) {
	const least, most = 1024, 2048
	if n.VAE == nil {
		return nodes.Result{}, missing("vae", "VAELoader with the shape VAE of Trellis 2")
	}
	if n.TargetResolution < least || n.TargetResolution > most {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input target_resolution: it is %d, wanted %d to %d", n.TargetResolution, least, most)
	}
	items, err := n.VAE.DivideCells(told(ctx), n.ShapeLatent, divisions)
	if err != nil {
		return nodes.Result{}, err
	}
	sparse := &engine.CellLatent{Resolution: n.TargetResolution / perCell, YUp: n.ShapeLatent.Sparse.YUp}
	pixal := projectionOf(n.Positive) != nil
	for b, at := range items {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		cells := quantized(at, sparse.Resolution, pixal)
		for _, c := range cells {
			sparse.At = append(sparse.At, int32(b), c[0], c[1], c[2])
		}
		sparse.Counts = append(sparse.Counts, len(cells))
	}
	return begun(ctx, n.Positive, n.Negative, "shape_generation", stageFine, sparse)
}

// quantized are the cells of a grid that hold places [N,3] of the smallest cells at 512, in order. Upstream: Trellis2UpsampleStage._quantize_unique, which
// rounds for Pixal3D.
func quantized(at []int32, grid int, pixal bool) [][axes]int32 {
	const from = 512
	scale := float32(float64(grid) / from)
	if pixal {
		scale = float32(float64(grid-1) / from)
	}
	seen := make(map[[axes]int32]bool, len(at)/axes/axes)
	var out [][axes]int32
	for i := 0; i+axes <= len(at); i += axes {
		var c [axes]int32
		for k, v := range at[i : i+axes] {
			x := (float32(v) + 0.5) * scale
			if pixal {
				x = float32(math.RoundToEven(float64(x)))
			}
			c[k] = int32(x)
		}
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b [axes]int32) int { return slices.Compare(a[:], b[:]) })
	return out
}

// Trellis2TextureStage begins the stage of the texture.
type Trellis2TextureStage struct {
	Positive    engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative    engine.Conditioning `in:"negative" type:"CONDITIONING"`
	ShapeLatent engine.Latent       `in:"shape_latent" type:"LATENT" tooltip:"Sampled latent of the last stage of the shape."`
}

// Spec implements nodes.Node.
func (*Trellis2TextureStage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Trellis2TextureStage", Category: category, Module: module, V3: true,
		Description: "Makes the empty latent and the conditionings for the texture of a shape.",
		Outputs:     stageOutputs(),
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer: the latent stands for no pixels.
func (*Trellis2TextureStage) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *Trellis2TextureStage) Run(ctx *nodes.Context) (nodes.Result, error) {
	items, err := n.ShapeLatent.Cells()
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input shape_latent: %w", err)
	}
	shape := &tensor.Tensor{Shape: []int{0, n.ShapeLatent.Samples.Dim(1)}}
	for _, it := range items {
		shape.Shape[0] += it.Count()
		shape.Data = append(shape.Data, it.Values.Data...)
	}
	sparse := *n.ShapeLatent.Sparse
	frame := "z_up"
	if sparse.YUp {
		frame = "y_up"
	}
	s := stageNode{
		positive: n.Positive, negative: n.Negative, mode: "texture_generation", sparse: &sparse,
		more: map[string]any{sampling.KeyShapeLatent: shape, sampling.KeyModelFrame: frame},
	}
	if sparse.Resolution > 0 {
		if s.features, err = projectionOf(n.Positive).ofCells(ctx, stageTexture, &sparse); err != nil {
			return nodes.Result{}, err
		}
	}
	return s.result(ctx)
}
