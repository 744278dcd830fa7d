package executor

import (
	"sync"

	"comfygo/nodes"
)

// Preview is an image of work in progress. It is encoded when the first client wants it, and only once.
type Preview struct {
	source nodes.Preview
	once   sync.Once
	data   []byte
	err    error
}

// EncodedPreview makes a preview of an image that is encoded already, as PNG or JPEG, with its animation if there is one.
func EncodedPreview(data []byte, png bool, animation []byte) *Preview {
	p := &Preview{data: data, source: nodes.Preview{Animation: animation}}
	if p.once.Do(func() {}); png {
		p.source.Format = "PNG"
	}
	return p
}

// Described returns the image, or its animation if it has one, with its media type, for clients that are told the type.
func (p *Preview) Described() (mime string, data []byte, err error) {
	switch {
	case p.Animation() != nil:
		return "image/webp", p.Animation(), nil
	case p.source.Format == "PNG":
		mime = "image/png"
	default:
		mime = "image/jpeg"
	}
	data, err = p.Bytes()
	return mime, data, err
}

// Animation is an animated WebP file of the image, or nil.
func (p *Preview) Animation() []byte { return p.source.Animation }

// TypeNumber is the number of the format in binary messages: 1 for JPEG, 2 for PNG.
func (p *Preview) TypeNumber() uint32 {
	if p.source.Format == "PNG" {
		return 2
	}
	return 1
}

// Bytes returns the encoded image. It may be called from any goroutine.
func (p *Preview) Bytes() ([]byte, error) {
	p.once.Do(func() { p.data, p.err = p.source.Encode() })
	return p.data, p.err
}
