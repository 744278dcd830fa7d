"""Makes aileron.ttf and hints.bin.gz beside this file from Pillow 13 with FreeType: python internal/draw/font/make_hints.py

aileron.ttf is the font that Pillow's ImageFont.load_default(size) has: Aileron Regular by Sora Sagano (dotcolon), with fewer characters,
dedicated to the public domain by CC0 1.0.

hints.bin.gz holds, for each size from 1 to 128 pixels, how FreeType's automatic hinter moves what the font's outlines scale to: for each
glyph the advance in pixels less the rounded one, then the x moves of all points and the y moves, each as a signed byte in 1/64 pixel
(a move beyond it is -128 and followed by two bytes, little-endian).
"""
import ctypes
import glob
import gzip
import io
import os
import struct

import PIL
from PIL import ImageFont

here = os.path.dirname(os.path.abspath(__file__))
SIZES = 128
font = ImageFont.load_default(20)
data = font.font_bytes
open(os.path.join(here, "aileron.ttf"), "wb").write(data)

ft = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(PIL.__file__), "..", "pillow.libs", "libfreetype*"))[0])


class Vector(ctypes.Structure):
    _fields_ = [("x", ctypes.c_long), ("y", ctypes.c_long)]


class Outline(ctypes.Structure):
    _fields_ = [("n_contours", ctypes.c_ushort), ("n_points", ctypes.c_ushort), ("points", ctypes.POINTER(Vector)), ("tags", ctypes.c_void_p), ("contours", ctypes.c_void_p), ("flags", ctypes.c_int)]


class Metrics(ctypes.Structure):
    _fields_ = [(n, ctypes.c_long) for n in ("width", "height", "bx", "by", "advance", "vx", "vy", "va")]


class Slot(ctypes.Structure):
    _fields_ = [("library", ctypes.c_void_p), ("face", ctypes.c_void_p), ("next", ctypes.c_void_p), ("index", ctypes.c_uint), ("generic", ctypes.c_void_p * 2), ("metrics", Metrics), ("lha", ctypes.c_long), ("lva", ctypes.c_long),
                ("advance", Vector), ("format", ctypes.c_int), ("bitmap", ctypes.c_byte * 40), ("left", ctypes.c_int), ("top", ctypes.c_int), ("outline", Outline)]


class Face(ctypes.Structure):
    _fields_ = [(n, ctypes.c_long) for n in ("num_faces", "face_index", "face_flags", "style_flags", "num_glyphs")] + [
        ("family", ctypes.c_char_p), ("style", ctypes.c_char_p), ("nfixed", ctypes.c_int), ("sizes", ctypes.c_void_p), ("ncharmaps", ctypes.c_int), ("charmaps", ctypes.c_void_p), ("generic", ctypes.c_void_p * 2),
        ("bbox", ctypes.c_long * 4), ("units", ctypes.c_ushort), ("asc", ctypes.c_short), ("desc", ctypes.c_short), ("height", ctypes.c_short), ("maw", ctypes.c_short), ("mah", ctypes.c_short), ("up", ctypes.c_short), ("ut", ctypes.c_short), ("glyph", ctypes.POINTER(Slot))]


lib, face = ctypes.c_void_p(), ctypes.POINTER(Face)()
assert ft.FT_Init_FreeType(ctypes.byref(lib)) == 0
assert ft.FT_New_Memory_Face(lib, data, ctypes.c_long(len(data)), ctypes.c_long(0), ctypes.byref(face)) == 0
NO_HINTING = 2


def load(glyph, flags):
    assert ft.FT_Load_Glyph(face, ctypes.c_uint(glyph), ctypes.c_int(flags)) == 0
    s = face.contents.glyph.contents
    return s.metrics.advance, [(s.outline.points[i].x, s.outline.points[i].y) for i in range(s.outline.n_points)]


def scaled(v, size):
    """FT_MulFix of font units by the scale of a size."""
    scale = ((size * 64 << 16) + face.contents.units // 2) // face.contents.units
    p = abs(v) * scale
    return (1 if v >= 0 else -1) * ((p + 0x8000) >> 16)


NO_SCALE = 1
units = [load(g, NO_SCALE | NO_HINTING) for g in range(face.contents.num_glyphs)]


def signed(out, v):
    if -128 < v < 128:
        out.write(struct.pack("b", v))
    else:
        out.write(struct.pack("<bh", -128, v))


out = io.BytesIO()
far = 0
for size in range(1, SIZES + 1):
    assert ft.FT_Set_Pixel_Sizes(face, 0, size) == 0
    adv, xs, ys = io.BytesIO(), io.BytesIO(), io.BytesIO()
    for g in range(face.contents.num_glyphs):
        advance, points = load(g, 0)
        assert advance % 64 == 0, (size, g, advance)
        signed(adv, advance // 64 - (scaled(units[g][0], size) + 32 >> 6))
        assert len(points) == len(units[g][1])
        for (x, y), (ux, uy) in zip(points, units[g][1]):
            far = max(far, abs(x - scaled(ux, size)), abs(y - scaled(uy, size)))
            signed(xs, x - scaled(ux, size))
            signed(ys, y - scaled(uy, size))
    for part in (adv, xs, ys):
        out.write(part.getvalue())
with open(os.path.join(here, "hints.bin.gz"), "wb") as f:
    f.write(gzip.compress(out.getvalue(), 9, mtime=0))
print(len(out.getvalue()), os.path.getsize(os.path.join(here, "hints.bin.gz")), far, sum(len(p) for _, p in units))
