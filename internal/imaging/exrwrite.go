package imaging

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// EXROptions configure how an OpenEXR file is written.
type EXROptions struct {
	// Text becomes attributes of the type string, in this order. Names that the file uses itself, or that cannot stand in
	// it, are an error: see ValidEXRName.
	Text []Text
	// Chromaticities, when not zero, are the CIE xy coordinates of red, green, blue and white.
	Chromaticities [8]float32
}

// exrNames are the attributes that readers look for.
var exrNames = []string{
	"channels", "compression", "dataWindow", "displayWindow", "lineOrder", "screenWindowCenter", "screenWindowWidth",
	"pixelAspectRatio", "framesPerSecond", "gamma", "writer", "chromaticities", "tiles", "type", "name", "version", "chunkCount", "view", "maxSamplesPerPixel",
}

// ValidEXRName reports whether text can be written under a name.
func ValidEXRName(name string) bool {
	const most = 255
	return name != "" && len(name) <= most && !strings.ContainsRune(name, 0) && !slices.Contains(exrNames, name)
}

// WriteEXR writes float32 samples with interleaved channels, 1 (gray), 3 (RGB) or 4 (RGBA), as an uncompressed OpenEXR file
// of scan lines with 32-bit floating-point samples. len(pix) is width*height*channels.
func WriteEXR(w io.Writer, pix []float32, width, height, channels int, o EXROptions) error {
	order := map[int]string{1: "Y", 3: "BGR", 4: "ABGR"}[channels] // the format sorts by name
	switch {
	case order == "":
		return fmt.Errorf("writing exr: an image has 1, 3 or 4 channels, not %d", channels)
	case width < 1 || height < 1 || width > 1<<20 || height > 1<<20:
		return fmt.Errorf("writing exr: the image is %dx%d", width, height)
	case len(pix) != width*height*channels:
		return fmt.Errorf("writing exr: %d samples given for %dx%dx%d", len(pix), width, height, channels)
	}
	head, err := exrHead(width, height, order, o)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<16)
	b.Write(head) //nolint:errcheck // Flush tells
	line := 4 * width * channels
	at := uint64(len(head)) + 8*uint64(height) //nolint:gosec // it is positive
	var word []byte
	for range height {
		word = binary.LittleEndian.AppendUint64(word[:0], at)
		b.Write(word)          //nolint:errcheck // Flush tells
		at += uint64(8 + line) //nolint:gosec // it is positive
	}
	for y := range height {
		row := binary.LittleEndian.AppendUint32(word[:0], uint32(y))
		row = binary.LittleEndian.AppendUint32(row, uint32(line)) //nolint:gosec // bounded by width
		for c := channels - 1; c >= 0; c-- {
			for x := range width {
				row = binary.LittleEndian.AppendUint32(row, math.Float32bits(pix[(y*width+x)*channels+c]))
			}
		}
		b.Write(row) //nolint:errcheck // Flush tells
		word = row
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing exr: %w", err)
	}
	return nil
}

// exrHead returns everything before the table of offsets.
func exrHead(width, height int, channels string, o EXROptions) ([]byte, error) {
	version, long := uint32(2), uint32(1<<10)
	const short = 31
	for _, t := range o.Text {
		if !ValidEXRName(t.Key) {
			return nil, fmt.Errorf("writing exr: %q cannot be the name of a text", t.Key)
		}
		if len(t.Key) > short {
			version |= long
		}
	}
	head := binary.LittleEndian.AppendUint32([]byte{0x76, 0x2f, 0x31, 0x01}, version)
	add := func(name, kind string, value []byte) {
		head = append(append(append(append(head, name...), 0), kind...), 0)
		head = append(binary.LittleEndian.AppendUint32(head, uint32(len(value))), value...) //nolint:gosec // checked below
	}
	floats := func(v ...float32) []byte {
		var out []byte
		for _, f := range v {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(f))
		}
		return out
	}
	var list []byte
	for _, c := range channels {
		const float, linear = 2, 0
		list = append(list, byte(c), 0, float, 0, 0, 0, linear, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0) // with steps of one
	}
	window := binary.LittleEndian.AppendUint32(make([]byte, 8), uint32(width-1)) //nolint:gosec // positive
	window = binary.LittleEndian.AppendUint32(window, uint32(height-1))          //nolint:gosec // positive
	add("channels", "chlist", append(list, 0))
	add("compression", "compression", []byte{0})
	add("dataWindow", "box2i", window)
	add("displayWindow", "box2i", window)
	add("lineOrder", "lineOrder", []byte{0})
	add("screenWindowCenter", "v2f", floats(0, 0))
	add("screenWindowWidth", "float", floats(1))
	add("pixelAspectRatio", "float", floats(1))
	for _, t := range o.Text {
		if len(t.Value) > math.MaxInt32 {
			return nil, errors.New("writing exr: a text is longer than 2 GiB")
		}
		add(t.Key, "string", []byte(t.Value))
	}
	if o.Chromaticities != [8]float32{} {
		add("chromaticities", "chromaticities", floats(o.Chromaticities[:]...))
	}
	return append(head, 0), nil
}
