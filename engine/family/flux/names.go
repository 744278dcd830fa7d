package flux

import (
	"fmt"

	"comfygo/engine/family/dit"
)

// blockLayers are the layers of a double block by diffusers' names, except for the fused ones.
var blockLayers = [][2]string{
	{"attn.to_out.0", "img_attn.proj"},
	{"norm1.linear", "img_mod.lin"},
	{"norm1_context.linear", "txt_mod.lin"},
	{"attn.to_add_out", "txt_attn.proj"},
	{"ff.net.0.proj", "img_mlp.0"},
	{"ff.net.2", "img_mlp.2"},
	{"ff_context.net.0.proj", "txt_mlp.0"},
	{"ff_context.net.2", "txt_mlp.2"},
	{"ff.linear_in", "img_mlp.0"},
	{"ff.linear_out", "img_mlp.2"},
	{"ff_context.linear_in", "txt_mlp.0"},
	{"ff_context.linear_out", "txt_mlp.2"},
	{"attn.norm_q", "img_attn.norm.query_norm"},
	{"attn.norm_k", "img_attn.norm.key_norm"},
	{"attn.norm_added_q", "txt_attn.norm.query_norm"},
	{"attn.norm_added_k", "txt_attn.norm.key_norm"},
}

// singleLayers are the layers of a single block.
var singleLayers = [][2]string{
	{"norm.linear", "modulation.lin"},
	{"proj_out", "linear2"},
	{"attn.norm_q", "norm.query_norm"},
	{"attn.norm_k", "norm.key_norm"},
	{"attn.to_qkv_mlp_proj", "linear1"},
	{"attn.to_out", "linear2"},
}

// basicLayers are those outside the blocks.
var basicLayers = [][2]string{
	{"proj_out", "final_layer.linear"},
	{"x_embedder", "img_in"},
	{"time_text_embed.timestep_embedder.linear_1", "time_in.in_layer"},
	{"time_text_embed.timestep_embedder.linear_2", "time_in.out_layer"},
	{"context_embedder", "txt_in"},
	{"time_text_embed.text_embedder.linear_1", "vector_in.in_layer"},
	{"time_text_embed.text_embedder.linear_2", "vector_in.out_layer"},
	{"time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer"},
	{"time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer"},
	{"controlnet_x_embedder", "pos_embed_input"},
}

// names are diffusers' names of a network with the given number of double and single blocks and width hidden. Upstream:
// utils.py flux_to_diffusers.
func names(depth, single, hidden int) *dit.Names {
	n := &dit.Names{}
	for i := range depth {
		from, to := fmt.Sprintf("transformer_blocks.%d.", i), fmt.Sprintf("double_blocks.%d.", i)
		n.Fused(to+"img_attn.qkv", hidden, from+"attn.to_q", from+"attn.to_k", from+"attn.to_v")
		n.Fused(to+"txt_attn.qkv", hidden, from+"attn.add_q_proj", from+"attn.add_k_proj", from+"attn.add_v_proj")
		for _, l := range blockLayers {
			n.Layer(from+l[0], to+l[1])
		}
	}
	for i := range single {
		from, to := fmt.Sprintf("single_transformer_blocks.%d.", i), fmt.Sprintf("single_blocks.%d.", i)
		n.Fused(to+"linear1", hidden, from+"attn.to_q", from+"attn.to_k", from+"attn.to_v")
		n.Rows(from+"proj_mlp", to+"linear1", 3*hidden, 4*hidden)
		for _, l := range singleLayers {
			n.Layer(from+l[0], to+l[1])
		}
	}
	for _, l := range basicLayers {
		n.Layer(l[0], l[1])
	}
	n.Swapped("norm_out.linear", "final_layer.adaLN_modulation.1")
	return n
}
