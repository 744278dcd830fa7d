package draw

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for the font
	"encoding/binary"
	"io"
	"sync"
)

// The font is Aileron Regular by Sora Sagano (CC0 1.0) with the characters that Pillow has of it, and how FreeType's automatic hinter
// moves its outlines at each size up to hintedSizes; font/make_hints.py makes both.
//
//go:embed font/aileron.ttf
var fontFile []byte

//go:embed font/hints.bin.gz
var hintFile []byte

// hintedSizes is the largest size in pixels with the outlines of FreeType's hinter. Larger sizes are not hinted: stems are up to a
// pixel off.
const hintedSizes = 128

// outlinePoint is a point of a glyph: on the curve, or the control point of a quadratic one. Coordinates are in font units or in
// 1/64 pixel, upwards.
type outlinePoint struct {
	x, y int
	on   bool
}

// glyphOutline is a glyph: its points, and the index behind the last one of each contour.
type glyphOutline struct {
	points   []outlinePoint
	contours []int
	advance  int
}

// fontData is the font in font units.
type fontData struct {
	units           int
	ascent, descent int
	glyphs          []glyphOutline
	characters      map[rune]int
	hints           []byte // unpacked
	hintedAt        []int  // where each size's begin
	totalPoints     int
}

// theFont reads the font once. It is part of the program, so that nothing in it can be wrong.
var theFont = sync.OnceValue(func() *fontData {
	tables := map[string][]byte{}
	for i := range int(binary.BigEndian.Uint16(fontFile[4:])) {
		entry := fontFile[12+16*i:]
		at, size := binary.BigEndian.Uint32(entry[8:]), binary.BigEndian.Uint32(entry[12:])
		tables[string(entry[:4])] = fontFile[at : at+size]
	}
	f := &fontData{
		units:   int(u16(tables["head"], 18)),
		ascent:  int(i16(tables["hhea"], 4)),
		descent: int(i16(tables["hhea"], 6)),
	}
	count, metrics := int(u16(tables["maxp"], 4)), int(u16(tables["hhea"], 34))
	for g := range count {
		from, to := 2*int(u16(tables["loca"], 2*g)), 2*int(u16(tables["loca"], 2*g+2))
		glyph := readGlyph(tables["glyf"][from:to])
		glyph.advance = int(u16(tables["hmtx"], 4*min(g, metrics-1)))
		f.glyphs = append(f.glyphs, glyph)
		f.totalPoints += len(glyph.points)
	}
	f.characters = readCharacters(tables["cmap"])
	f.readHints()
	return f
})

func u16(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }

func i16(b []byte, at int) int16 { return int16(u16(b, at)) } //nolint:gosec // two's complement

// readGlyph reads a simple glyph of the table glyf; the font has no composite ones.
func readGlyph(b []byte) (g glyphOutline) {
	if len(b) == 0 {
		return g
	}
	count := int(i16(b, 0))
	at := 10
	for i := range count {
		g.contours = append(g.contours, int(u16(b, at+2*i))+1)
	}
	at += 2 * count
	at += 2 + int(u16(b, at)) // instructions
	points := g.contours[count-1]
	flags := make([]byte, 0, points)
	for len(flags) < points {
		flag := b[at]
		at++
		flags = append(flags, flag)
		if flag&8 != 0 {
			for range b[at] {
				flags = append(flags, flag)
			}
			at++
		}
	}
	g.points = make([]outlinePoint, points)
	axis := func(short, same byte, set func(p *outlinePoint, v int)) {
		v := 0
		for i, flag := range flags {
			switch {
			case flag&short != 0:
				d := int(b[at])
				if flag&same == 0 {
					d = -d
				}
				v += d
				at++
			case flag&same == 0:
				v += int(i16(b, at))
				at += 2
			}
			set(&g.points[i], v)
		}
	}
	axis(2, 16, func(p *outlinePoint, v int) { p.x = v })
	axis(4, 32, func(p *outlinePoint, v int) { p.y = v })
	for i, flag := range flags {
		g.points[i].on = flag&1 != 0
	}
	return g
}

// readCharacters reads the map of format 4 of the table cmap.
func readCharacters(b []byte) map[rune]int {
	out := map[rune]int{}
	for i := range int(u16(b, 2)) {
		t := b[binary.BigEndian.Uint32(b[8+8*i:]):]
		if u16(t, 0) != 4 {
			continue
		}
		segments := int(u16(t, 6)) / 2
		ends, starts, deltas, ranges := 14, 16+2*segments, 16+4*segments, 16+6*segments
		for s := range segments {
			for c := int(u16(t, starts+2*s)); c <= int(u16(t, ends+2*s)) && c != 0xffff; c++ {
				glyph := c
				if offset := int(u16(t, ranges+2*s)); offset != 0 {
					if glyph = int(u16(t, ranges+2*s+offset+2*(c-int(u16(t, starts+2*s))))); glyph == 0 {
						continue
					}
				}
				out[rune(c)] = (glyph + int(u16(t, deltas+2*s))) & 0xffff
			}
		}
	}
	return out
}

// readHints unpacks the moves and finds where each size's begin.
func (f *fontData) readHints() {
	z, err := gzip.NewReader(bytes.NewReader(hintFile))
	if err != nil {
		return
	}
	if f.hints, err = io.ReadAll(z); err != nil {
		return
	}
	at := 0
	for range hintedSizes {
		f.hintedAt = append(f.hintedAt, at)
		for range len(f.glyphs) + 2*f.totalPoints {
			_, at = f.move(at)
		}
	}
}

// move reads one number of the moves and returns where the next one is.
func (f *fontData) move(at int) (v, next int) {
	v = int(int8(f.hints[at])) //nolint:gosec // two's complement
	if v != -128 {
		return v, at + 1
	}
	return int(int16(binary.LittleEndian.Uint16(f.hints[at+1:]))), at + 3 //nolint:gosec // two's complement
}

// scaled are the glyphs at a size in pixels, in 1/64 pixel; advances are whole pixels.
func (f *fontData) scaled(size int) []glyphOutline {
	scale := func(v int) int {
		// 16.16 fixed point, as FT_MulFix.
		factor := (int64(size)<<22 + int64(f.units)/2) / int64(f.units)
		if v < 0 {
			return -int((int64(-v)*factor + 0x8000) >> 16)
		}
		return int((int64(v)*factor + 0x8000) >> 16)
	}
	out := make([]glyphOutline, len(f.glyphs))
	for i, g := range f.glyphs {
		s := glyphOutline{contours: g.contours, points: make([]outlinePoint, len(g.points)), advance: (scale(g.advance) + 32) &^ 63}
		for k, p := range g.points {
			s.points[k] = outlinePoint{scale(p.x), scale(p.y), p.on}
		}
		out[i] = s
	}
	if size > len(f.hintedAt) {
		return out
	}
	at, v := f.hintedAt[size-1], 0
	for i := range out {
		v, at = f.move(at)
		out[i].advance += 64 * v
	}
	for i := range out {
		for k := range out[i].points {
			v, at = f.move(at)
			out[i].points[k].x += v
		}
	}
	for i := range out {
		for k := range out[i].points {
			v, at = f.move(at)
			out[i].points[k].y += v
		}
	}
	return out
}
