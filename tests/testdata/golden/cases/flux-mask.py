NAME = "flux-mask"
SHAPE = [1, 16, 6, 10]
SIGMAS = [0.5]
COND = {"cross_attn": ["fwd/flux-mask/own/0/c", [1, 7, 768]], "pooled_output": [1, 768], "attention_mask": ["fwd/flux-mask/own/0/m", [1, 8, 8]], "attention_mask_img_shape": (1, 1), "guidance": 3.5}
