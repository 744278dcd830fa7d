"""What ComfyUI 0.33.0's VAE of ACE-Step computes with small weights, and how it reads lyrics with a small vocabulary.

usage: python record.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy import sd1_clip
from comfy.ldm.ace.lyric_encoder import ConformerEncoder
from comfy.ldm.ace.model import ACEStepTransformer2DModel
from comfy.ldm.ace.vae.autoencoder_dc import AutoencoderDC
from comfy.ldm.ace.vae.music_dcae_pipeline import MusicDCAE
from comfy.ldm.ace.vae.music_vocoder import ADaMoSHiFiGANV1
from comfy.text_encoders.ace import VoiceBpeTokenizer
from comfy.text_encoders.ace_text_cleaners import japanese_to_romaji, multilingual_cleaners
import torchvision.transforms as transforms

r = recording.Recorder("ace", here)


def some(x):
    """Every 97th value, as familytest.CompareSome takes it."""
    return x.flatten()[::97]


class Music(torch.nn.Module):
    def __init__(self):
        super().__init__()
        wide = (32, 32, 64, 64)
        self.dcae = AutoencoderDC(encoder_block_out_channels=wide, decoder_block_out_channels=wide, encoder_layers_per_block=(1, 1, 2, 1), decoder_layers_per_block=(1, 2, 1, 1))
        self.vocoder = ADaMoSHiFiGANV1(
            depths=[1, 1, 2, 1], dims=[8, 16, 16, 24], num_mels=24, upsample_initial_channel=128, resblock_kernel_sizes=(3, 7), resblock_dilation_sizes=((1, 3, 5), (1, 3, 5)))
        mel = self.vocoder.mel_transform  # its window and filters are no weights
        del self.vocoder.mel_transform
        object.__setattr__(self.vocoder, "mel_transform", mel)


def pipeline(m):
    p = MusicDCAE.__new__(MusicDCAE)
    torch.nn.Module.__init__(p)
    p.dcae, p.vocoder, p.source_sample_rate, p.transform = m.dcae, m.vocoder, 44100, transforms.Compose([transforms.Normalize(0.5, 0.5)])
    p.min_mel_value, p.max_mel_value, p.scale_factor, p.shift_factor = -11.0, 3.0, 0.1786, -1.9091
    return p


r.record("vae", Music(), {
    f"{name}{n}_s97": call for n in (3, 70) for name, call in {
        "decode": lambda m, n=n: some(pipeline(m).decode(r.normal(f"z{n}", 1, 8, 16, n) / 4)),
        "encode": lambda m, n=n: some(pipeline(m).encode(r.normal(f"x{n}", 1, 2, n * 4096) / 8)),
    }.items()
})

m = ACEStepTransformer2DModel(
    num_layers=2, inner_dim=256, attention_head_dim=128, num_attention_heads=2, mlp_ratio=0.25, max_position=64, speaker_embedding_dim=12, text_embedding_dim=24, ssl_latent_dims=[],
    lyric_encoder_vocab_size=20, lyric_hidden_size=16, max_width=64, operations=comfy.ops.disable_weight_init)
m.lyric_encoder = ConformerEncoder(input_size=16, output_size=32, attention_heads=16, linear_units=24, num_blocks=2, static_chunk_size=0, operations=comfy.ops.disable_weight_init)
m.lyric_proj = comfy.ops.disable_weight_init.Linear(32, 256)
r.record("model", m, {"out": lambda m: m(
    r.normal("x", 2, 8, 16, 9), torch.tensor([300.0, 800.0]), context=r.normal("context", 2, 6, 24), speaker_embeds=torch.zeros(2, 12), lyrics_strength=0.75,
    lyric_token_idx=torch.tensor([[1, 2, 3, 4, 5], [6, 19, 0, 7, 7]]))})

letters = "abcdefghijklmnopqrstuvwxyz',.!?-éßñçя你"
special = ["[STOP]", "[UNK]", "[SPACE]", "[en]", "[fr]", "[de]", "[tr]", "[ja]", "[zh-cn]", "[START]", "[verse]"]
vocab = {t: i for i, t in enumerate(special)} | {c: 20 + i for i, c in enumerate(letters)}
merges = ["t h", "th e", "i n", "in g", "a n", "an d", "o u", "e r", "o n", "t w", "tw o"]
for i, m in enumerate(merges):
    vocab[m.replace(" ", "")] = 80 + i
folder = os.path.join(here, "ace_lyrics_tokenizer")
os.makedirs(folder, exist_ok=True)
json.dump(dict(
    version="1.0", truncation=None, padding=None, normalizer=None, pre_tokenizer=dict(type="Whitespace"), post_processor=None, decoder=None,
    added_tokens=[dict(id=vocab[t], special=True, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False) for t in special],
    model=dict(type="BPE", dropout=None, unk_token="[UNK]", continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False, vocab=vocab, merges=merges)),
    open(os.path.join(folder, "vocab.json"), "w"), ensure_ascii=False)
words = sd1_clip.SDTokenizer(
    os.path.join(folder, "vocab.json"), pad_with_end=False, embedding_size=1024, embedding_key="lyrics", tokenizer_class=VoiceBpeTokenizer, has_start_token=True, pad_to_max_length=False,
    max_length=99999999, min_length=1, pad_token=2, has_end_token=False)
lyrics = [
    "", "\n", "[verse]\nHello, the world!\n\nIt's 12 o'clock", "  (singing:1.3) and\tmore \n[fr]Là-bas l'été, 3 fois", "[JA]きゃっと ロック、ほん。\n[zh]你好 3\n[xx]what\n[en]", "[verse][fr]un",
    "[verse] 2 times\n[tr]İstanbul \"ÖÜ\"", "Dr. Who & Mr. T paid $1,234.50 at 50% on the 21st, 0.5 of 1000000 #1", "9,999 £5 €3.10 7$ 1.2.3 st. 3rd", "1,000,000,000,000 007 12,34 5,5,5",
    "あっち！っ ヴァ ぢょ", "embedding:x and (a) \\(b\\)", "big 12345678901234567890 and 0.00001",
]
texts = [["2nd of 3rd co. x", "en"], ["$5 and 10€ 0.10", "en"], ["Über 5 Ft.", "de"], ["1e5 100.000,5 $", "en"], ["é1,000 x1,000 1,0000", "en"], ["$1.2.3 £5 a  b", "en"], ["\u2003x\u00a0 y ", "ru"]]
json.dump(dict(
    lyrics=[dict(text=t, ids=[[i for i, _ in row] for row in words.tokenize_with_weights(t)]) for t in lyrics],
    clean=[[t, lang, multilingual_cleaners(t, lang)] for t, lang in texts], romaji=[[t, japanese_to_romaji(t)] for t in lyrics]), open(os.path.join(here, "lyrics.json"), "w"))
