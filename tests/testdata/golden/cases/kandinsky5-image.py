# The model for images.
NAME = "kandinsky5-image"
SHAPE = [1, 16, 6, 10]
SIGMAS = [0.5, 0.95]
COND = {"cross_attn": ["fwd/kandinsky5-image/own/0/c", [1, 5, 3584]], "pooled_output": ["fwd/kandinsky5-image/own/0/p", [1, 768]]}
DTYPE = "BF16"
# What is large is narrow or zero, to keep the file small.
DTYPES = {"attention.to_": "F8_E4M3", "attention.out_layer.weight": "F8_E4M3", "text_embeddings.in_layer.weight": "F8_E4M3"}
GAIN = {"text_transformer_blocks.0.self_attention": 0}
TENSORS = """
time_embeddings.in_layer.weight 128 2560
time_embeddings.in_layer.bias 128
time_embeddings.out_layer.weight 128 128
time_embeddings.out_layer.bias 128
text_embeddings.in_layer.weight 2560 3584
text_embeddings.in_layer.bias 2560
text_embeddings.norm.weight 2560
text_embeddings.norm.bias 2560
pooled_text_embeddings.in_layer.weight 128 768
pooled_text_embeddings.in_layer.bias 128
pooled_text_embeddings.norm.weight 128
pooled_text_embeddings.norm.bias 128
visual_embeddings.in_layer.weight 2560 64
visual_embeddings.in_layer.bias 2560
text_transformer_blocks.0.text_modulation.out_layer.weight 15360 128
text_transformer_blocks.0.text_modulation.out_layer.bias 15360
text_transformer_blocks.0.self_attention.to_query.weight 2560 2560
text_transformer_blocks.0.self_attention.to_query.bias 2560
text_transformer_blocks.0.self_attention.to_key.weight 2560 2560
text_transformer_blocks.0.self_attention.to_key.bias 2560
text_transformer_blocks.0.self_attention.to_value.weight 2560 2560
text_transformer_blocks.0.self_attention.to_value.bias 2560
text_transformer_blocks.0.self_attention.query_norm.weight 128
text_transformer_blocks.0.self_attention.key_norm.weight 128
text_transformer_blocks.0.self_attention.out_layer.weight 2560 2560
text_transformer_blocks.0.self_attention.out_layer.bias 2560
text_transformer_blocks.0.feed_forward.in_layer.weight 128 2560
text_transformer_blocks.0.feed_forward.out_layer.weight 2560 128
visual_transformer_blocks.0.visual_modulation.out_layer.weight 23040 128
visual_transformer_blocks.0.visual_modulation.out_layer.bias 23040
visual_transformer_blocks.0.self_attention.to_query.weight 2560 2560
visual_transformer_blocks.0.self_attention.to_query.bias 2560
visual_transformer_blocks.0.self_attention.to_key.weight 2560 2560
visual_transformer_blocks.0.self_attention.to_key.bias 2560
visual_transformer_blocks.0.self_attention.to_value.weight 2560 2560
visual_transformer_blocks.0.self_attention.to_value.bias 2560
visual_transformer_blocks.0.self_attention.query_norm.weight 128
visual_transformer_blocks.0.self_attention.key_norm.weight 128
visual_transformer_blocks.0.self_attention.out_layer.weight 2560 2560
visual_transformer_blocks.0.self_attention.out_layer.bias 2560
visual_transformer_blocks.0.cross_attention.to_query.weight 2560 2560
visual_transformer_blocks.0.cross_attention.to_query.bias 2560
visual_transformer_blocks.0.cross_attention.to_key.weight 2560 2560
visual_transformer_blocks.0.cross_attention.to_key.bias 2560
visual_transformer_blocks.0.cross_attention.to_value.weight 2560 2560
visual_transformer_blocks.0.cross_attention.to_value.bias 2560
visual_transformer_blocks.0.cross_attention.query_norm.weight 128
visual_transformer_blocks.0.cross_attention.key_norm.weight 128
visual_transformer_blocks.0.cross_attention.out_layer.weight 2560 2560
visual_transformer_blocks.0.cross_attention.out_layer.bias 2560
visual_transformer_blocks.0.feed_forward.in_layer.weight 128 2560
visual_transformer_blocks.0.feed_forward.out_layer.weight 2560 128
out_layer.modulation.out_layer.weight 5120 128
out_layer.modulation.out_layer.bias 5120
out_layer.out_layer.weight 64 2560
out_layer.out_layer.bias 64
"""
