# Version 1.1, which reads the image's size and a style.
NAME = "hydit1"
SHAPE = [1, 4, 8, 6]
SIGMAS = [0.5, 3.0]
COND = {
    "cross_attn": ["fwd/hydit1/own/0/c", [1, 77, 1024]], "attention_mask": {"integers": [[1, 77], 2]},
    "attention_mask_mt5xl": {"integers": [[1, 256], 2]}, "conditioning_mt5xl": ["fwd/hydit1/own/0/m", [1, 256, 2048]],
    "width": 640, "height": 512,
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
x_embedder.proj.weight 1408 4 2 2
x_embedder.proj.bias 1408
t_embedder.mlp.0.weight 1408 256
t_embedder.mlp.0.bias 1408
t_embedder.mlp.2.weight 1408 1408
t_embedder.mlp.2.bias 1408
extra_embedder.0.weight 5632 3968
extra_embedder.0.bias 5632
extra_embedder.2.weight 1408 5632
extra_embedder.2.bias 1408
final_layer.linear.weight 32 1408
final_layer.linear.bias 32
final_layer.adaLN_modulation.1.weight 2816 1408
final_layer.adaLN_modulation.1.bias 2816
blocks.0.norm1.weight 1408
blocks.0.norm1.bias 1408
blocks.0.attn1.Wqkv.weight 4224 1408
blocks.0.attn1.Wqkv.bias 4224
blocks.0.attn1.q_norm.weight 88
blocks.0.attn1.q_norm.bias 88
blocks.0.attn1.k_norm.weight 88
blocks.0.attn1.k_norm.bias 88
blocks.0.attn1.out_proj.weight 1408 1408
blocks.0.attn1.out_proj.bias 1408
blocks.0.norm2.weight 1408
blocks.0.norm2.bias 1408
blocks.0.mlp.fc1.weight 5632 1408
blocks.0.mlp.fc1.bias 5632
blocks.0.mlp.fc2.weight 1408 5632
blocks.0.mlp.fc2.bias 1408
blocks.0.default_modulation.1.weight 1408 1408
blocks.0.default_modulation.1.bias 1408
blocks.0.attn2.q_proj.weight 1408 1408
blocks.0.attn2.q_proj.bias 1408
blocks.0.attn2.kv_proj.weight 2816 1024
blocks.0.attn2.kv_proj.bias 2816
blocks.0.attn2.q_norm.weight 88
blocks.0.attn2.q_norm.bias 88
blocks.0.attn2.k_norm.weight 88
blocks.0.attn2.k_norm.bias 88
blocks.0.attn2.out_proj.weight 1408 1408
blocks.0.attn2.out_proj.bias 1408
blocks.0.norm3.weight 1408
blocks.0.norm3.bias 1408
style_embedder.weight 1 1408
"""
