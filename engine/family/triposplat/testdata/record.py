"""What ComfyUI 0.33.0's modules of TripoSplat compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
torch.set_num_threads(1)
import comfy.ops
from comfy.ldm.triposplat import model as flow, vae, preview

ops = comfy.ops.disable_weight_init
EVERY = 29


def network():
    return flow.LatentSeqMMFlowModel(q_token_length=24, model_channels=128, cond_channels=128, num_blocks=2, num_refiner_blocks=1, cond2_channels=8, dtype=torch.float32, device="cpu", operations=ops)


class Decoder(vae.OctreeGaussianDecoder):
    def __init__(self):
        torch.nn.Module.__init__(self)
        o = dict(model_channels=104, cond_channels=16, num_blocks=2, num_heads=2, dtype=torch.float32, device="cpu", operations=ops)
        self.octree, self.gs = vae.OctreeProbabilityFixedlenDecoder(**o), vae.ElasticGaussianFixedlenDecoder(**o)


def some(v):
    """All of a few values, or one of every EVERY."""
    return v.float() if v.numel() < 200 else v.reshape(-1)[::EVERY].float()


def calls(f, names):
    done = {}

    def get(m, k):
        if not done:
            done.update(f(m))
        return some(done[k])
    return {name: (lambda m, name=name: get(m, name)) for name in names}


if __name__ == "__main__":
    r = recording.Recorder("triposplat", here)
    x, camera = r.normal("x", 2, 24, 16), r.normal("camera", 2, 1, 5)
    context, latent = r.normal("context", 2, 11, 128), r.normal("latent", 2, 8, 2, 3)
    t = torch.tensor([700.0, 250.0])

    def run(m):
        a, b = m([x, camera], t, context=context, ref_latents=[latent]), m([x, camera], t, context=context)
        return {"out": a[0], "camera out": a[1], "blind out": b[0], "blind camera": b[1], "places": m.pos_emb}
    r.record("flow", network(), calls(run, ["out", "camera out", "blind out", "blind camera", "places"]))
    z = r.normal("z", 2, 24, 16)
    names = ["positions", "scales", "rotations", "opacities", "colors"]

    def decode(m):
        out = {}
        for key, gaussians, level in [("deep", 32 * 40, None), ("flat", 32 * 300, 3)]:
            found = m.decode(z, gaussians, level=level, generator=torch.Generator().manual_seed(5))
            for name, parts in zip(names, zip(*[g.render_tensors() for g in found])):
                out[f"{key} {name}"] = torch.stack(parts)
        probabilities = m.octree(r.normal("points", 1, 7, 3), torch.tensor([16]), z[:1])
        out["logits"] = probabilities["logits"]
        out["features"] = m.gs({"points": r.normal("points", 1, 7, 3)}, z[:1])["features"]
        return out
    r.record("vae", Decoder(), calls(decode, [f"{key} {name}" for key in ["deep", "flat"] for name in names] + ["logits", "features"]))
