package auraflow

import (
	"fmt"

	"comfygo/engine/family/dit"
)

// doubleLayers are the layers of a double block by diffusers' names, singleLayers those of a single one.
var (
	doubleLayers = [][2]string{
		{"attn.to_q", "attn.w2q"},
		{"attn.to_k", "attn.w2k"},
		{"attn.to_v", "attn.w2v"},
		{"attn.to_out.0", "attn.w2o"},
		{"attn.add_q_proj", "attn.w1q"},
		{"attn.add_k_proj", "attn.w1k"},
		{"attn.add_v_proj", "attn.w1v"},
		{"attn.to_add_out", "attn.w1o"},
		{"ff.linear_1", "mlpX.c_fc1"},
		{"ff.linear_2", "mlpX.c_fc2"},
		{"ff.out_projection", "mlpX.c_proj"},
		{"ff_context.linear_1", "mlpC.c_fc1"},
		{"ff_context.linear_2", "mlpC.c_fc2"},
		{"ff_context.out_projection", "mlpC.c_proj"},
		{"norm1.linear", "modX.1"},
		{"norm1_context.linear", "modC.1"},
	}
	singleLayers = [][2]string{
		{"attn.to_q", "attn.w1q"},
		{"attn.to_k", "attn.w1k"},
		{"attn.to_v", "attn.w1v"},
		{"attn.to_out.0", "attn.w1o"},
		{"norm1.linear", "modCX.1"},
		{"ff.linear_1", "mlp.c_fc1"},
		{"ff.linear_2", "mlp.c_fc2"},
		{"ff.out_projection", "mlp.c_proj"},
	}
	basicLayers = [][2]string{
		{"time_step_proj.linear_1", "t_embedder.mlp.0"},
		{"time_step_proj.linear_2", "t_embedder.mlp.2"},
		{"context_embedder", "cond_seq_linear"},
		{"pos_embed.proj", "init_x_linear"},
		{"proj_out", "final_linear"},
	}
)

// names are diffusers' names of a network with the given number of double and single blocks. Upstream: utils.py
// auraflow_to_diffusers.
func names(double, single int) *dit.Names {
	n := &dit.Names{}
	blocks := func(count int, from, to string, layers [][2]string) {
		for i := range count {
			for _, l := range layers {
				n.Layer(fmt.Sprintf("%s.%d.%s", from, i, l[0]), fmt.Sprintf("%s.%d.%s", to, i, l[1]))
			}
		}
	}
	blocks(double, "joint_transformer_blocks", "double_layers", doubleLayers)
	blocks(single, "single_transformer_blocks", "single_layers", singleLayers)
	for _, l := range basicLayers {
		n.Layer(l[0], l[1])
	}
	n.Swapped("norm_out.linear", "modF.1")
	n.Tensor("pos_embed.pos_embed", "positional_encoding")
	n.Tensor("register_tokens", "register_tokens")
	return n
}
