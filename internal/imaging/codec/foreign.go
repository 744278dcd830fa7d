package codec

import (
	"bytes"
	"slices"
)

// foreign are formats that are recognized by their first bytes, but not decoded.
var foreign = []struct {
	name   string
	at     int
	starts string
}{
	{"JPEG 2000", 4, "jP  \r\n\x87\n"},
	{"JPEG 2000", 0, "\xff\x4f\xff\x51"},
	{"JPEG XL", 4, "JXL \r\n\x87\n"},
	{"JPEG XL", 0, "\xff\x0a"},
	{"Photoshop", 0, "8BPS"},
	{"OpenEXR", 0, "v/1\x01"},
	{"DirectDraw Surface", 0, "DDS "},
	{"icon", 0, "\x00\x00\x01\x00"},
}

// heifBrands are those of HEIF files with other codecs than AV1.
var heifBrands = []string{"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}

// Foreign names the format of an image file that is recognized but not decoded, or returns "".
func Foreign(data []byte) string {
	if _, err := find(data); err == nil {
		return ""
	}
	for _, f := range foreign {
		if len(data) > f.at && bytes.HasPrefix(data[f.at:], []byte(f.starts)) {
			return f.name
		}
	}
	if len(data) >= 12 && string(data[4:8]) == "ftyp" && slices.Contains(heifBrands, string(data[8:12])) {
		return "HEIC"
	}
	return ""
}

// IsAudio reports whether data begins like an audio file: WAVE, AIFF, FLAC, Ogg, MP3 or AAC.
func IsAudio(data []byte) bool {
	at := func(i int, s string) bool { return len(data) >= i+len(s) && string(data[i:i+len(s)]) == s }
	switch {
	case at(0, "RIFF") && at(8, "WAVE"), at(0, "FORM") && at(8, "AIF"), at(0, "fLaC"), at(0, "OggS"), at(0, "ID3"), at(4, "ftypM4A "):
		return true
	}
	const frame, layer = 0xe0, 0x06 // of MPEG audio: eleven bits of synchronization, and a layer
	return len(data) > 2 && data[0] == 0xff && data[1]&frame == frame && data[1]&layer != 0
}
