"""Writes testdata/shard_0000.pkl as SaveTrainingDataset of ComfyUI 0.33.0 does: python nodes/dataset/testdata/make_shard.py"""
import os

import torch

ramp = torch.arange(24, dtype=torch.float32)
half = (torch.arange(8).reshape(2, 4) / 8).to(torch.bfloat16)
shard = {
    "latents": [{"samples": ramp.reshape(1, 2, 3, 4)}, {"samples": ramp.reshape(1, 4, 3, 2).transpose(2, 3), "batch_index": [3], "noise_mask": torch.ones(1, 2, 2), "odd": 1}],
    "conditioning": [[[half.reshape(1, 2, 4), {"pooled_output": ramp[:4].reshape(1, 4), "area": (8, 8, 0, 4), "strength": 0.5}]], [[half.reshape(1, 2, 4), {"pooled_output": None, "guidance": 3.5, "list": [ramp[:2]]}]]],
}
with open(os.path.join(os.path.dirname(__file__), "shard_0000.pkl"), "wb") as f:
    torch.save(shard, f)
