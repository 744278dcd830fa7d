# The distilled model: the first sigma is one of the schedule, whose next the network reads, the second is between two.
NAME = "hunyuan-image21-distilled"
SHAPE = [1, 64, 4, 6]
SIGMAS = [0.75, 0.5]
SCHEDULE = [1.0, 0.75, 0.25, 0.0]
COND = {"cross_attn": ["fwd/hunyuan-image21-distilled/own/0/c", [1, 6, 3584]]}
TENSORS = """
img_in.proj.weight 256 64 1 1
img_in.proj.bias 256
time_in.in_layer.weight 256 256
time_in.in_layer.bias 256
time_in.out_layer.weight 256 256
time_in.out_layer.bias 256
txt_in.input_embedder.weight 256 3584
txt_in.input_embedder.bias 256
txt_in.t_embedder.in_layer.weight 256 256
txt_in.t_embedder.in_layer.bias 256
txt_in.t_embedder.out_layer.weight 256 256
txt_in.t_embedder.out_layer.bias 256
txt_in.c_embedder.in_layer.weight 256 3584
txt_in.c_embedder.in_layer.bias 256
txt_in.c_embedder.out_layer.weight 256 256
txt_in.c_embedder.out_layer.bias 256
txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.weight 512 256
txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias 512
txt_in.individual_token_refiner.blocks.0.norm1.weight 256
txt_in.individual_token_refiner.blocks.0.norm1.bias 256
txt_in.individual_token_refiner.blocks.0.self_attn.qkv.weight 768 256
txt_in.individual_token_refiner.blocks.0.self_attn.qkv.bias 768
txt_in.individual_token_refiner.blocks.0.self_attn.proj.weight 256 256
txt_in.individual_token_refiner.blocks.0.self_attn.proj.bias 256
txt_in.individual_token_refiner.blocks.0.norm2.weight 256
txt_in.individual_token_refiner.blocks.0.norm2.bias 256
txt_in.individual_token_refiner.blocks.0.mlp.0.weight 1024 256
txt_in.individual_token_refiner.blocks.0.mlp.0.bias 1024
txt_in.individual_token_refiner.blocks.0.mlp.2.weight 256 1024
txt_in.individual_token_refiner.blocks.0.mlp.2.bias 256
txt_in.individual_token_refiner.blocks.1.adaLN_modulation.1.weight 512 256
txt_in.individual_token_refiner.blocks.1.adaLN_modulation.1.bias 512
txt_in.individual_token_refiner.blocks.1.norm1.weight 256
txt_in.individual_token_refiner.blocks.1.norm1.bias 256
txt_in.individual_token_refiner.blocks.1.self_attn.qkv.weight 768 256
txt_in.individual_token_refiner.blocks.1.self_attn.qkv.bias 768
txt_in.individual_token_refiner.blocks.1.self_attn.proj.weight 256 256
txt_in.individual_token_refiner.blocks.1.self_attn.proj.bias 256
txt_in.individual_token_refiner.blocks.1.norm2.weight 256
txt_in.individual_token_refiner.blocks.1.norm2.bias 256
txt_in.individual_token_refiner.blocks.1.mlp.0.weight 1024 256
txt_in.individual_token_refiner.blocks.1.mlp.0.bias 1024
txt_in.individual_token_refiner.blocks.1.mlp.2.weight 256 1024
txt_in.individual_token_refiner.blocks.1.mlp.2.bias 256
double_blocks.0.img_mod.lin.weight 1536 256
double_blocks.0.img_mod.lin.bias 1536
double_blocks.0.img_attn.qkv.weight 768 256
double_blocks.0.img_attn.qkv.bias 768
double_blocks.0.img_attn.norm.query_norm.weight 128
double_blocks.0.img_attn.norm.key_norm.weight 128
double_blocks.0.img_attn.proj.weight 256 256
double_blocks.0.img_attn.proj.bias 256
double_blocks.0.img_mlp.0.weight 1024 256
double_blocks.0.img_mlp.0.bias 1024
double_blocks.0.img_mlp.2.weight 256 1024
double_blocks.0.img_mlp.2.bias 256
double_blocks.0.txt_mod.lin.weight 1536 256
double_blocks.0.txt_mod.lin.bias 1536
double_blocks.0.txt_attn.qkv.weight 768 256
double_blocks.0.txt_attn.qkv.bias 768
double_blocks.0.txt_attn.norm.query_norm.weight 128
double_blocks.0.txt_attn.norm.key_norm.weight 128
double_blocks.0.txt_attn.proj.weight 256 256
double_blocks.0.txt_attn.proj.bias 256
double_blocks.0.txt_mlp.0.weight 1024 256
double_blocks.0.txt_mlp.0.bias 1024
double_blocks.0.txt_mlp.2.weight 256 1024
double_blocks.0.txt_mlp.2.bias 256
single_blocks.0.linear1.weight 1792 256
single_blocks.0.linear1.bias 1792
single_blocks.0.linear2.weight 256 1280
single_blocks.0.linear2.bias 256
single_blocks.0.norm.query_norm.weight 128
single_blocks.0.norm.key_norm.weight 128
single_blocks.0.modulation.lin.weight 768 256
single_blocks.0.modulation.lin.bias 768
single_blocks.1.linear1.weight 1792 256
single_blocks.1.linear1.bias 1792
single_blocks.1.linear2.weight 256 1280
single_blocks.1.linear2.bias 256
single_blocks.1.norm.query_norm.weight 128
single_blocks.1.norm.key_norm.weight 128
single_blocks.1.modulation.lin.weight 768 256
single_blocks.1.modulation.lin.bias 768
byt5_in.layernorm.weight 1472
byt5_in.layernorm.bias 1472
byt5_in.fc1.weight 2048 1472
byt5_in.fc1.bias 2048
byt5_in.fc2.weight 2048 2048
byt5_in.fc2.bias 2048
byt5_in.fc3.weight 256 2048
byt5_in.fc3.bias 256
final_layer.linear.weight 64 256
final_layer.linear.bias 64
final_layer.adaLN_modulation.1.weight 512 256
final_layer.adaLN_modulation.1.bias 512
time_r_in.in_layer.weight 256 256
time_r_in.in_layer.bias 256
time_r_in.out_layer.weight 256 256
time_r_in.out_layer.bias 256
"""
