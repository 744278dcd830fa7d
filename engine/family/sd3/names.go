package sd3

import (
	"fmt"

	"comfygo/engine/family/dit"
)

// blockLayers are the layers of a joint block by diffusers' names, except for the fused ones.
var blockLayers = [][2]string{
	{"norm1_context.linear", "context_block.adaLN_modulation.1"},
	{"attn.to_add_out", "context_block.attn.proj"},
	{"ff_context.net.0.proj", "context_block.mlp.fc1"},
	{"ff_context.net.2", "context_block.mlp.fc2"},
	{"attn.norm_added_q", "context_block.attn.ln_q"},
	{"attn.norm_added_k", "context_block.attn.ln_k"},
	{"norm1.linear", "x_block.adaLN_modulation.1"},
	{"attn.to_out.0", "x_block.attn.proj"},
	{"attn.norm_q", "x_block.attn.ln_q"},
	{"attn.norm_k", "x_block.attn.ln_k"},
	{"attn2.to_out.0", "x_block.attn2.proj"},
	{"attn2.norm_q", "x_block.attn2.ln_q"},
	{"attn2.norm_k", "x_block.attn2.ln_k"},
	{"ff.net.0.proj", "x_block.mlp.fc1"},
	{"ff.net.2", "x_block.mlp.fc2"},
}

// basicLayers are those outside the blocks.
var basicLayers = [][2]string{
	{"context_embedder", "context_embedder"},
	{"time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"},
	{"time_text_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"},
	{"pos_embed.proj", "x_embedder.proj"},
	{"time_text_embed.text_embedder.linear_1", "y_embedder.mlp.0"},
	{"time_text_embed.text_embedder.linear_2", "y_embedder.mlp.2"},
	{"proj_out", "final_layer.linear"},
}

// Names are diffusers' names of a network with the given number of blocks and width hidden. Upstream: utils.py
// mmdit_to_diffusers.
func Names(blocks, hidden int) *dit.Names {
	n := &dit.Names{}
	// The last block's text modulation has shift and scale in the other order; the first name of a layer counts.
	depth := hidden / headWidth
	for i := range blocks {
		from, to := fmt.Sprintf("transformer_blocks.%d.", i), fmt.Sprintf("joint_blocks.%d.", i)
		n.Fused(to+"x_block.attn.qkv", hidden, from+"attn.to_q", from+"attn.to_k", from+"attn.to_v")
		n.Fused(to+"context_block.attn.qkv", hidden, from+"attn.add_q_proj", from+"attn.add_k_proj", from+"attn.add_v_proj")
		n.Fused(to+"x_block.attn2.qkv", hidden, from+"attn2.to_q", from+"attn2.to_k", from+"attn2.to_v")
		for _, l := range blockLayers {
			if i == depth-1 && l[0] == "norm1_context.linear" {
				n.Swapped(from+l[0], to+l[1])
				continue
			}
			n.Layer(from+l[0], to+l[1])
		}
	}
	for _, l := range basicLayers {
		n.Layer(l[0], l[1])
	}
	n.Tensor("pos_embed.pos_embed", "pos_embed")
	n.Swapped("norm_out.linear", "final_layer.adaLN_modulation.1")
	return n
}
