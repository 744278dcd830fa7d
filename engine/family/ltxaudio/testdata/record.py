"""What ComfyUI 0.33.0's audio VAE of LTX-Video 2 computes with small weights, with vocoders of each kind.

usage: python record.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
from comfy.ldm.lightricks.vae.audio_vae import AudioVAE

EVERY = 97
CODER = {"double_z": True, "mel_bins": 64, "z_channels": 8, "resolution": 256, "in_channels": 2, "out_ch": 2, "ch": 4, "ch_mult": [1, 2, 3], "num_res_blocks": 1, "attn_resolutions": [],
         "mid_block_add_attention": False, "norm_type": "pixel", "causality_axis": "height"}
SOUND = {"resblock_kernel_sizes": [3, 7], "upsample_rates": [5, 4, 2, 2, 2], "upsample_kernel_sizes": [15, 8, 4, 4, 4], "resblock_dilation_sizes": [[1, 3, 5], [1, 2, 3]],
         "upsample_initial_channel": 64, "stereo": True}
ALIAS = {**SOUND, "resblock": "AMP1", "activation": "snakebeta", "use_tanh_at_final": False}
WIDER = {**ALIAS, "activation": "snake", "upsample_rates": [6, 5, 4], "upsample_kernel_sizes": [12, 9, 8], "upsample_initial_channel": 16, "input_sampling_rate": 16000, "output_sampling_rate": 48000,
         "hop_length": 40, "n_fft": 128, "num_mels": 64}
FORMS = {
    "plain": (CODER, {**SOUND, "resblock": "1"}),
    "alias": ({**CODER, "causality_axis": "width", "tanh_out": True}, {**ALIAS, "use_bias_at_final": False}),
    "group": ({**CODER, "ch": 32, "ch_mult": [1, 1, 2], "norm_type": "group", "causality_axis": None, "mid_block_add_attention": True}, {**SOUND, "resblock": "2", "resblock_dilation_sizes": [[1, 3], [2, 5]]}),
    "wider": (CODER, {"vocoder": ALIAS, "bwe": WIDER}),
}


class Computed(AudioVAE):
    """A VAE whose file has no filters, which upstream computes. Its mel bands have positive weights, as those of real files."""

    def decode(self, z):
        self.vocoder.mel_stft.mel_basis.abs_()
        return super().decode(z)

    def state_dict(self):
        return {k: v for k, v in super().state_dict().items() if not k.endswith("filter")}


for form, (coder, vocoder) in FORMS.items():
    config = json.dumps({"audio_vae": {"model": {"params": {"ddconfig": coder, "sampling_rate": 16000}}, "preprocessing": {"stft": {"filter_length": 1024, "hop_length": 160}}}, "vocoder": vocoder})
    m = (Computed if form == "wider" else AudioVAE)({"config": config})
    r = recording.Recorder(form, here)
    calls = {f"decode{n}": lambda m, n=n: m.decode(r.normal(f"z{n}", 1, 8, n, 16)) for n in (1, 48 if form in ("plain", "wider") else 3)}
    calls["encode"] = lambda m: m.encode(r.normal("audio", 1, 2, 86016))
    r.record(form, m, calls, {"config": config}, EVERY)
