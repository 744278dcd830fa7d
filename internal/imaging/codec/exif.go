package codec

import (
	"bytes"
	"encoding/binary"
)

// orientationTag is EXIF's (and TIFF's) tag for how an image is turned.
const orientationTag = 0x0112

// Orientation reads the orientation of an image from an EXIF block or the head of a TIFF file: 1 to 8; 1 (unchanged)
// if the block is broken or has none.
func Orientation(data []byte) int {
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
