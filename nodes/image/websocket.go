package image

import (
	"context"
	goimage "image"
	"time"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&SaveImageWebsocket{}) }

// SaveImageWebsocket sends images to the client as PNG previews in their full size, and saves nothing.
type SaveImageWebsocket struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE"`
}

var _ nodes.Fingerprinter = (*SaveImageWebsocket)(nil)

// Spec implements nodes.Node.
func (*SaveImageWebsocket) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveImageWebsocket", DisplayName: "Save Image (Websocket)", Category: "image", Module: "custom_nodes.websocket_image_save", OutputNode: true,
		Uses: nodes.UsesNothing,
	}
}

// Fingerprint makes the images go out every time.
func (*SaveImageWebsocket) Fingerprint(*nodes.Context) (any, error) {
	return time.Now().UnixNano(), nil
}

// Run implements nodes.Node.
func (n *SaveImageWebsocket) Run(ctx *nodes.Context) (nodes.Result, error) {
	images := grayToo(n.Images)
	if !isImage(images) {
		return nodes.Result{}, errNoImage("images")
	}
	count := images.Shape[0]
	for i := range count {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		img, err := toImage(images.Index(i))
		if err != nil {
			return nodes.Result{}, err
		}
		ctx.ProgressPreview(float64(i), float64(count), &nodes.Preview{Format: "PNG", Image: img})
	}
	return nodes.Result{}, nil
}

// toImage makes an image of [H,W,C] with 1, 3 or 4 channels.
func toImage(t *tensor.Tensor) (goimage.Image, error) {
	height, width, channels := t.Shape[0], t.Shape[1], t.Shape[2]
	if channels != 1 && channels != 3 && channels != 4 {
		return nil, nodes.Errorf("ValueError", "an image of %d channels cannot be sent", channels)
	}
	pix := imaging.ToBytes(t.Data)
	if channels == 1 {
		return &goimage.Gray{Pix: pix, Stride: width, Rect: goimage.Rect(0, 0, width, height)}, nil
	}
	out := goimage.NewNRGBA(goimage.Rect(0, 0, width, height))
	for i := range width * height {
		to, from := out.Pix[4*i:4*i+4], pix[channels*i:channels*(i+1)]
		to[3] = 255
		copy(to, from)
	}
	return out, nil
}
