"""What torchvision's RAFT computes with small weights, with the frames as ComfyUI 0.33.0 prepares them.

usage: python raft.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
from torchvision.models.optical_flow import raft as tv
from comfy_extras.void_noise_warp import RaftOpticalFlow

r = recording.Recorder("raft", here)
norms = torch.nn.InstanceNorm2d, torch.nn.BatchNorm2d
corr = tv.CorrBlock(num_levels=4, radius=4)
motion = tv.MotionEncoder(in_channels_corr=corr.out_channels, corr_layers=(24, 16), flow_layers=(16, 8), out_channels=20)
m = tv.RAFT(
    feature_encoder=tv.FeatureEncoder(layers=(8, 8, 12, 16, 32), norm_layer=norms[0]),
    context_encoder=tv.FeatureEncoder(layers=(8, 8, 12, 16, 28), norm_layer=norms[1]),
    corr_block=corr,
    update_block=tv.UpdateBlock(motion_encoder=motion, recurrent_block=tv.RecurrentBlock(input_size=motion.out_channels + 12, hidden_size=16),
                                flow_head=tv.FlowHead(in_channels=16, hidden_size=24)),
    mask_predictor=tv.MaskPredictor(in_channels=16, hidden_size=24))


def frame(name):
    return r.normal(name, 3, 128, 136).mul(0.2).add(0.5).clamp(0, 1)


if __name__ == "__main__":
    m.double().float()
    r.record("raft", m, {"flow": lambda m: RaftOpticalFlow(m, "cpu")(frame("first"), frame("second"))}, every=17)
