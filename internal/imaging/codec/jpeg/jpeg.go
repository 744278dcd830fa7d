// Package jpeg decodes baseline and progressive JPEG files with 8 bits a sample, damaged ones as far as they go.
//
// The inverse transform and the handling of what is missing are those of FFmpeg, which ComfyUI decodes with, so that pixels
// are equal. The standard library's decoder gives nothing of a damaged file, and knows neither contexts nor bounds of scans.
package jpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "jpeg", Extensions: []string{"jpg", "jpeg", "jpe", "jfif"},
		Sniff:  func(data []byte) bool { return len(data) > 2 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff },
		Probe:  probe,
		Decode: decode,
	})
}

// Markers of a JPEG file (ITU-T T.81, table B.1).
const (
	markerSOF0  = 0xc0
	markerSOF1  = 0xc1
	markerSOF2  = 0xc2
	markerDHT   = 0xc4
	markerJPG   = 0xc8
	markerDAC   = 0xcc
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDRI   = 0xdd
	markerAPP1  = 0xe1
	markerAPP14 = 0xee
)

// segment is one marker with its parameters.
type segment struct {
	marker byte
	body   []byte
	// after is the position at which the entropy-coded data of a scan begins.
	after int
}

// segments calls visit for the marker segments of a file; bytes between them are skipped. visit returns false to end.
func segments(data []byte, visit func(segment) (bool, error)) error {
	for at := 2; ; {
		at = nextMarker(data, at)
		if at < 0 {
			return nil
		}
		marker := data[at+1]
		at += 2
		if marker == markerEOI {
			return nil
		}
		if marker == markerSOI || marker == 1 || marker >= markerRST0 && marker <= markerRST7 {
			continue
		}
		if at+2 > len(data) {
			return nil
		}
		size := int(data[at])<<8 | int(data[at+1])
		if size < 2 {
			continue
		}
		end := min(at+size, len(data))
		more, err := visit(segment{marker: marker, body: data[at+2 : max(end, at+2)], after: end})
		if err != nil || !more {
			return err
		}
		at = end
	}
}

// nextMarker finds 0xff followed by a marker code.
func nextMarker(data []byte, at int) int {
	for at < len(data) {
		i := bytes.IndexByte(data[at:], 0xff)
		if i < 0 || at+i+1 >= len(data) {
			return -1
		}
		if at += i; data[at+1] != 0 && data[at+1] != 0xff {
			return at
		}
		at++
	}
	return -1
}

// component is one of a frame's color components.
type component struct {
	id, h, v, quant byte
	// blocksWide and blocksHigh are those that a scan of this component alone has.
	blocksWide, blocksHigh int
	// stride is the number of samples in a row of whole MCUs, rows the number of rows.
	stride, rows int
	plane        []byte
	coefficients []int16 // of progressive files
	dc           int32
	dcTable      *huffman
	acTable      *huffman
}

// header holds the data of the frame header and the application segments.
type header struct {
	width, height int
	progressive   bool
	components    []component
	hMax, vMax    int
	mcusX, mcusY  int
	adobe         int // color transform of Adobe's segment, -1 without one
}

var errNoFrame = errors.New("there is no frame header in it")

