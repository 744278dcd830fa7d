package layout

import (
	"strings"

	"comfygo/engine/weights"
)

// nextDiTNames are the parts of names in diffusers' layout and those of the original one.
var nextDiTNames = strings.NewReplacer(
	".norm_q.", ".q_norm.", ".norm_k.", ".k_norm.", ".to_out.0.", ".out.", "all_final_layer.2-1.", "final_layer.", "all_x_embedder.2-1.", "x_embedder.",
)

// NextDiT shows a transformer of this kind that was saved by diffusers under the original names. Queries, keys and values
// stay apart: their weights are not joined.
func NextDiT(src weights.Source) weights.Source {
	if !has(src, "noise_refiner.0.attention.norm_k.weight") {
		return src
	}
	v := newView(src)
	for _, name := range src.Names() {
		v.add(nextDiTNames.Replace(name), name, nil)
	}
	return v
}
