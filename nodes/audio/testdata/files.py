"""Makes the files of input/ with PyAV, as ComfyUI's own classes use it:

    python nodes/audio/testdata/files.py nodes/audio/testdata/input

The files are committed; encoders of another version make others."""
import sys

import av
import numpy as np

d = sys.argv[1]
rng = np.random.RandomState(3)


def tone(n,ch,rate):
    t=np.arange(n)/rate
    return np.stack([0.4*np.sin(2*np.pi*(220+110*c)*t)+0.05*rng.randn(n) for c in range(ch)]).astype(np.float32)
def write(name,fmt,codec,rate,layout,n,sf=None,opts={}):
    ch={'mono':1,'stereo':2,'5.1':6}[layout]
    w=tone(n,ch,rate)
    with av.open(f"{d}/{name}","w",format=fmt) as o:
        s=o.add_stream(codec,rate=rate,layout=layout)
        if sf: s.codec_context.format=sf
        f=av.AudioFrame.from_ndarray(w.T.reshape(1,-1).copy(),format='flt',layout=layout); f.sample_rate=rate; f.pts=0
        for p in s.encode(f): o.mux(p)
        for p in s.encode(None): o.mux(p)
write("pcm16.wav","wav","pcm_s16le",8000,"stereo",1500)
write("pcm24.wav","wav","pcm_s24le",8000,"mono",900)
write("float.wav","wav","pcm_f32le",11025,"stereo",700)
write("six.wav","wav","pcm_s16le",8000,"5.1",400)
write("mulaw.wav","wav","pcm_mulaw",8000,"mono",1200)
write("two.flac","flac","flac",22050,"stereo",5000)
write("deep.flac","flac","flac",22050,"mono",5000,"s32")
write("a.mp3","mp3","libmp3lame",22050,"stereo",8000)
write("a.opus","opus","libopus",24000,"mono",9000)
write("a.m4a","mp4","aac",22050,"stereo",8000)
for name, size in (("cut.flac", 9000), ("cut.mp3", 1500), ("cut.wav", 3001)):
    whole = {"cut.flac": "two.flac", "cut.mp3": "a.mp3", "cut.wav": "pcm16.wav"}[name]
    with open(f"{d}/{name}", "wb") as f:
        f.write(open(f"{d}/{whole}", "rb").read()[:size])
with open(f"{d}/noise.mp3", "wb") as f:
    f.write(rng.bytes(700))
