// Package trellis2 has the classes of comfy_extras.nodes_trellis2: textured meshes made from an image by TRELLIS.2 and Pixal3D.
package trellis2

import (
	"context"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

const (
	module   = "comfy_extras.nodes_trellis2"
	category = "model/conditioning/trellis2"
	// latentCategory is that of the classes of latents.
	latentCategory = "model/latent/trellis"
)

// The sizes of latents, and the type that they have.
const (
	channels   = 32
	latentSide = 16
	latentType = "trellis2"
	axes       = 3
	cellAxes   = 4
)

const rgb = 3

// missing is the error for an input without a value; class is what gives one.
func missing(input, class string) error {
	return nodes.Errorf("AttributeError", "reading the input %s: it is empty: connect %s", input, class)
}

// told is a context that shows progress at the node.
func told(ctx *nodes.Context) context.Context {
	return engine.WithProgress(ctx, func(done, all int) { ctx.Progress(float64(done), float64(all)) })
}

// stageNode is what the outputs of the stage nodes are made of.
type stageNode struct {
	positive, negative engine.Conditioning
	// mode names the network.
	mode   string
	sparse *engine.CellLatent
	// features are the image features of the cells, or nil; more are further values of the entries.
	features *tensor.Tensor
	more     map[string]any
}

// result is both conditionings and an empty latent of the cells.
func (s stageNode) result(ctx *nodes.Context) (nodes.Result, error) {
	most := 0
	for _, n := range s.sparse.Counts {
		most = max(most, n)
	}
	if err := ctx.Reserve("a latent of cells", family.Product(len(s.sparse.Counts), channels, most, 4)); err != nil {
		return nodes.Result{}, err
	}
	at := tensor.New(len(s.sparse.At)/cellAxes, cellAxes)
	for i, v := range s.sparse.At {
		at.Data[i] = float32(v)
	}
	values := map[string]any{sampling.KeyStage: s.mode, sampling.KeyCells: at, sampling.KeyCellCounts: s.sparse.Counts}
	for k, v := range s.more {
		values[k] = v
	}
	if s.features != nil {
		values[sampling.KeyProjected] = s.features
	}
	latent := engine.Latent{Samples: tensor.New(len(s.sparse.Counts), channels, most, 1), Type: latentType, Sparse: s.sparse}
	return nodes.Out(s.positive.With(values), s.negative.With(values), latent), nil
}

// stageOutputs are those of the stage nodes.
func stageOutputs() []nodes.Output {
	return []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT"}}
}
