# Calls of audio classes. Recorded by
#   python tests/nodecalls/record.py COMFYUI nodes/audio/testdata/cases.py
import os
import random

import folder_paths  # noqa: E402

folder_paths.set_input_directory(os.path.join(os.path.dirname(cases_path), "input"))
rng = random.Random(16)

# torch computes the resampling kernel and the convolution in another order of sums: 1e-6 of full scale.
RESAMPLED = 2e-6
# A recursive filter hands the rounding of one sample on to the next.
FILTERED = 2e-4


def sound(channels=2, samples=200, rate=44100, batch=1, seed=1, gain=1.0):
    return audio(rnd(batch, channels, samples, seed=seed, lo=-gain, hi=gain), rate)


for name in ("pcm16.wav", "pcm24.wav", "float.wav", "six.wav", "two.flac", "deep.flac", "cut.wav"):
    case("LoadAudio", audio=name)
case("RecordAudio", audio="two.flac")
case("RecordAudio", audio="pcm16.wav")

for i in range(20):
    case("TrimAudioDuration", audio=sound(rng.randint(1, 3), rng.randint(1, 300), rng.choice([100, 8000, 44100]), rng.randint(1, 2), seed=i),
         start_index=rng.choice([0.0, 0.001, -0.002, -1.0, 0.005, 1.25, round(rng.uniform(-2, 2), 2)]), duration=rng.choice([0.0, 0.001, 0.5, 1.005, 60.0]))
case("TrimAudioDuration", audio=None, start_index=0.0, duration=1.0)
case("TrimAudioDuration", audio=sound(samples=0), start_index=0.0, duration=1.0)
case("TrimAudioDuration", audio=sound(), start_index=1e18, duration=1e18)
case("TrimAudioDuration", audio=sound(), start_index=-1e18, duration=1e18)

for i in range(10):
    case("SplitAudioChannels", audio=sound(rng.choice([1, 2, 2, 2, 3]), rng.randint(0, 50), batch=rng.randint(1, 3), seed=i))
case("SplitAudioChannels", audio=None)

RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000]
for i in range(20):
    case("JoinAudioChannels", RESAMPLED, audio_left=sound(rng.choice([1, 1, 1, 2]), rng.randint(0, 150), rng.choice(RATES), seed=i),
         audio_right=sound(1, rng.randint(1, 150), rng.choice(RATES), seed=i + 50))
    case("AudioConcat", RESAMPLED, audio1=sound(rng.choice([1, 2]), rng.randint(1, 150), rng.choice(RATES), seed=i),
         audio2=sound(rng.choice([1, 2, 2, 3]), rng.randint(1, 150), rng.choice(RATES), rng.choice([1, 1, 1, 2]), seed=i + 50),
         direction=rng.choice(["after", "before"]))
    case("AudioMerge", RESAMPLED, audio1=sound(rng.choice([1, 2]), rng.randint(0, 150), rng.choice(RATES), seed=i),
         audio2=sound(rng.choice([1, 2]), rng.randint(1, 150), rng.choice(RATES), rng.choice([1, 1, 2]), seed=i + 50, gain=rng.choice([0.2, 1.0])),
         merge_method=rng.choice(["add", "mean", "subtract", "multiply"]))
case("AudioConcat", RESAMPLED, audio1=sound(rate=44100, samples=4000), audio2=sound(rate=48000, samples=4000), direction="after")
case("AudioConcat", RESAMPLED, audio1=sound(rate=44101, samples=300), audio2=sound(rate=3, samples=2), direction="after")
for a, b in ((None, None), (None, sound()), (sound(), None)):
    case("JoinAudioChannels", audio_left=a, audio_right=b)
    case("AudioConcat", audio1=a, audio2=b, direction="after")
    case("AudioMerge", audio1=a, audio2=b, merge_method="add")
case("AudioMerge", audio1=audio(const(float("nan"), 1, 1, 5), 8000), audio2=sound(1, 5, 8000, gain=3.0), merge_method="add")
case("AudioMerge", audio1=audio(const(float("inf"), 1, 1, 5), 8000), audio2=sound(1, 5, 8000), merge_method="add")
case("AudioMerge", audio1=sound(3), audio2=sound(2), merge_method="add")

for i in range(20):
    case("AudioAdjustVolume", audio=sound(rng.randint(1, 2), rng.randint(0, 60), seed=i), volume=rng.choice([0, 1, -1, 6, -6, 100, -100, rng.randint(-100, 100)]))
case("AudioAdjustVolume", audio=None, volume=3)

for i in range(20):
    case("EmptyAudio", duration=rng.choice([0.0, 0.01, 0.005, round(rng.uniform(0, 0.02), 4)]), sample_rate=rng.choice([1, 100, 8000, 44100, 192000]), channels=rng.randint(1, 2))

for i in range(24):
    zero = rng.random() < 0.3
    case("AudioEqualizer3Band", FILTERED, audio=sound(rng.randint(1, 2), rng.randint(0, 300), rng.choice([8000, 22050, 44100, 48000]), rng.randint(1, 2), seed=i, gain=rng.choice([0.1, 1.0])),
         low_gain_dB=0.0 if zero else round(rng.uniform(-24, 24), 1), low_freq=rng.randint(20, 500),
         mid_gain_dB=round(rng.uniform(-24, 24), 1), mid_freq=rng.randint(200, 4000), mid_q=round(rng.uniform(0.1, 10), 1),
         high_gain_dB=0.0 if zero else round(rng.uniform(-24, 24), 1), high_freq=rng.randint(1000, 15000))
case("AudioEqualizer3Band", audio=sound(gain=3.0), low_gain_dB=0.0, low_freq=100, mid_gain_dB=0.0, mid_freq=1000, mid_q=0.7, high_gain_dB=0.0, high_freq=5000)
case("AudioEqualizer3Band", audio=None, low_gain_dB=1.0, low_freq=100, mid_gain_dB=0.0, mid_freq=1000, mid_q=0.7, high_gain_dB=0.0, high_freq=5000)
