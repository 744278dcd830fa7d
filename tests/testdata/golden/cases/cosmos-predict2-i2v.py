NAME = "cosmos-predict2-i2v"
SHAPE = [1, 16, 3, 6, 10]
SIGMAS = [0.5, 5.0]
COND = {"cross_attn": ["fwd/cosmos-predict2-i2v/own/0/c", [1, 8, 1024]], "concat_mask": [1, 1, 3, 6, 10]}
TENSORS = """
t_embedder.1.linear_1.weight 256 256
t_embedder.1.linear_2.weight 768 256
x_embedder.proj.1.weight 256 72
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
blocks.1.self_attn.q_proj.weight 256 256
blocks.1.self_attn.q_norm.weight 16
blocks.1.self_attn.k_proj.weight 256 256
blocks.1.self_attn.k_norm.weight 16
blocks.1.self_attn.v_proj.weight 256 256
blocks.1.self_attn.output_proj.weight 256 256
blocks.1.cross_attn.q_proj.weight 256 256
blocks.1.cross_attn.q_norm.weight 16
blocks.1.cross_attn.k_proj.weight 256 1024
blocks.1.cross_attn.k_norm.weight 16
blocks.1.cross_attn.v_proj.weight 256 1024
blocks.1.cross_attn.output_proj.weight 256 256
blocks.1.mlp.layer1.weight 1024 256
blocks.1.mlp.layer2.weight 256 1024
blocks.1.adaln_modulation_self_attn.1.weight 256 256
blocks.1.adaln_modulation_self_attn.2.weight 768 256
blocks.1.adaln_modulation_cross_attn.1.weight 256 256
blocks.1.adaln_modulation_cross_attn.2.weight 768 256
blocks.1.adaln_modulation_mlp.1.weight 256 256
blocks.1.adaln_modulation_mlp.2.weight 768 256
final_layer.linear.weight 64 256
final_layer.adaln_modulation.1.weight 256 256
final_layer.adaln_modulation.2.weight 512 256
t_embedding_norm.weight 256
"""
