package imaging

import (
	"bytes"
	"encoding/binary"
)

// orientationTag is EXIF's (and TIFF's) tag for how the picture is turned.
const orientationTag = 0x0112

// orientation reads how a picture is to be turned from an EXIF block or the head of a TIFF file: 1 to 8, 1 (as it is)
// when the block is broken or does not say.
func orientation(data []byte) int {
	data = bytes.TrimPrefix(data, []byte("Exif\x00\x00"))
	if len(data) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(data[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return 1
	}
	count := int(order.Uint16(data[at:]))
	entries := data[at+2:]
	for i := range count {
		if len(entries) < (i+1)*12 {
			return 1
		}
		e := entries[i*12:]
		const short = 3
		if order.Uint16(e) == orientationTag && order.Uint16(e[2:]) == short {
			if v := int(order.Uint16(e[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
	}
	return 1
}

// jpegExif returns the EXIF block of a JPEG file, nil when there is none.
func jpegExif(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte{0xff, 0xd8}) {
		return nil
	}
	for data = data[2:]; len(data) >= 4 && data[0] == 0xff; {
		marker := data[1]
		if marker == 0xff { // fill byte
			data = data[1:]
			continue
		}
		size := int(binary.BigEndian.Uint16(data[2:]))
		if marker == 0xda || size < 2 || len(data) < size+2 {
			return nil
		}
		body := data[4 : size+2]
		if marker == 0xe1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return body
		}
		data = data[size+2:]
	}
	return nil
}

// pngExif returns the EXIF block of a PNG file, nil when there is none.
func pngExif(data []byte) []byte {
	var exif []byte
	isExif := func(kind string) bool { return kind == "eXIf" }
	err := eachChunk(bytes.NewReader(data), isExif, func(kind string, data []byte) (bool, error) {
		if isExif(kind) {
			exif = data
		}
		return exif == nil, nil
	})
	if err != nil {
		return nil
	}
	return exif
}
