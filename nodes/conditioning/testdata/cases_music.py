# Calls of WanDancerEncodeAudio; see tests/nodecalls/record.py.
LIMIT = 1500


def song(seconds, rate, bpm, channels=1, tune=1.0):
    """Chords with a beat in noise, by sines that both sides make alike."""
    n = int(seconds * rate)
    spec = {"$": "song", "samples": n, "rate": rate, "bpm": bpm, "channels": channels, "tune": tune}

    def make():
        t = np.arange(n, dtype=np.float64) / rate
        beat = np.floor(t * bpm / 60)
        since = t - beat * 60 / bpm
        noise = uniform(n, 3) - 0.5
        out = []
        for c in range(channels):
            v = np.zeros(n)
            for k, hz in enumerate((220.0, 277.1826, 329.6276)):
                v += 0.2 * np.sin(2 * np.pi * hz * tune * (1 + (beat % 4) * 0.1225) * t + k + c)
            out.append(v * np.exp(-3 * since) + 0.5 * noise * np.exp(-40 * since) + 0.01 * noise)
        return torch.from_numpy(np.stack(out).astype(np.float32))[None]
    return Recipe(spec, make)


# Spectra are computed in float32 by ComfyUI, and quiet bands are logarithms of what is left of them.
for seconds, rate, bpm, channels, tune, frames in [(6.0, 22050, 120.0, 1, 1.0, 149), (5.0, 16000, 90.0, 2, 1.02, 61), (4.0, 44100, 150.0, 1, 0.985, 121), (0.3, 8000, 120.0, 1, 1.0, 5), (1.5, 15360, 100.0, 2, 1.0, 45)]:
    case("WanDancerEncodeAudio", 2e-2, audio=audio(song(seconds, rate, bpm, channels, tune), rate), video_frames=frames, audio_inject_scale=0.5)
case("WanDancerEncodeAudio", 2e-2, audio=audio(rnd(1, 1, 20000, lo=-0.5, hi=0.5), 11025), video_frames=17, audio_inject_scale=1.0)
case("WanDancerEncodeAudio", audio=audio(rnd(1, 1, 2000), 11025), video_frames=149, audio_inject_scale=1.0)
