"""What ComfyUI 0.33.0's VAE of Wan 2.2 computes with small weights.

usage: python vae22.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
from comfy.ldm.wan.vae2_2 import WanVAE

r = recording.Recorder("wan", here)
calls = {f"decode{t}": lambda m, t=t: m.decode(r.normal(f"y{t}", 1, 8, t, 2, 1))[0].movedim(1, 0) for t in (1, 3)}
calls |= {f"encode{t}": lambda m, t=t: m.encode(r.normal(f"p{t}", t, 3, 32, 48).movedim(0, 1)[None]) for t in (1, 9)}
r.record("vae22", WanVAE(dim=8, dec_dim=8, z_dim=8, num_res_blocks=1), calls)
