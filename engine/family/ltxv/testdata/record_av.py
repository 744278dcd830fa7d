"""What ComfyUI 0.33.0's module of LTX-Video 2 computes with small weights, in the forms of versions 2.0 and 2.3.

usage: python record_av.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.lightricks.av_model import LTXAVModel

EVERY = 97

FORMS = {
    "av20": {"rope_type": "split", "frequencies_precision": "float64", "use_middle_indices_grid": True, "causal_temporal_positioning": True, "av_ca_timestep_scale_multiplier": 1000.0,
             "caption_channels": 12, "connector_num_attention_heads": 2, "connector_attention_head_dim": 6},
    "av23": {"rope_type": "split", "frequencies_precision": "float64", "use_middle_indices_grid": True, "causal_temporal_positioning": True, "av_ca_timestep_scale_multiplier": 500.0,
             "caption_channels": 12, "connector_num_attention_heads": 2, "connector_attention_head_dim": 10, "audio_connector_attention_head_dim": 8, "connector_apply_gated_attention": True,
             "apply_gated_attention": True, "cross_attention_adaln": True, "caption_proj_before_connector": True, "caption_projection_first_linear": False,
             "use_keyframes_abs_pos_embedding": True, "connector_num_layers": 1},
    "avplain": {"caption_channels": 12, "connector_num_attention_heads": 2, "connector_attention_head_dim": 10, "audio_connector_attention_head_dim": 8, "apply_gated_attention": True,
                "caption_proj_before_connector": True, "connector_num_layers": 1, "connector_ff_bias": True},
}
SIZES = {"num_attention_heads": 2, "attention_head_dim": 10, "audio_num_attention_heads": 2, "audio_attention_head_dim": 8, "cross_attention_dim": 20, "audio_cross_attention_dim": 16, "num_layers": 2}
T = torch.tensor([0.3, 0.8])
VIDEO, AUDIO = (2, 128, 3, 2, 3), (2, 8, 5, 16)


def cases(r, form):
    video, audio = r.normal("video", *VIDEO), r.normal("audio", *AUDIO)
    width = {"av20": 12, "av23": 36, "avplain": 12}[form]
    text, made = r.normal("text", 2, 7, width), r.normal("made", 2, 9, 24 if form == "av20" else 36)

    def run(context, raw, parts, options={}, mask=None, audio_mask=None, **more):
        def call(m):
            t, a = T, T
            if mask is not None:
                t = m.patchifier.patchify((mask * T.view(2, 1, 1, 1, 1))[:, :1])[0]
            if audio_mask is not None:
                a = m.a_patchifier.patchify((audio_mask * T.view(2, 1, 1, 1))[:, :1, :, :1])[0]
            out = m([p.clone() for p in parts], (t, a), m.preprocess_text_embeds(context, unprocessed=raw), None, 24, dict(options), denoise_mask=mask, **more)
            return torch.cat([p.flatten(1) for p in out], 1) if isinstance(out, list) else out.flatten(1)
        return call

    frames = torch.tensor([0.0, 1.0, 0.5]).view(1, 1, 3, 1, 1).expand(*VIDEO)
    sound = torch.tensor([1.0, 1.0, 0.0, 0.25, 1.0]).view(1, 1, 5, 1).expand(*AUDIO)
    left = torch.ones(VIDEO)
    left[:, :, 2] = 0.4
    left[:, :, 2, 0, 1] = -1
    places = torch.tensor([[[[i * 3 + a * 8, i * 3 + a * 8 + 1] for i in range(6)] for a in range(3)]]).expand(2, -1, -1, -1)
    entries = [{"pre_filter_count": 6, "strength": 0.5, "pixel_mask": None, "latent_shape": [1, 2, 3]}]
    both = [video, audio]
    return {
        "out": run(text, True, both), "made": run(made, False, both), "video": run(text, True, [video]),
        "masked": run(text, True, both, mask=frames, audio_mask=sound),
        "guided": run(text, True, both, mask=left, keyframe_idxs=places, guide_attention_entries=entries),
        "reference": run(text, True, both, audio_mask=sound, ref_audio={"tokens": r.normal("reference", 1, 3, 128)}),
        "apart": run(text, True, both, options={"a2v_cross_attn": False, "v2a_cross_attn": False, "stg_self_attn_blocks": [1]}),
    }


for form, config in FORMS.items():
    config = {**SIZES, **config}
    r = recording.Recorder(form, here)
    r.record(form, LTXAVModel(operations=comfy.ops.disable_weight_init, **config), cases(r, form), {"config": json.dumps({"transformer": config})}, EVERY)
