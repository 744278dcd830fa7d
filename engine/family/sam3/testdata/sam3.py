"""What ComfyUI 0.33.0's modules of SAM 3 and SAM 3.1 compute with small weights, on images of 168 instead of 1008 pixels.

usage: python sam3.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
# By default ComfyUI adds a mask of booleans to the products on the CPU, and hides by it on GPUs; so does torch's attention.
sys.argv.append("--use-pytorch-cross-attention")
import torch
import comfy.ops
from comfy.ldm.sam3 import detector, tracker
from comfy.ldm.sam3.sam import rope_2d
from comfy.text_encoders import sam3_clip

SIDE, GRID, WIDTH, D = 168, 12, 64, 32


def network(multiplex):
    """A small network for small images."""
    m = detector.SAM3Model(
        image_model="SAM31" if multiplex else "SAM3", embed_dim=WIDTH, depth=8, mlp_ratio=2, window_size=GRID // 3, global_att_blocks=(1, 3, 5, 7), img_size=SIDE,
        pretrain_img_size=56, d_model=D, num_queries=10, mem_dim=D if multiplex else D // 2, num_multiplex=2, dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    t = m.tracker
    t.image_size = SIDE
    t.maskmem_backbone.mask_downsampler.interpol_size = [16 * GRID] * 2
    enc = t.interactive_sam_prompt_encoder if multiplex else t.sam_prompt_encoder
    enc.image_embedding_size, enc.input_image_size = (GRID, GRID), (SIDE, SIDE)
    t.transformer.encoder._rope = rope_2d(GRID, GRID, D // (8 if multiplex else 1))
    return m


def image(r, name):
    return r.normal(name, 1, 3, SIDE, SIDE).mul(0.3).add(0.5).clamp(0, 1)


def detected(m, key, **more):
    out = m(image(r, "image"), text_embeddings=r.normal("text", 1, 5, WIDTH), text_mask=torch.tensor([[1, 1, 1, 1, 0]]), orig_size=None, **more)
    return out[key][0].clone()


def boxes():
    return torch.tensor([[[0.4, 0.5, 0.5, 0.3], [0.7, 0.2, 0.2, 0.35]]])


def points(*list):
    return {"point_coords": torch.tensor([[[float(x), float(y)] for x, y, _ in list]]), "point_labels": torch.tensor([[l for _, _, l in list]], dtype=torch.int32)}


def segmented(m, **prompt):
    return m.forward_segment(image(r, "image"), **prompt)


def blobs(n):
    """Masks of discs."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    return torch.stack([((y - 8 - 9 * i) ** 2 + (x - 12 - 11 * i) ** 2 < 64).float() for i in range(n)]).unsqueeze(1)


frames = None


def tracked(m, n, texts, **more):
    """Mask logits of each frame, one after another."""
    logits = []
    inner = tracker.pack_masks

    def pack(masks):
        logits.append(masks.clone())
        return inner(masks)

    tracker.pack_masks = pack
    try:
        out = m.forward_video(torch.cat([image(r, f"frame {i}") for i in range(4)]), blobs(n) if n else None, text_prompts=texts, **more)
    finally:
        tracker.pack_masks = inner
    if torch.is_tensor(out):
        return out
    return torch.cat([l.flatten() for l in logits])


def prompts():
    return [(r.normal("text", 1, 5, WIDTH), torch.tensor([[1, 1, 1, 1, 0]]))]


def every(f, n=31):
    return lambda m: f(m).flatten()[::n]


calls = {
    "trunk": every(lambda m: m.detector.backbone["vision_backbone"].trunk(image(r, "image"))),
    **{f"text {k}": every(lambda m, k=k: detected(m, k), 31 if k == "masks" else 1) for k in ("boxes", "scores", "masks")},
    **{f"boxes {k}": every(lambda m, k=k: detected(m, k, boxes=boxes()), 31 if k == "masks" else 1) for k in ("boxes", "scores", "masks")},
    "point": every(lambda m: segmented(m, point_inputs=points((50, 60, 1)))),
    "points": every(lambda m: segmented(m, point_inputs=points((50, 60, 1), (20, 100, 1), (140, 30, 0)))),
    "box": every(lambda m: segmented(m, box_inputs=torch.tensor([[[20.0, 30.0], [120.0, 150.0]]]))),
    "mask": every(lambda m: segmented(m, mask_inputs=r.normal("mask", 1, 1, 60, 60).mul(5))),
}

if __name__ == "__main__":
    r = recording.Recorder("sam3", here)
    r.record("sam3", network(False), {**calls, "tracked": every(lambda m: tracked(m, 2, None), 61)})
    r.record("sam31", network(True), {**calls, "tracked": every(lambda m: tracked(m, 3, None), 61),
                                      "found": every(lambda m: tracked(m, 0, prompts(), new_det_thresh=0.45, max_objects=3, detect_interval=2), 61),
                                      "both": every(lambda m: tracked(m, 2, prompts(), new_det_thresh=0.45, max_objects=5), 61)})
    sam3_clip.SAM3_CLIP_CONFIG.update(hidden_size=32, intermediate_size=64, num_hidden_layers=2)
    clip = sam3_clip.SAM3ClipModelWrapper(dtype=torch.float32)
    words = sam3_clip.SAM3TokenizerWrapper()

    def encoded(prompt):
        return lambda m: m.encode_token_weights(words.tokenize_with_weights(prompt))[0]

    def several(i):
        return lambda m: m.encode_token_weights(words.tokenize_with_weights("red cat, (dog) :3"))[2]["sam3_multi_cond"][i]["cond"]

    def mask(m):
        return m.encode_token_weights(words.tokenize_with_weights("a (red) cat"))[2]["attention_mask"].float()

    r.record("text", clip, {"encoded": encoded("a (red) cat"), "mask": mask, "first": several(0), "second": several(1)})
