package conformance

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"comfygo/internal/pyjson"
)

// describeImage returns the recordings' description of an image, or nil if the data is not an image.
func describeImage(b []byte) *pyjson.Object {
	has := func(at int, text string) bool { return len(b) >= at+len(text) && string(b[at:at+len(text)]) == text }
	switch {
	case has(0, "\x89PNG\r\n\x1a\n"):
		return describePNG(b)
	case has(0, "\xff\xd8"):
		return describeJPEG(b)
	case has(0, "RIFF") && has(8, "WEBP") && len(b) >= 30:
		return describeWebP(b)
	case (has(0, "GIF87a") || has(0, "GIF89a")) && len(b) >= 10:
		le := binary.LittleEndian
		return pyjson.NewObject("format", "GIF", "width", int64(le.Uint16(b[6:])), "height", int64(le.Uint16(b[8:])))
	}
	return nil
}

func describeJPEG(b []byte) *pyjson.Object {
	o := pyjson.NewObject("format", "JPEG")
	for i := 2; i+9 < len(b); {
		switch m := b[i+1]; {
		case b[i] != 0xff:
			i++
		case m >= 0xc0 && m <= 0xc2:
			be := binary.BigEndian
			return o.Set("width", int64(be.Uint16(b[i+7:]))).Set("height", int64(be.Uint16(b[i+5:]))).Set("components", int64(b[i+9]))
		case m == 0xff:
			i++
		case m >= 0xd0 && m <= 0xd9 || m == 1:
			i += 2
		default:
			i += 2 + int(binary.BigEndian.Uint16(b[i+2:]))
		}
	}
	return o
}

func describeWebP(b []byte) *pyjson.Object {
	o := pyjson.NewObject("format", "WEBP")
	le := binary.LittleEndian
	size := func(kind string, w, h uint32) { o.Set("kind", kind).Set("width", int64(w)).Set("height", int64(h)) }
	switch string(b[12:16]) {
	case "VP8 ":
		size("lossy", uint32(le.Uint16(b[26:]))&0x3fff, uint32(le.Uint16(b[28:]))&0x3fff)
	case "VP8L":
		v := le.Uint32(b[21:])
		size("lossless", v&0x3fff+1, v>>14&0x3fff+1)
	case "VP8X":
		size("extended", le.Uint32(b[24:])&0xffffff+1, le.Uint32(b[26:])>>8+1)
		o.Set("alpha", b[20]&0x10 != 0).Set("anim", b[20]&2 != 0)
	default:
		return nil
	}
	return o
}

var pngColors = map[byte]struct {
	name     string
	channels int
}{0: {"L", 1}, 2: {"RGB", 3}, 3: {"P", 1}, 4: {"LA", 2}, 6: {"RGBA", 4}}

// longText is from where on recorded texts of images are left out.
const longText = 4000

func describePNG(b []byte) *pyjson.Object {
	o, text := pyjson.NewObject(), pyjson.NewObject()
	var data, head []byte
	for at := 8; at+8 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[at:]))
		kind := string(b[at+4 : at+8])
		chunk := b[min(at+8, len(b)):min(at+8+n, len(b))]
		at += 12 + n
		switch kind {
		case "IHDR":
			if len(chunk) < 13 {
				return nil
			}
			head = chunk
			o.Set("format", "PNG").Set("width", int64(binary.BigEndian.Uint32(chunk))).Set("height", int64(binary.BigEndian.Uint32(chunk[4:])))
			o.Set("bit_depth", int64(chunk[8])).Set("color", pngColors[chunk[9]].name)
		case "IDAT":
			data = append(data, chunk...)
		case "tEXt":
			k, v, _ := bytes.Cut(chunk, []byte{0})
			text.Set(latin1(k), latin1(v))
		case "iTXt":
			addInternational(text, chunk)
		case "PLTE":
			o.Set("palette", int64(len(chunk)/3))
		case "tRNS":
			o.Set("trns", true)
		case "acTL":
			o.Set("animated_frames", int64(binary.BigEndian.Uint32(chunk)))
		}
	}
	if head != nil && head[12] == 0 && (head[8] == 8 || head[8] == 16) {
		addPixels(o, data, head)
	}
	for k, v := range text.All() {
		if s, _ := v.(string); len([]rune(s)) >= longText {
			text.Set(k, "<<str>>")
		}
	}
	if text.Len() > 0 {
		o.Set("text", text)
	}
	return o
}

func latin1(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

func addInternational(text *pyjson.Object, chunk []byte) {
	k, rest, _ := bytes.Cut(chunk, []byte{0})
	if len(rest) < 2 {
		return
	}
	packed := rest[0] != 0
	_, rest, _ = bytes.Cut(rest[2:], []byte{0})
	_, v, _ := bytes.Cut(rest, []byte{0})
	if packed {
		v = inflate(v)
	}
	text.Set(latin1(k), string(v))
}

func inflate(b []byte) []byte {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return out
}

// addPixels adds the digest of the rows with their filters undone, and the rows themselves when they are short.
func addPixels(o *pyjson.Object, data, head []byte) {
	const shortRows = 24
	raw := inflate(data)
	width, height := int(binary.BigEndian.Uint32(head)), int(binary.BigEndian.Uint32(head[4:]))
	step := pngColors[head[9]].channels * int(head[8]) / 8
	stride := width * step
	if len(raw) < height*(stride+1) {
		o.Set("pixels_sha256", "cut off")
		return
	}
	var out []byte
	above := make([]byte, stride)
	for range height {
		filter, line := raw[0], raw[1:stride+1]
		raw = raw[stride+1:]
		unfilter(filter, line, above, step)
		out = append(out, line...)
		above = line
	}
	sum := sha256.Sum256(out)
	o.Set("pixels_sha256", hex.EncodeToString(sum[:]))
	if len(out) <= shortRows {
		o.Set("pixels_hex", hex.EncodeToString(out))
	}
}

// unfilter undoes a PNG row's filter in place (PNG specification, 9.2).
func unfilter(filter byte, line, above []byte, step int) {
	for i := range line {
		var a, c int
		if i >= step {
			a, c = int(line[i-step]), int(above[i-step])
		}
		b := int(above[i])
		add := 0
		switch filter {
		case 1:
			add = a
		case 2:
			add = b
		case 3:
			add = (a + b) / 2
		case 4:
			add = paeth(a, b, c)
		}
		line[i] += byte(add)
	}
}

func paeth(a, b, c int) int {
	abs := func(x int) int { return max(x, -x) }
	pa, pb, pc := abs(b-c), abs(a-c), abs(a+b-2*c)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}
