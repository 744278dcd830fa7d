package cosmos

import (
	"fmt"
	"strconv"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/weights"
)

// layout holds the layer names of a version.
type layout struct {
	// norm is the norm of the timesteps, modulation that of the last layer.
	norm, modulation           string
	q, qNorm, k, kNorm, v, out string
	// part returns the scopes of a part of block i and of its modulation.
	part func(blocks *weights.Scope, i, part int) (layer, modulation *weights.Scope)
}

// The parts of a block.
const (
	selfAttention = iota
	crossAttention
	feedForward
)

// second is the layout of Cosmos Predict2, first that of Cosmos 1.
var (
	second = layout{
		norm: "t_embedding_norm", modulation: "adaln_modulation", q: "q_proj", qNorm: "q_norm", k: "k_proj", kNorm: "k_norm", v: "v_proj", out: "output_proj",
		part: func(blocks *weights.Scope, i, part int) (layer, modulation *weights.Scope) {
			name := [...]string{"self_attn", "cross_attn", "mlp"}[part]
			return blocks.Index(i).At(name), blocks.Index(i).At("adaln_modulation_" + name)
		},
	}
	first = layout{
		norm: "affline_norm", modulation: "adaLN_modulation", q: "to_q.0", qNorm: "to_q.1", k: "to_k.0", kNorm: "to_k.1", v: "to_v.0", out: "to_out.0",
		part: func(blocks *weights.Scope, i, part int) (layer, modulation *weights.Scope) {
			at := blocks.At("block"+strconv.Itoa(i), "blocks").Index(part)
			if layer = at.At("block"); part != feedForward {
				layer = layer.At("attn")
			}
			return layer, at.At("adaLN_modulation")
		},
	}
)

// tableNames are the tables of learned places.
var tableNames = [3]string{"pos_emb_t", "pos_emb_h", "pos_emb_w"}

// placesName is the input of the graph that has the rows of table i, one per token.
func placesName(i int) string { return "places." + strconv.Itoa(i) }

// places are the rows of the tables of learned places, for tokens of the given number of frames.
func (n *Network) places(frames int, g dit.Grid) ([]family.Value, error) {
	if n.tables == [3]int{} {
		return nil, nil
	}
	if frames > n.tables[0] || g.Height > n.tables[1] || g.Width > n.tables[2] {
		return nil, fmt.Errorf("a latent of %d frames and %dx%d patches; the model has places for %d frames and %dx%d patches", frames, g.Width, g.Height, n.tables[0], n.tables[2], n.tables[1])
	}
	var at [3][]int64
	for f := range frames {
		for i := range g.Tokens() {
			at[0], at[1], at[2] = append(at[0], int64(f)), append(at[1], int64(i/g.Width)), append(at[2], int64(i%g.Width))
		}
	}
	out := make([]family.Value, len(at))
	for i, rows := range at {
		out[i] = family.Ints(placesName(i), rows, len(rows))
	}
	return out, nil
}
