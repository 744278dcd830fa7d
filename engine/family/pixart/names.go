package pixart

import (
	"fmt"

	"comfygo/engine/family/dit"
)

// basicLayers are the layers outside the blocks by diffusers' names.
var basicLayers = [][2]string{
	{"adaln_single.emb.resolution_embedder.linear_1", "csize_embedder.mlp.0"},
	{"adaln_single.emb.resolution_embedder.linear_2", "csize_embedder.mlp.2"},
	{"adaln_single.emb.aspect_ratio_embedder.linear_1", "ar_embedder.mlp.0"},
	{"adaln_single.emb.aspect_ratio_embedder.linear_2", "ar_embedder.mlp.2"},
	{"pos_embed.proj", "x_embedder.proj"},
	{"caption_projection.linear_1", "y_embedder.y_proj.fc1"},
	{"caption_projection.linear_2", "y_embedder.y_proj.fc2"},
	{"adaln_single.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"},
	{"adaln_single.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"},
	{"adaln_single.linear", "t_block.1"},
	{"proj_out", "final_layer.linear"},
}

// names are diffusers' names of a network with the given number of blocks and width hidden. Upstream: utils.py
// pixart_to_diffusers.
func names(blocks, hidden int) *dit.Names {
	n := &dit.Names{}
	for i := range blocks {
		from, to := fmt.Sprintf("transformer_blocks.%d.", i), fmt.Sprintf("blocks.%d.", i)
		n.Fused(to+"attn.qkv", hidden, from+"attn1.to_q", from+"attn1.to_k", from+"attn1.to_v")
		n.Layer(from+"attn2.to_q", to+"cross_attn.q_linear")
		n.Fused(to+"cross_attn.kv_linear", hidden, from+"attn2.to_k", from+"attn2.to_v")
		n.Layer(from+"attn1.to_out.0", to+"attn.proj")
		n.Layer(from+"attn2.to_out.0", to+"cross_attn.proj")
		n.Layer(from+"ff.net.0.proj", to+"mlp.fc1")
		n.Layer(from+"ff.net.2", to+"mlp.fc2")
		n.Tensor(from+"scale_shift_table", to+"scale_shift_table")
	}
	for _, l := range basicLayers {
		n.Layer(l[0], l[1])
	}
	n.Tensor("caption_projection.y_embedding", "y_embedder.y_embedding")
	n.Tensor("scale_shift_table", "final_layer.scale_shift_table")
	return n
}
