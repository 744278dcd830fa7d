NAME = "zero123"
SHAPE = [1, 4, 8, 8]
SIGMAS = [0.5, 5.0]
COND = {'cross_attn': ['fwd/zero123/own/0/c', [1, 1, 772]], 'concat_latent_image': [1, 4, 8, 8]}
TENSORS = """
time_embed.0.weight 1280 320
time_embed.0.bias 1280
time_embed.2.weight 1280 1280
time_embed.2.bias 1280
input_blocks.0.0.weight 320 8 3 3
input_blocks.0.0.bias 320
input_blocks.1.0.in_layers.0.weight 320
input_blocks.1.0.in_layers.0.bias 320
input_blocks.1.0.in_layers.2.weight 320 320 3 3
input_blocks.1.0.in_layers.2.bias 320
input_blocks.1.0.emb_layers.1.weight 320 1280
input_blocks.1.0.emb_layers.1.bias 320
input_blocks.1.0.out_layers.0.weight 320
input_blocks.1.0.out_layers.0.bias 320
input_blocks.1.0.out_layers.3.weight 320 320 3 3
input_blocks.1.0.out_layers.3.bias 320
input_blocks.1.1.norm.weight 320
input_blocks.1.1.norm.bias 320
input_blocks.1.1.proj_in.weight 320 320 1 1
input_blocks.1.1.proj_in.bias 320
input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight 320 320
input_blocks.1.1.transformer_blocks.0.attn1.to_k.weight 320 320
input_blocks.1.1.transformer_blocks.0.attn1.to_v.weight 320 320
input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight 320 320
input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.bias 320
input_blocks.1.1.transformer_blocks.0.ff.net.0.proj.weight 2560 320
input_blocks.1.1.transformer_blocks.0.ff.net.0.proj.bias 2560
input_blocks.1.1.transformer_blocks.0.ff.net.2.weight 320 1280
input_blocks.1.1.transformer_blocks.0.ff.net.2.bias 320
input_blocks.1.1.transformer_blocks.0.attn2.to_q.weight 320 320
input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768
input_blocks.1.1.transformer_blocks.0.attn2.to_v.weight 320 768
input_blocks.1.1.transformer_blocks.0.attn2.to_out.0.weight 320 320
input_blocks.1.1.transformer_blocks.0.attn2.to_out.0.bias 320
input_blocks.1.1.transformer_blocks.0.norm2.weight 320
input_blocks.1.1.transformer_blocks.0.norm2.bias 320
input_blocks.1.1.transformer_blocks.0.norm1.weight 320
input_blocks.1.1.transformer_blocks.0.norm1.bias 320
input_blocks.1.1.transformer_blocks.0.norm3.weight 320
input_blocks.1.1.transformer_blocks.0.norm3.bias 320
input_blocks.1.1.proj_out.weight 320 320 1 1
input_blocks.1.1.proj_out.bias 320
middle_block.0.in_layers.0.weight 320
middle_block.0.in_layers.0.bias 320
middle_block.0.in_layers.2.weight 320 320 3 3
middle_block.0.in_layers.2.bias 320
middle_block.0.emb_layers.1.weight 320 1280
middle_block.0.emb_layers.1.bias 320
middle_block.0.out_layers.0.weight 320
middle_block.0.out_layers.0.bias 320
middle_block.0.out_layers.3.weight 320 320 3 3
middle_block.0.out_layers.3.bias 320
middle_block.1.norm.weight 320
middle_block.1.norm.bias 320
middle_block.1.proj_in.weight 320 320 1 1
middle_block.1.proj_in.bias 320
middle_block.1.transformer_blocks.0.attn1.to_q.weight 320 320
middle_block.1.transformer_blocks.0.attn1.to_k.weight 320 320
middle_block.1.transformer_blocks.0.attn1.to_v.weight 320 320
middle_block.1.transformer_blocks.0.attn1.to_out.0.weight 320 320
middle_block.1.transformer_blocks.0.attn1.to_out.0.bias 320
middle_block.1.transformer_blocks.0.ff.net.0.proj.weight 2560 320
middle_block.1.transformer_blocks.0.ff.net.0.proj.bias 2560
middle_block.1.transformer_blocks.0.ff.net.2.weight 320 1280
middle_block.1.transformer_blocks.0.ff.net.2.bias 320
middle_block.1.transformer_blocks.0.attn2.to_q.weight 320 320
middle_block.1.transformer_blocks.0.attn2.to_k.weight 320 768
middle_block.1.transformer_blocks.0.attn2.to_v.weight 320 768
middle_block.1.transformer_blocks.0.attn2.to_out.0.weight 320 320
middle_block.1.transformer_blocks.0.attn2.to_out.0.bias 320
middle_block.1.transformer_blocks.0.norm2.weight 320
middle_block.1.transformer_blocks.0.norm2.bias 320
middle_block.1.transformer_blocks.0.norm1.weight 320
middle_block.1.transformer_blocks.0.norm1.bias 320
middle_block.1.transformer_blocks.0.norm3.weight 320
middle_block.1.transformer_blocks.0.norm3.bias 320
middle_block.1.proj_out.weight 320 320 1 1
middle_block.1.proj_out.bias 320
middle_block.2.in_layers.0.weight 320
middle_block.2.in_layers.0.bias 320
middle_block.2.in_layers.2.weight 320 320 3 3
middle_block.2.in_layers.2.bias 320
middle_block.2.emb_layers.1.weight 320 1280
middle_block.2.emb_layers.1.bias 320
middle_block.2.out_layers.0.weight 320
middle_block.2.out_layers.0.bias 320
middle_block.2.out_layers.3.weight 320 320 3 3
middle_block.2.out_layers.3.bias 320
output_blocks.0.0.in_layers.0.weight 640
output_blocks.0.0.in_layers.0.bias 640
output_blocks.0.0.in_layers.2.weight 320 640 3 3
output_blocks.0.0.in_layers.2.bias 320
output_blocks.0.0.emb_layers.1.weight 320 1280
output_blocks.0.0.emb_layers.1.bias 320
output_blocks.0.0.out_layers.0.weight 320
output_blocks.0.0.out_layers.0.bias 320
output_blocks.0.0.out_layers.3.weight 320 320 3 3
output_blocks.0.0.out_layers.3.bias 320
output_blocks.0.0.skip_connection.weight 320 640 1 1
output_blocks.0.0.skip_connection.bias 320
output_blocks.0.1.norm.weight 320
output_blocks.0.1.norm.bias 320
output_blocks.0.1.proj_in.weight 320 320 1 1
output_blocks.0.1.proj_in.bias 320
output_blocks.0.1.transformer_blocks.0.attn1.to_q.weight 320 320
output_blocks.0.1.transformer_blocks.0.attn1.to_k.weight 320 320
output_blocks.0.1.transformer_blocks.0.attn1.to_v.weight 320 320
output_blocks.0.1.transformer_blocks.0.attn1.to_out.0.weight 320 320
output_blocks.0.1.transformer_blocks.0.attn1.to_out.0.bias 320
output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.weight 2560 320
output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.bias 2560
output_blocks.0.1.transformer_blocks.0.ff.net.2.weight 320 1280
output_blocks.0.1.transformer_blocks.0.ff.net.2.bias 320
output_blocks.0.1.transformer_blocks.0.attn2.to_q.weight 320 320
output_blocks.0.1.transformer_blocks.0.attn2.to_k.weight 320 768
output_blocks.0.1.transformer_blocks.0.attn2.to_v.weight 320 768
output_blocks.0.1.transformer_blocks.0.attn2.to_out.0.weight 320 320
output_blocks.0.1.transformer_blocks.0.attn2.to_out.0.bias 320
output_blocks.0.1.transformer_blocks.0.norm2.weight 320
output_blocks.0.1.transformer_blocks.0.norm2.bias 320
output_blocks.0.1.transformer_blocks.0.norm1.weight 320
output_blocks.0.1.transformer_blocks.0.norm1.bias 320
output_blocks.0.1.transformer_blocks.0.norm3.weight 320
output_blocks.0.1.transformer_blocks.0.norm3.bias 320
output_blocks.0.1.proj_out.weight 320 320 1 1
output_blocks.0.1.proj_out.bias 320
output_blocks.1.0.in_layers.0.weight 640
output_blocks.1.0.in_layers.0.bias 640
output_blocks.1.0.in_layers.2.weight 320 640 3 3
output_blocks.1.0.in_layers.2.bias 320
output_blocks.1.0.emb_layers.1.weight 320 1280
output_blocks.1.0.emb_layers.1.bias 320
output_blocks.1.0.out_layers.0.weight 320
output_blocks.1.0.out_layers.0.bias 320
output_blocks.1.0.out_layers.3.weight 320 320 3 3
output_blocks.1.0.out_layers.3.bias 320
output_blocks.1.0.skip_connection.weight 320 640 1 1
output_blocks.1.0.skip_connection.bias 320
output_blocks.1.1.norm.weight 320
output_blocks.1.1.norm.bias 320
output_blocks.1.1.proj_in.weight 320 320 1 1
output_blocks.1.1.proj_in.bias 320
output_blocks.1.1.transformer_blocks.0.attn1.to_q.weight 320 320
output_blocks.1.1.transformer_blocks.0.attn1.to_k.weight 320 320
output_blocks.1.1.transformer_blocks.0.attn1.to_v.weight 320 320
output_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight 320 320
output_blocks.1.1.transformer_blocks.0.attn1.to_out.0.bias 320
output_blocks.1.1.transformer_blocks.0.ff.net.0.proj.weight 2560 320
output_blocks.1.1.transformer_blocks.0.ff.net.0.proj.bias 2560
output_blocks.1.1.transformer_blocks.0.ff.net.2.weight 320 1280
output_blocks.1.1.transformer_blocks.0.ff.net.2.bias 320
output_blocks.1.1.transformer_blocks.0.attn2.to_q.weight 320 320
output_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768
output_blocks.1.1.transformer_blocks.0.attn2.to_v.weight 320 768
output_blocks.1.1.transformer_blocks.0.attn2.to_out.0.weight 320 320
output_blocks.1.1.transformer_blocks.0.attn2.to_out.0.bias 320
output_blocks.1.1.transformer_blocks.0.norm2.weight 320
output_blocks.1.1.transformer_blocks.0.norm2.bias 320
output_blocks.1.1.transformer_blocks.0.norm1.weight 320
output_blocks.1.1.transformer_blocks.0.norm1.bias 320
output_blocks.1.1.transformer_blocks.0.norm3.weight 320
output_blocks.1.1.transformer_blocks.0.norm3.bias 320
output_blocks.1.1.proj_out.weight 320 320 1 1
output_blocks.1.1.proj_out.bias 320
out.0.weight 320
out.0.bias 320
out.2.weight 4 320 3 3
out.2.bias 4
cc_projection.weight 768 772
cc_projection.bias 768
"""