func parseFrame(s segment) (*header, error) {
	b := s.body
	if len(b) < 6 {
		return nil, errors.New("the frame header ends early")
	}
	h := &header{progressive: s.marker == markerSOF2, adobe: -1, height: int(b[1])<<8 | int(b[2]), width: int(b[3])<<8 | int(b[4])}
	if s.marker != markerSOF0 && s.marker != markerSOF1 && s.marker != markerSOF2 {
		return nil, fmt.Errorf("frames of type %d (lossless, hierarchical or arithmetic) are not supported", s.marker-markerSOF0)
	}
	if b[0] != 8 {
		return nil, fmt.Errorf("%d bits a sample are not supported", b[0])
	}
	n := int(b[5])
	if n != 1 && n != 3 && n != 4 || len(b) < 6+3*n {
		return nil, fmt.Errorf("%d color components", n)
	}
	if h.width == 0 || h.height == 0 {
		return nil, fmt.Errorf("its size is %dx%d", h.width, h.height)
	}
	for i := range n {
		p := b[6+3*i:]
		c := component{id: p[0], h: p[1] >> 4, v: p[1] & 15, quant: p[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quant > 3 {
			return nil, fmt.Errorf("component %d has the sampling %dx%d", i, c.h, c.v)
		}
		if n == 1 {
			c.h, c.v = 1, 1 // one component is never interleaved
		}
		h.components = append(h.components, c)
		h.hMax, h.vMax = max(h.hMax, int(c.h)), max(h.vMax, int(c.v))
	}
	h.measure()
	return h, nil
}

func (h *header) measure() {
	up := func(a, b int) int { return (a + b - 1) / b }
	h.mcusX, h.mcusY = up(h.width, 8*h.hMax), up(h.height, 8*h.vMax)
	for i := range h.components {
		c := &h.components[i]
		c.blocksWide = up(up(h.width*int(c.h), h.hMax), 8)
		c.blocksHigh = up(up(h.height*int(c.v), h.vMax), 8)
		c.stride, c.rows = 8*h.mcusX*int(c.h), 8*h.mcusY*int(c.v)
	}
}

// probe finds the frame header and counts the scans.
func probe(data []byte) (codec.Info, error) {
	var h *header
	scans, adobe, orientation := 0, -1, 1
	err := segments(data, func(s segment) (bool, error) {
		switch {
		case s.marker == markerSOS:
			scans++
		case isFrame(s.marker) && h == nil:
			var err error
			h, err = parseFrame(s)
			return true, err
		case s.marker == markerAPP1 && len(s.body) > 6 && string(s.body[:4]) == "Exif" && orientation == 1:
			orientation = codec.Orientation(s.body)
		case s.marker == markerAPP14:
			adobe = adobeTransform(s.body)
		}
		return true, nil
	})
	if err != nil {
		return codec.Info{}, err
	}
	if h == nil {
		return codec.Info{}, errNoFrame
	}
	if scans == 0 {
		return codec.Info{}, errors.New("there is no scan in it")
	}
	h.adobe = adobe
	return codec.Info{
		Width: h.width, Height: h.height, Frames: 1, Passes: scans, Layout: h.layout(), Orientation: orientation, Working: h.working(),
	}, nil
}

func isFrame(marker byte) bool {
	return marker >= markerSOF0 && marker <= 0xcf && marker != markerDHT && marker != markerJPG && marker != markerDAC
}

func adobeTransform(b []byte) int {
	if len(b) < 12 || string(b[:5]) != "Adobe" {
		return -1
	}
	return int(b[11])
}

func (h *header) layout() codec.Layout {
	switch len(h.components) {
	case 1:
		return codec.Gray8
	case 4:
		return codec.PlanarAlpha8
	}
	if h.rgb() {
		return codec.Planar8
	}
	return codec.FullYUV
}

// rgb reports whether the components are red, green and blue.
func (h *header) rgb() bool {
	c := h.components
	return h.adobe == 0 || h.adobe < 0 && c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B'
}

// working is the size of the planes, of the coefficients of progressive files and of the frame that is put together.
func (h *header) working() int64 {
	samples := int64(0)
	for _, c := range h.components {
		samples += int64(c.stride) * int64(c.rows)
	}
	n := samples
	if h.progressive {
		n += 2 * samples
	}
	if l := h.layout(); l != codec.FullYUV && l != codec.Gray8 || h.odd() {
		n += int64(h.width) * int64(h.height) * int64(l.Channels())
	}
	return n
}

func decode(ctx context.Context, data []byte, info codec.Info, emit func(*codec.Frame) error) error {
	d := &decoder{ctx: ctx, data: data}
	if err := d.run(); err != nil {
		return err
	}
	return emit(d.frame(info))
}
