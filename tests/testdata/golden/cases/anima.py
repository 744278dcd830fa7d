NAME = "anima"
SHAPE = [1, 16, 1, 5, 8]
SIGMAS = [0.5, 0.95]
COND = {
    "cross_attn": ["fwd/anima/own/0/c", [1, 7, 1024]], "t5xxl_ids": {"integers": [[11], 32128]}, "t5xxl_weights": ["fwd/anima/own/0/w", [11]],
}
# The table is narrow and most blocks are zero, to keep the file small.
DTYPES = {"embed": "F8_E4M3"}
GAIN = {f"llm_adapter.blocks.{i}.": 0 for i in range(2, 6)}
TENSORS = """
t_embedder.1.linear_1.weight 256 256
t_embedder.1.linear_2.weight 768 256
x_embedder.proj.1.weight 256 68
blocks.0.self_attn.q_proj.weight 256 256
blocks.0.self_attn.q_norm.weight 16
blocks.0.self_attn.k_proj.weight 256 256
blocks.0.self_attn.k_norm.weight 16
blocks.0.self_attn.v_proj.weight 256 256
blocks.0.self_attn.output_proj.weight 256 256
blocks.0.cross_attn.q_proj.weight 256 256
blocks.0.cross_attn.q_norm.weight 16
blocks.0.cross_attn.k_proj.weight 256 1024
blocks.0.cross_attn.k_norm.weight 16
blocks.0.cross_attn.v_proj.weight 256 1024
blocks.0.cross_attn.output_proj.weight 256 256
blocks.0.mlp.layer1.weight 1024 256
blocks.0.mlp.layer2.weight 256 1024
blocks.0.adaln_modulation_self_attn.1.weight 256 256
blocks.0.adaln_modulation_self_attn.2.weight 768 256
blocks.0.adaln_modulation_cross_attn.1.weight 256 256
blocks.0.adaln_modulation_cross_attn.2.weight 768 256
blocks.0.adaln_modulation_mlp.1.weight 256 256
blocks.0.adaln_modulation_mlp.2.weight 768 256
final_layer.linear.weight 64 256
final_layer.adaln_modulation.1.weight 256 256
final_layer.adaln_modulation.2.weight 512 256
t_embedding_norm.weight 256
llm_adapter.embed.weight 32128 1024
llm_adapter.blocks.0.norm_self_attn.weight 1024
llm_adapter.blocks.0.self_attn.q_proj.weight 1024 1024
llm_adapter.blocks.0.self_attn.k_proj.weight 1024 1024
llm_adapter.blocks.0.self_attn.v_proj.weight 1024 1024
llm_adapter.blocks.0.self_attn.o_proj.weight 1024 1024
llm_adapter.blocks.0.self_attn.q_norm.weight 64
llm_adapter.blocks.0.self_attn.k_norm.weight 64
llm_adapter.blocks.0.norm_cross_attn.weight 1024
llm_adapter.blocks.0.cross_attn.q_proj.weight 1024 1024
llm_adapter.blocks.0.cross_attn.k_proj.weight 1024 1024
llm_adapter.blocks.0.cross_attn.v_proj.weight 1024 1024
llm_adapter.blocks.0.cross_attn.o_proj.weight 1024 1024
llm_adapter.blocks.0.cross_attn.q_norm.weight 64
llm_adapter.blocks.0.cross_attn.k_norm.weight 64
llm_adapter.blocks.0.norm_mlp.weight 1024
llm_adapter.blocks.0.mlp.0.weight 4096 1024
llm_adapter.blocks.0.mlp.0.bias 4096
llm_adapter.blocks.0.mlp.2.weight 1024 4096
llm_adapter.blocks.0.mlp.2.bias 1024
llm_adapter.blocks.1.norm_self_attn.weight 1024
llm_adapter.blocks.1.self_attn.q_proj.weight 1024 1024
llm_adapter.blocks.1.self_attn.k_proj.weight 1024 1024
llm_adapter.blocks.1.self_attn.v_proj.weight 1024 1024
llm_adapter.blocks.1.self_attn.o_proj.weight 1024 1024
llm_adapter.blocks.1.self_attn.q_norm.weight 64
llm_adapter.blocks.1.self_attn.k_norm.weight 64
llm_adapter.blocks.1.norm_cross_attn.weight 1024
llm_adapter.blocks.1.cross_attn.q_proj.weight 1024 1024
llm_adapter.blocks.1.cross_attn.k_proj.weight 1024 1024
llm_adapter.blocks.1.cross_attn.v_proj.weight 1024 1024
llm_adapter.blocks.1.cross_attn.o_proj.weight 1024 1024
llm_adapter.blocks.1.cross_attn.q_norm.weight 64
llm_adapter.blocks.1.cross_attn.k_norm.weight 64
llm_adapter.blocks.1.norm_mlp.weight 1024
llm_adapter.blocks.1.mlp.0.weight 4096 1024
llm_adapter.blocks.1.mlp.0.bias 4096
llm_adapter.blocks.1.mlp.2.weight 1024 4096
llm_adapter.blocks.1.mlp.2.bias 1024
llm_adapter.blocks.2.norm_self_attn.weight 1024
llm_adapter.blocks.2.self_attn.q_proj.weight 1024 1024
llm_adapter.blocks.2.self_attn.k_proj.weight 1024 1024
llm_adapter.blocks.2.self_attn.v_proj.weight 1024 1024
llm_adapter.blocks.2.self_attn.o_proj.weight 1024 1024
llm_adapter.blocks.2.self_attn.q_norm.weight 64
llm_adapter.blocks.2.self_attn.k_norm.weight 64
llm_adapter.blocks.2.norm_cross_attn.weight 1024
llm_adapter.blocks.2.cross_attn.q_proj.weight 1024 1024
llm_adapter.blocks.2.cross_attn.k_proj.weight 1024 1024
llm_adapter.blocks.2.cross_attn.v_proj.weight 1024 1024
llm_adapter.blocks.2.cross_attn.o_proj.weight 1024 1024
llm_adapter.blocks.2.cross_attn.q_norm.weight 64
llm_adapter.blocks.2.cross_attn.k_norm.weight 64
llm_adapter.blocks.2.norm_mlp.weight 1024
llm_adapter.blocks.2.mlp.0.weight 4096 1024
llm_adapter.blocks.2.mlp.0.bias 4096
llm_adapter.blocks.2.mlp.2.weight 1024 4096
llm_adapter.blocks.2.mlp.2.bias 1024
llm_adapter.blocks.3.norm_self_attn.weight 1024
llm_adapter.blocks.3.self_attn.q_proj.weight 1024 1024
llm_adapter.blocks.3.self_attn.k_proj.weight 1024 1024
llm_adapter.blocks.3.self_attn.v_proj.weight 1024 1024
llm_adapter.blocks.3.self_attn.o_proj.weight 1024 1024
llm_adapter.blocks.3.self_attn.q_norm.weight 64
llm_adapter.blocks.3.self_attn.k_norm.weight 64
llm_adapter.blocks.3.norm_cross_attn.weight 1024
llm_adapter.blocks.3.cross_attn.q_proj.weight 1024 1024
llm_adapter.blocks.3.cross_attn.k_proj.weight 1024 1024
llm_adapter.blocks.3.cross_attn.v_proj.weight 1024 1024
llm_adapter.blocks.3.cross_attn.o_proj.weight 1024 1024
llm_adapter.blocks.3.cross_attn.q_norm.weight 64
llm_adapter.blocks.3.cross_attn.k_norm.weight 64
llm_adapter.blocks.3.norm_mlp.weight 1024
llm_adapter.blocks.3.mlp.0.weight 4096 1024
llm_adapter.blocks.3.mlp.0.bias 4096
llm_adapter.blocks.3.mlp.2.weight 1024 4096
llm_adapter.blocks.3.mlp.2.bias 1024
llm_adapter.blocks.4.norm_self_attn.weight 1024
llm_adapter.blocks.4.self_attn.q_proj.weight 1024 1024
llm_adapter.blocks.4.self_attn.k_proj.weight 1024 1024
llm_adapter.blocks.4.self_attn.v_proj.weight 1024 1024
llm_adapter.blocks.4.self_attn.o_proj.weight 1024 1024
llm_adapter.blocks.4.self_attn.q_norm.weight 64
llm_adapter.blocks.4.self_attn.k_norm.weight 64
llm_adapter.blocks.4.norm_cross_attn.weight 1024
llm_adapter.blocks.4.cross_attn.q_proj.weight 1024 1024
llm_adapter.blocks.4.cross_attn.k_proj.weight 1024 1024
llm_adapter.blocks.4.cross_attn.v_proj.weight 1024 1024
llm_adapter.blocks.4.cross_attn.o_proj.weight 1024 1024
llm_adapter.blocks.4.cross_attn.q_norm.weight 64
llm_adapter.blocks.4.cross_attn.k_norm.weight 64
llm_adapter.blocks.4.norm_mlp.weight 1024
llm_adapter.blocks.4.mlp.0.weight 4096 1024
llm_adapter.blocks.4.mlp.0.bias 4096
llm_adapter.blocks.4.mlp.2.weight 1024 4096
llm_adapter.blocks.4.mlp.2.bias 1024
llm_adapter.blocks.5.norm_self_attn.weight 1024
llm_adapter.blocks.5.self_attn.q_proj.weight 1024 1024
llm_adapter.blocks.5.self_attn.k_proj.weight 1024 1024
llm_adapter.blocks.5.self_attn.v_proj.weight 1024 1024
llm_adapter.blocks.5.self_attn.o_proj.weight 1024 1024
llm_adapter.blocks.5.self_attn.q_norm.weight 64
llm_adapter.blocks.5.self_attn.k_norm.weight 64
llm_adapter.blocks.5.norm_cross_attn.weight 1024
llm_adapter.blocks.5.cross_attn.q_proj.weight 1024 1024
llm_adapter.blocks.5.cross_attn.k_proj.weight 1024 1024
llm_adapter.blocks.5.cross_attn.v_proj.weight 1024 1024
llm_adapter.blocks.5.cross_attn.o_proj.weight 1024 1024
llm_adapter.blocks.5.cross_attn.q_norm.weight 64
llm_adapter.blocks.5.cross_attn.k_norm.weight 64
llm_adapter.blocks.5.norm_mlp.weight 1024
llm_adapter.blocks.5.mlp.0.weight 4096 1024
llm_adapter.blocks.5.mlp.0.bias 4096
llm_adapter.blocks.5.mlp.2.weight 1024 4096
llm_adapter.blocks.5.mlp.2.bias 1024
llm_adapter.out_proj.weight 1024 1024
llm_adapter.out_proj.bias 1024
llm_adapter.norm.weight 1024
"""
