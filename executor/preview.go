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

// EncodedPreview makes a preview of an image that is encoded already, as PNG or JPEG.
func EncodedPreview(data []byte, png bool) *Preview {
	p := &Preview{data: data}
	if p.once.Do(func() {}); png {
		p.source.Format = "PNG"
	}
	return p
}

// MIME returns image/png or image/jpeg.
func (p *Preview) MIME() string {
	if p.source.Format == "PNG" {
		return "image/png"
	}
	return "image/jpeg"
}

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
