# Four blocks, of which the last has a long skip connection; an odd latent, and more tokens than have learned padding.
NAME = "hydit-skip"
SHAPE = [1, 4, 7, 12]
SIGMAS = [0.5, 3.0]
COND = {
    "cross_attn": ["fwd/hydit-skip/own/0/c", [1, 80, 1024]], "attention_mask": {"integers": [[1, 80], 2]},
    "attention_mask_mt5xl": {"integers": [[1, 260], 2]}, "conditioning_mt5xl": ["fwd/hydit-skip/own/0/m", [1, 260, 2048]],
}
DTYPES = {"mlp_t5": "F8_E4M3", "pooler": "F8_E4M3"}
TENSORS = """
text_embedding_padding 333 1024
mlp_t5.0.weight 8192 2048
mlp_t5.0.bias 8192
mlp_t5.2.weight 1024 8192
mlp_t5.2.bias 1024
pooler.positional_embedding 257 2048
pooler.k_proj.weight 2048 2048
pooler.k_proj.bias 2048
pooler.q_proj.weight 2048 2048
pooler.q_proj.bias 2048
pooler.v_proj.weight 2048 2048
pooler.v_proj.bias 2048
pooler.c_proj.weight 1024 2048
pooler.c_proj.bias 1024
x_embedder.proj.weight 128 4 2 2
x_embedder.proj.bias 128
t_embedder.mlp.0.weight 128 256
t_embedder.mlp.0.bias 128
t_embedder.mlp.2.weight 128 128
t_embedder.mlp.2.bias 128
extra_embedder.0.weight 512 1024
extra_embedder.0.bias 512
extra_embedder.2.weight 128 512
extra_embedder.2.bias 128
final_layer.linear.weight 32 128
final_layer.linear.bias 32
final_layer.adaLN_modulation.1.weight 256 128
final_layer.adaLN_modulation.1.bias 256
blocks.0.norm1.weight 128
blocks.0.norm1.bias 128
blocks.0.attn1.Wqkv.weight 384 128
blocks.0.attn1.Wqkv.bias 384
blocks.0.attn1.q_norm.weight 8
blocks.0.attn1.q_norm.bias 8
blocks.0.attn1.k_norm.weight 8
blocks.0.attn1.k_norm.bias 8
blocks.0.attn1.out_proj.weight 128 128
blocks.0.attn1.out_proj.bias 128
blocks.0.norm2.weight 128
blocks.0.norm2.bias 128
blocks.0.mlp.fc1.weight 512 128
blocks.0.mlp.fc1.bias 512
blocks.0.mlp.fc2.weight 128 512
blocks.0.mlp.fc2.bias 128
blocks.0.default_modulation.1.weight 128 128
blocks.0.default_modulation.1.bias 128
blocks.0.attn2.q_proj.weight 128 128
blocks.0.attn2.q_proj.bias 128
blocks.0.attn2.kv_proj.weight 256 1024
blocks.0.attn2.kv_proj.bias 256
blocks.0.attn2.q_norm.weight 8
blocks.0.attn2.q_norm.bias 8
blocks.0.attn2.k_norm.weight 8
blocks.0.attn2.k_norm.bias 8
blocks.0.attn2.out_proj.weight 128 128
blocks.0.attn2.out_proj.bias 128
blocks.0.norm3.weight 128
blocks.0.norm3.bias 128
blocks.1.norm1.weight 128
blocks.1.norm1.bias 128
blocks.1.attn1.Wqkv.weight 384 128
blocks.1.attn1.Wqkv.bias 384
blocks.1.attn1.q_norm.weight 8
blocks.1.attn1.q_norm.bias 8
blocks.1.attn1.k_norm.weight 8
blocks.1.attn1.k_norm.bias 8
blocks.1.attn1.out_proj.weight 128 128
blocks.1.attn1.out_proj.bias 128
blocks.1.norm2.weight 128
blocks.1.norm2.bias 128
blocks.1.mlp.fc1.weight 512 128
blocks.1.mlp.fc1.bias 512
blocks.1.mlp.fc2.weight 128 512
blocks.1.mlp.fc2.bias 128
blocks.1.default_modulation.1.weight 128 128
blocks.1.default_modulation.1.bias 128
blocks.1.attn2.q_proj.weight 128 128
blocks.1.attn2.q_proj.bias 128
blocks.1.attn2.kv_proj.weight 256 1024
blocks.1.attn2.kv_proj.bias 256
blocks.1.attn2.q_norm.weight 8
blocks.1.attn2.q_norm.bias 8
blocks.1.attn2.k_norm.weight 8
blocks.1.attn2.k_norm.bias 8
blocks.1.attn2.out_proj.weight 128 128
blocks.1.attn2.out_proj.bias 128
blocks.1.norm3.weight 128
blocks.1.norm3.bias 128
blocks.2.norm1.weight 128
blocks.2.norm1.bias 128
blocks.2.attn1.Wqkv.weight 384 128
blocks.2.attn1.Wqkv.bias 384
blocks.2.attn1.q_norm.weight 8
blocks.2.attn1.q_norm.bias 8
blocks.2.attn1.k_norm.weight 8
blocks.2.attn1.k_norm.bias 8
blocks.2.attn1.out_proj.weight 128 128
blocks.2.attn1.out_proj.bias 128
blocks.2.norm2.weight 128
blocks.2.norm2.bias 128
blocks.2.mlp.fc1.weight 512 128
blocks.2.mlp.fc1.bias 512
blocks.2.mlp.fc2.weight 128 512
blocks.2.mlp.fc2.bias 128
blocks.2.default_modulation.1.weight 128 128
blocks.2.default_modulation.1.bias 128
blocks.2.attn2.q_proj.weight 128 128
blocks.2.attn2.q_proj.bias 128
blocks.2.attn2.kv_proj.weight 256 1024
blocks.2.attn2.kv_proj.bias 256
blocks.2.attn2.q_norm.weight 8
blocks.2.attn2.q_norm.bias 8
blocks.2.attn2.k_norm.weight 8
blocks.2.attn2.k_norm.bias 8
blocks.2.attn2.out_proj.weight 128 128
blocks.2.attn2.out_proj.bias 128
blocks.2.norm3.weight 128
blocks.2.norm3.bias 128
blocks.3.norm1.weight 128
blocks.3.norm1.bias 128
blocks.3.attn1.Wqkv.weight 384 128
blocks.3.attn1.Wqkv.bias 384
blocks.3.attn1.q_norm.weight 8
blocks.3.attn1.q_norm.bias 8
blocks.3.attn1.k_norm.weight 8
blocks.3.attn1.k_norm.bias 8
blocks.3.attn1.out_proj.weight 128 128
blocks.3.attn1.out_proj.bias 128
blocks.3.norm2.weight 128
blocks.3.norm2.bias 128
blocks.3.mlp.fc1.weight 512 128
blocks.3.mlp.fc1.bias 512
blocks.3.mlp.fc2.weight 128 512
blocks.3.mlp.fc2.bias 128
blocks.3.default_modulation.1.weight 128 128
blocks.3.default_modulation.1.bias 128
blocks.3.attn2.q_proj.weight 128 128
blocks.3.attn2.q_proj.bias 128
blocks.3.attn2.kv_proj.weight 256 1024
blocks.3.attn2.kv_proj.bias 256
blocks.3.attn2.q_norm.weight 8
blocks.3.attn2.q_norm.bias 8
blocks.3.attn2.k_norm.weight 8
blocks.3.attn2.k_norm.bias 8
blocks.3.attn2.out_proj.weight 128 128
blocks.3.attn2.out_proj.bias 128
blocks.3.norm3.weight 128
blocks.3.norm3.bias 128
blocks.3.skip_norm.weight 256
blocks.3.skip_norm.bias 256
blocks.3.skip_linear.weight 128 256
blocks.3.skip_linear.bias 128
"""
