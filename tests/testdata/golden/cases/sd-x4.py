NAME = "sd-x4"
SHAPE = [1, 4, 16, 16]
SIGMAS = [0.5, 5.0]
COND = {'cross_attn': ['fwd/sd-x4/own/0/c', [1, 77, 1024]], 'concat_image': ['fwd/sd-x4/own/0/image', [1, 3, 12, 20]], 'noise_augmentation': 0.3}
TENSORS = """
time_embed.0.weight 1024 256
time_embed.0.bias 1024
time_embed.2.weight 1024 1024
time_embed.2.bias 1024
label_emb.weight 1000 1024
input_blocks.0.0.weight 256 7 3 3
input_blocks.0.0.bias 256
input_blocks.1.0.in_layers.0.weight 256
input_blocks.1.0.in_layers.0.bias 256
input_blocks.1.0.in_layers.2.weight 256 256 3 3
input_blocks.1.0.in_layers.2.bias 256
input_blocks.1.0.emb_layers.1.weight 256 1024
input_blocks.1.0.emb_layers.1.bias 256
input_blocks.1.0.out_layers.0.weight 256
input_blocks.1.0.out_layers.0.bias 256
input_blocks.1.0.out_layers.3.weight 256 256 3 3
input_blocks.1.0.out_layers.3.bias 256
input_blocks.2.0.op.weight 256 256 3 3
input_blocks.2.0.op.bias 256
input_blocks.3.0.in_layers.0.weight 256
input_blocks.3.0.in_layers.0.bias 256
input_blocks.3.0.in_layers.2.weight 256 256 3 3
input_blocks.3.0.in_layers.2.bias 256
input_blocks.3.0.emb_layers.1.weight 256 1024
input_blocks.3.0.emb_layers.1.bias 256
input_blocks.3.0.out_layers.0.weight 256
input_blocks.3.0.out_layers.0.bias 256
input_blocks.3.0.out_layers.3.weight 256 256 3 3
input_blocks.3.0.out_layers.3.bias 256
input_blocks.3.1.norm.weight 256
input_blocks.3.1.norm.bias 256
input_blocks.3.1.proj_in.weight 256 256
input_blocks.3.1.proj_in.bias 256
input_blocks.3.1.transformer_blocks.0.attn1.to_q.weight 256 256
input_blocks.3.1.transformer_blocks.0.attn1.to_k.weight 256 1024
input_blocks.3.1.transformer_blocks.0.attn1.to_v.weight 256 1024
input_blocks.3.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
input_blocks.3.1.transformer_blocks.0.attn1.to_out.0.bias 256
input_blocks.3.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
input_blocks.3.1.transformer_blocks.0.ff.net.0.proj.bias 2048
input_blocks.3.1.transformer_blocks.0.ff.net.2.weight 256 1024
input_blocks.3.1.transformer_blocks.0.ff.net.2.bias 256
input_blocks.3.1.transformer_blocks.0.attn2.to_q.weight 256 256
input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight 256 1024
input_blocks.3.1.transformer_blocks.0.attn2.to_v.weight 256 1024
input_blocks.3.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
input_blocks.3.1.transformer_blocks.0.attn2.to_out.0.bias 256
input_blocks.3.1.transformer_blocks.0.norm2.weight 256
input_blocks.3.1.transformer_blocks.0.norm2.bias 256
input_blocks.3.1.transformer_blocks.0.norm1.weight 256
input_blocks.3.1.transformer_blocks.0.norm1.bias 256
input_blocks.3.1.transformer_blocks.0.norm3.weight 256
input_blocks.3.1.transformer_blocks.0.norm3.bias 256
input_blocks.3.1.proj_out.weight 256 256
input_blocks.3.1.proj_out.bias 256
input_blocks.4.0.op.weight 256 256 3 3
input_blocks.4.0.op.bias 256
input_blocks.5.0.in_layers.0.weight 256
input_blocks.5.0.in_layers.0.bias 256
input_blocks.5.0.in_layers.2.weight 256 256 3 3
input_blocks.5.0.in_layers.2.bias 256
input_blocks.5.0.emb_layers.1.weight 256 1024
input_blocks.5.0.emb_layers.1.bias 256
input_blocks.5.0.out_layers.0.weight 256
input_blocks.5.0.out_layers.0.bias 256
input_blocks.5.0.out_layers.3.weight 256 256 3 3
input_blocks.5.0.out_layers.3.bias 256
input_blocks.6.0.op.weight 256 256 3 3
input_blocks.6.0.op.bias 256
input_blocks.7.0.in_layers.0.weight 256
input_blocks.7.0.in_layers.0.bias 256
input_blocks.7.0.in_layers.2.weight 256 256 3 3
input_blocks.7.0.in_layers.2.bias 256
input_blocks.7.0.emb_layers.1.weight 256 1024
input_blocks.7.0.emb_layers.1.bias 256
input_blocks.7.0.out_layers.0.weight 256
input_blocks.7.0.out_layers.0.bias 256
input_blocks.7.0.out_layers.3.weight 256 256 3 3
input_blocks.7.0.out_layers.3.bias 256
input_blocks.7.1.norm.weight 256
input_blocks.7.1.norm.bias 256
input_blocks.7.1.proj_in.weight 256 256
input_blocks.7.1.proj_in.bias 256
input_blocks.7.1.transformer_blocks.0.attn1.to_q.weight 256 256
input_blocks.7.1.transformer_blocks.0.attn1.to_k.weight 256 256
input_blocks.7.1.transformer_blocks.0.attn1.to_v.weight 256 256
input_blocks.7.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
input_blocks.7.1.transformer_blocks.0.attn1.to_out.0.bias 256
input_blocks.7.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
input_blocks.7.1.transformer_blocks.0.ff.net.0.proj.bias 2048
input_blocks.7.1.transformer_blocks.0.ff.net.2.weight 256 1024
input_blocks.7.1.transformer_blocks.0.ff.net.2.bias 256
input_blocks.7.1.transformer_blocks.0.attn2.to_q.weight 256 256
input_blocks.7.1.transformer_blocks.0.attn2.to_k.weight 256 1024
input_blocks.7.1.transformer_blocks.0.attn2.to_v.weight 256 1024
input_blocks.7.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
input_blocks.7.1.transformer_blocks.0.attn2.to_out.0.bias 256
input_blocks.7.1.transformer_blocks.0.norm2.weight 256
input_blocks.7.1.transformer_blocks.0.norm2.bias 256
input_blocks.7.1.transformer_blocks.0.norm1.weight 256
input_blocks.7.1.transformer_blocks.0.norm1.bias 256
input_blocks.7.1.transformer_blocks.0.norm3.weight 256
input_blocks.7.1.transformer_blocks.0.norm3.bias 256
input_blocks.7.1.proj_out.weight 256 256
input_blocks.7.1.proj_out.bias 256
middle_block.0.in_layers.0.weight 256
middle_block.0.in_layers.0.bias 256
middle_block.0.in_layers.2.weight 256 256 3 3
middle_block.0.in_layers.2.bias 256
middle_block.0.emb_layers.1.weight 256 1024
middle_block.0.emb_layers.1.bias 256
middle_block.0.out_layers.0.weight 256
middle_block.0.out_layers.0.bias 256
middle_block.0.out_layers.3.weight 256 256 3 3
middle_block.0.out_layers.3.bias 256
middle_block.1.norm.weight 256
middle_block.1.norm.bias 256
middle_block.1.proj_in.weight 256 256
middle_block.1.proj_in.bias 256
middle_block.1.transformer_blocks.0.attn1.to_q.weight 256 256
middle_block.1.transformer_blocks.0.attn1.to_k.weight 256 256
middle_block.1.transformer_blocks.0.attn1.to_v.weight 256 256
middle_block.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
middle_block.1.transformer_blocks.0.attn1.to_out.0.bias 256
middle_block.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
middle_block.1.transformer_blocks.0.ff.net.0.proj.bias 2048
middle_block.1.transformer_blocks.0.ff.net.2.weight 256 1024
middle_block.1.transformer_blocks.0.ff.net.2.bias 256
middle_block.1.transformer_blocks.0.attn2.to_q.weight 256 256
middle_block.1.transformer_blocks.0.attn2.to_k.weight 256 1024
middle_block.1.transformer_blocks.0.attn2.to_v.weight 256 1024
middle_block.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
middle_block.1.transformer_blocks.0.attn2.to_out.0.bias 256
middle_block.1.transformer_blocks.0.norm2.weight 256
middle_block.1.transformer_blocks.0.norm2.bias 256
middle_block.1.transformer_blocks.0.norm1.weight 256
middle_block.1.transformer_blocks.0.norm1.bias 256
middle_block.1.transformer_blocks.0.norm3.weight 256
middle_block.1.transformer_blocks.0.norm3.bias 256
middle_block.1.proj_out.weight 256 256
middle_block.1.proj_out.bias 256
middle_block.2.in_layers.0.weight 256
middle_block.2.in_layers.0.bias 256
middle_block.2.in_layers.2.weight 256 256 3 3
middle_block.2.in_layers.2.bias 256
middle_block.2.emb_layers.1.weight 256 1024
middle_block.2.emb_layers.1.bias 256
middle_block.2.out_layers.0.weight 256
middle_block.2.out_layers.0.bias 256
middle_block.2.out_layers.3.weight 256 256 3 3
middle_block.2.out_layers.3.bias 256
output_blocks.0.0.in_layers.0.weight 512
output_blocks.0.0.in_layers.0.bias 512
output_blocks.0.0.in_layers.2.weight 256 512 3 3
output_blocks.0.0.in_layers.2.bias 256
output_blocks.0.0.emb_layers.1.weight 256 1024
output_blocks.0.0.emb_layers.1.bias 256
output_blocks.0.0.out_layers.0.weight 256
output_blocks.0.0.out_layers.0.bias 256
output_blocks.0.0.out_layers.3.weight 256 256 3 3
output_blocks.0.0.out_layers.3.bias 256
output_blocks.0.0.skip_connection.weight 256 512 1 1
output_blocks.0.0.skip_connection.bias 256
output_blocks.0.1.norm.weight 256
output_blocks.0.1.norm.bias 256
output_blocks.0.1.proj_in.weight 256 256
output_blocks.0.1.proj_in.bias 256
output_blocks.0.1.transformer_blocks.0.attn1.to_q.weight 256 256
output_blocks.0.1.transformer_blocks.0.attn1.to_k.weight 256 256
output_blocks.0.1.transformer_blocks.0.attn1.to_v.weight 256 256
output_blocks.0.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
output_blocks.0.1.transformer_blocks.0.attn1.to_out.0.bias 256
output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.bias 2048
output_blocks.0.1.transformer_blocks.0.ff.net.2.weight 256 1024
output_blocks.0.1.transformer_blocks.0.ff.net.2.bias 256
output_blocks.0.1.transformer_blocks.0.attn2.to_q.weight 256 256
output_blocks.0.1.transformer_blocks.0.attn2.to_k.weight 256 1024
output_blocks.0.1.transformer_blocks.0.attn2.to_v.weight 256 1024
output_blocks.0.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
output_blocks.0.1.transformer_blocks.0.attn2.to_out.0.bias 256
output_blocks.0.1.transformer_blocks.0.norm2.weight 256
output_blocks.0.1.transformer_blocks.0.norm2.bias 256
output_blocks.0.1.transformer_blocks.0.norm1.weight 256
output_blocks.0.1.transformer_blocks.0.norm1.bias 256
output_blocks.0.1.transformer_blocks.0.norm3.weight 256
output_blocks.0.1.transformer_blocks.0.norm3.bias 256
output_blocks.0.1.proj_out.weight 256 256
output_blocks.0.1.proj_out.bias 256
output_blocks.1.0.in_layers.0.weight 512
output_blocks.1.0.in_layers.0.bias 512
output_blocks.1.0.in_layers.2.weight 256 512 3 3
output_blocks.1.0.in_layers.2.bias 256
output_blocks.1.0.emb_layers.1.weight 256 1024
output_blocks.1.0.emb_layers.1.bias 256
output_blocks.1.0.out_layers.0.weight 256
output_blocks.1.0.out_layers.0.bias 256
output_blocks.1.0.out_layers.3.weight 256 256 3 3
output_blocks.1.0.out_layers.3.bias 256
output_blocks.1.0.skip_connection.weight 256 512 1 1
output_blocks.1.0.skip_connection.bias 256
output_blocks.1.1.norm.weight 256
output_blocks.1.1.norm.bias 256
output_blocks.1.1.proj_in.weight 256 256
output_blocks.1.1.proj_in.bias 256
output_blocks.1.1.transformer_blocks.0.attn1.to_q.weight 256 256
output_blocks.1.1.transformer_blocks.0.attn1.to_k.weight 256 256
output_blocks.1.1.transformer_blocks.0.attn1.to_v.weight 256 256
output_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
output_blocks.1.1.transformer_blocks.0.attn1.to_out.0.bias 256
output_blocks.1.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
output_blocks.1.1.transformer_blocks.0.ff.net.0.proj.bias 2048
output_blocks.1.1.transformer_blocks.0.ff.net.2.weight 256 1024
output_blocks.1.1.transformer_blocks.0.ff.net.2.bias 256
output_blocks.1.1.transformer_blocks.0.attn2.to_q.weight 256 256
output_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 256 1024
output_blocks.1.1.transformer_blocks.0.attn2.to_v.weight 256 1024
output_blocks.1.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
output_blocks.1.1.transformer_blocks.0.attn2.to_out.0.bias 256
output_blocks.1.1.transformer_blocks.0.norm2.weight 256
output_blocks.1.1.transformer_blocks.0.norm2.bias 256
output_blocks.1.1.transformer_blocks.0.norm1.weight 256
output_blocks.1.1.transformer_blocks.0.norm1.bias 256
output_blocks.1.1.transformer_blocks.0.norm3.weight 256
output_blocks.1.1.transformer_blocks.0.norm3.bias 256
output_blocks.1.1.proj_out.weight 256 256
output_blocks.1.1.proj_out.bias 256
output_blocks.1.2.conv.weight 256 256 3 3
output_blocks.1.2.conv.bias 256
output_blocks.2.0.in_layers.0.weight 512
output_blocks.2.0.in_layers.0.bias 512
output_blocks.2.0.in_layers.2.weight 256 512 3 3
output_blocks.2.0.in_layers.2.bias 256
output_blocks.2.0.emb_layers.1.weight 256 1024
output_blocks.2.0.emb_layers.1.bias 256
output_blocks.2.0.out_layers.0.weight 256
output_blocks.2.0.out_layers.0.bias 256
output_blocks.2.0.out_layers.3.weight 256 256 3 3
output_blocks.2.0.out_layers.3.bias 256
output_blocks.2.0.skip_connection.weight 256 512 1 1
output_blocks.2.0.skip_connection.bias 256
output_blocks.3.0.in_layers.0.weight 512
output_blocks.3.0.in_layers.0.bias 512
output_blocks.3.0.in_layers.2.weight 256 512 3 3
output_blocks.3.0.in_layers.2.bias 256
output_blocks.3.0.emb_layers.1.weight 256 1024
output_blocks.3.0.emb_layers.1.bias 256
output_blocks.3.0.out_layers.0.weight 256
output_blocks.3.0.out_layers.0.bias 256
output_blocks.3.0.out_layers.3.weight 256 256 3 3
output_blocks.3.0.out_layers.3.bias 256
output_blocks.3.0.skip_connection.weight 256 512 1 1
output_blocks.3.0.skip_connection.bias 256
output_blocks.3.1.conv.weight 256 256 3 3
output_blocks.3.1.conv.bias 256
output_blocks.4.0.in_layers.0.weight 512
output_blocks.4.0.in_layers.0.bias 512
output_blocks.4.0.in_layers.2.weight 256 512 3 3
output_blocks.4.0.in_layers.2.bias 256
output_blocks.4.0.emb_layers.1.weight 256 1024
output_blocks.4.0.emb_layers.1.bias 256
output_blocks.4.0.out_layers.0.weight 256
output_blocks.4.0.out_layers.0.bias 256
output_blocks.4.0.out_layers.3.weight 256 256 3 3
output_blocks.4.0.out_layers.3.bias 256
output_blocks.4.0.skip_connection.weight 256 512 1 1
output_blocks.4.0.skip_connection.bias 256
output_blocks.4.1.norm.weight 256
output_blocks.4.1.norm.bias 256
output_blocks.4.1.proj_in.weight 256 256
output_blocks.4.1.proj_in.bias 256
output_blocks.4.1.transformer_blocks.0.attn1.to_q.weight 256 256
output_blocks.4.1.transformer_blocks.0.attn1.to_k.weight 256 1024
output_blocks.4.1.transformer_blocks.0.attn1.to_v.weight 256 1024
output_blocks.4.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
output_blocks.4.1.transformer_blocks.0.attn1.to_out.0.bias 256
output_blocks.4.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
output_blocks.4.1.transformer_blocks.0.ff.net.0.proj.bias 2048
output_blocks.4.1.transformer_blocks.0.ff.net.2.weight 256 1024
output_blocks.4.1.transformer_blocks.0.ff.net.2.bias 256
output_blocks.4.1.transformer_blocks.0.attn2.to_q.weight 256 256
output_blocks.4.1.transformer_blocks.0.attn2.to_k.weight 256 1024
output_blocks.4.1.transformer_blocks.0.attn2.to_v.weight 256 1024
output_blocks.4.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
output_blocks.4.1.transformer_blocks.0.attn2.to_out.0.bias 256
output_blocks.4.1.transformer_blocks.0.norm2.weight 256
output_blocks.4.1.transformer_blocks.0.norm2.bias 256
output_blocks.4.1.transformer_blocks.0.norm1.weight 256
output_blocks.4.1.transformer_blocks.0.norm1.bias 256
output_blocks.4.1.transformer_blocks.0.norm3.weight 256
output_blocks.4.1.transformer_blocks.0.norm3.bias 256
output_blocks.4.1.proj_out.weight 256 256
output_blocks.4.1.proj_out.bias 256
output_blocks.5.0.in_layers.0.weight 512
output_blocks.5.0.in_layers.0.bias 512
output_blocks.5.0.in_layers.2.weight 256 512 3 3
output_blocks.5.0.in_layers.2.bias 256
output_blocks.5.0.emb_layers.1.weight 256 1024
output_blocks.5.0.emb_layers.1.bias 256
output_blocks.5.0.out_layers.0.weight 256
output_blocks.5.0.out_layers.0.bias 256
output_blocks.5.0.out_layers.3.weight 256 256 3 3
output_blocks.5.0.out_layers.3.bias 256
output_blocks.5.0.skip_connection.weight 256 512 1 1
output_blocks.5.0.skip_connection.bias 256
output_blocks.5.1.norm.weight 256
output_blocks.5.1.norm.bias 256
output_blocks.5.1.proj_in.weight 256 256
output_blocks.5.1.proj_in.bias 256
output_blocks.5.1.transformer_blocks.0.attn1.to_q.weight 256 256
output_blocks.5.1.transformer_blocks.0.attn1.to_k.weight 256 1024
output_blocks.5.1.transformer_blocks.0.attn1.to_v.weight 256 1024
output_blocks.5.1.transformer_blocks.0.attn1.to_out.0.weight 256 256
output_blocks.5.1.transformer_blocks.0.attn1.to_out.0.bias 256
output_blocks.5.1.transformer_blocks.0.ff.net.0.proj.weight 2048 256
output_blocks.5.1.transformer_blocks.0.ff.net.0.proj.bias 2048
output_blocks.5.1.transformer_blocks.0.ff.net.2.weight 256 1024
output_blocks.5.1.transformer_blocks.0.ff.net.2.bias 256
output_blocks.5.1.transformer_blocks.0.attn2.to_q.weight 256 256
output_blocks.5.1.transformer_blocks.0.attn2.to_k.weight 256 1024
output_blocks.5.1.transformer_blocks.0.attn2.to_v.weight 256 1024
output_blocks.5.1.transformer_blocks.0.attn2.to_out.0.weight 256 256
output_blocks.5.1.transformer_blocks.0.attn2.to_out.0.bias 256
output_blocks.5.1.transformer_blocks.0.norm2.weight 256
output_blocks.5.1.transformer_blocks.0.norm2.bias 256
output_blocks.5.1.transformer_blocks.0.norm1.weight 256
output_blocks.5.1.transformer_blocks.0.norm1.bias 256
output_blocks.5.1.transformer_blocks.0.norm3.weight 256
output_blocks.5.1.transformer_blocks.0.norm3.bias 256
output_blocks.5.1.proj_out.weight 256 256
output_blocks.5.1.proj_out.bias 256
output_blocks.5.2.conv.weight 256 256 3 3
output_blocks.5.2.conv.bias 256
output_blocks.6.0.in_layers.0.weight 512
output_blocks.6.0.in_layers.0.bias 512
output_blocks.6.0.in_layers.2.weight 256 512 3 3
output_blocks.6.0.in_layers.2.bias 256
output_blocks.6.0.emb_layers.1.weight 256 1024
output_blocks.6.0.emb_layers.1.bias 256
output_blocks.6.0.out_layers.0.weight 256
output_blocks.6.0.out_layers.0.bias 256
output_blocks.6.0.out_layers.3.weight 256 256 3 3
output_blocks.6.0.out_layers.3.bias 256
output_blocks.6.0.skip_connection.weight 256 512 1 1
output_blocks.6.0.skip_connection.bias 256
output_blocks.7.0.in_layers.0.weight 512
output_blocks.7.0.in_layers.0.bias 512
output_blocks.7.0.in_layers.2.weight 256 512 3 3
output_blocks.7.0.in_layers.2.bias 256
output_blocks.7.0.emb_layers.1.weight 256 1024
output_blocks.7.0.emb_layers.1.bias 256
output_blocks.7.0.out_layers.0.weight 256
output_blocks.7.0.out_layers.0.bias 256
output_blocks.7.0.out_layers.3.weight 256 256 3 3
output_blocks.7.0.out_layers.3.bias 256
output_blocks.7.0.skip_connection.weight 256 512 1 1
output_blocks.7.0.skip_connection.bias 256
out.0.weight 256
out.0.bias 256
out.2.weight 4 256 3 3
out.2.bias 4
"""
