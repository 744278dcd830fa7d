# A video from an image.
NAME = "kandinsky5-i2v"
SHAPE = [1, 16, 3, 6, 10]
SIGMAS = [0.5, 0.95]
COND = {
    "cross_attn": ["fwd/kandinsky5-i2v/own/0/c", [1, 5, 3584]], "pooled_output": ["fwd/kandinsky5-i2v/own/0/p", [1, 768]], "concat_mask": [1, 1, 2, 6, 10],
    "time_dim_replace": ["fwd/kandinsky5-i2v/own/0/t", [1, 16, 1, 6, 10]],
}
DTYPE = "BF16"
# What is large is narrow or zero, to keep the file small.
DTYPES = {"attention.to_": "F8_E4M3", "attention.out_layer.weight": "F8_E4M3", "text_embeddings.in_layer.weight": "F8_E4M3"}
GAIN = {"text_transformer_blocks.0.self_attention": 0}
TENSORS = """
time_embeddings.in_layer.weight 128 1792
time_embeddings.in_layer.bias 128
time_embeddings.out_layer.weight 128 128
time_embeddings.out_layer.bias 128
text_embeddings.in_layer.weight 1792 3584
text_embeddings.in_layer.bias 1792
text_embeddings.norm.weight 1792
text_embeddings.norm.bias 1792
pooled_text_embeddings.in_layer.weight 128 768
pooled_text_embeddings.in_layer.bias 128
pooled_text_embeddings.norm.weight 128
pooled_text_embeddings.norm.bias 128
visual_embeddings.in_layer.weight 1792 132
visual_embeddings.in_layer.bias 1792
text_transformer_blocks.0.text_modulation.out_layer.weight 10752 128
text_transformer_blocks.0.text_modulation.out_layer.bias 10752
text_transformer_blocks.0.self_attention.to_query.weight 1792 1792
text_transformer_blocks.0.self_attention.to_query.bias 1792
text_transformer_blocks.0.self_attention.to_key.weight 1792 1792
text_transformer_blocks.0.self_attention.to_key.bias 1792
text_transformer_blocks.0.self_attention.to_value.weight 1792 1792
text_transformer_blocks.0.self_attention.to_value.bias 1792
text_transformer_blocks.0.self_attention.query_norm.weight 64
text_transformer_blocks.0.self_attention.key_norm.weight 64
text_transformer_blocks.0.self_attention.out_layer.weight 1792 1792
text_transformer_blocks.0.self_attention.out_layer.bias 1792
text_transformer_blocks.0.feed_forward.in_layer.weight 128 1792
text_transformer_blocks.0.feed_forward.out_layer.weight 1792 128
visual_transformer_blocks.0.visual_modulation.out_layer.weight 16128 128
visual_transformer_blocks.0.visual_modulation.out_layer.bias 16128
visual_transformer_blocks.0.self_attention.to_query.weight 1792 1792
visual_transformer_blocks.0.self_attention.to_query.bias 1792
visual_transformer_blocks.0.self_attention.to_key.weight 1792 1792
visual_transformer_blocks.0.self_attention.to_key.bias 1792
visual_transformer_blocks.0.self_attention.to_value.weight 1792 1792
visual_transformer_blocks.0.self_attention.to_value.bias 1792
visual_transformer_blocks.0.self_attention.query_norm.weight 64
visual_transformer_blocks.0.self_attention.key_norm.weight 64
visual_transformer_blocks.0.self_attention.out_layer.weight 1792 1792
visual_transformer_blocks.0.self_attention.out_layer.bias 1792
visual_transformer_blocks.0.cross_attention.to_query.weight 1792 1792
visual_transformer_blocks.0.cross_attention.to_query.bias 1792
visual_transformer_blocks.0.cross_attention.to_key.weight 1792 1792
visual_transformer_blocks.0.cross_attention.to_key.bias 1792
visual_transformer_blocks.0.cross_attention.to_value.weight 1792 1792
visual_transformer_blocks.0.cross_attention.to_value.bias 1792
visual_transformer_blocks.0.cross_attention.query_norm.weight 64
visual_transformer_blocks.0.cross_attention.key_norm.weight 64
visual_transformer_blocks.0.cross_attention.out_layer.weight 1792 1792
visual_transformer_blocks.0.cross_attention.out_layer.bias 1792
visual_transformer_blocks.0.feed_forward.in_layer.weight 128 1792
visual_transformer_blocks.0.feed_forward.out_layer.weight 1792 128
out_layer.modulation.out_layer.weight 3584 128
out_layer.modulation.out_layer.bias 3584
out_layer.out_layer.weight 64 1792
out_layer.out_layer.bias 64
"""
