package imaging

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// ImageMethods and LatentMethods are the methods of the scaling nodes for images and for latents, in upstream's order.
var (
	ImageMethods  = []string{"nearest-exact", "bilinear", "area", "bicubic", "lanczos"}
	LatentMethods = []string{"nearest-exact", "bilinear", "area", "bicubic", "bislerp"}
)

// Upscale resizes [B,C,H,W] (or [B,C,T,H,W], frame by frame) to width x height as comfy.utils.common_upscale does. crop is
// "center" (cut to the target's proportions first) or anything else for none. The methods are those of ImageMethods and
// LatentMethods.
func Upscale(t *tensor.Tensor, width, height int, method, crop string) (*tensor.Tensor, error) {
	if len(t.Shape) == 5 {
		return upscaleFrames(t, width, height, method, crop)
	}
	if err := checkRank("scaling", t, 4); err != nil {
		return nil, err
	}
	if err := checkTarget(t.Shape[0], t.Shape[1], width, height); err != nil {
		return nil, err
	}
	out := tensor.New(t.Shape[0], t.Shape[1], height, width)
	return out, upscale(planes(out), planes(t), method, crop)
}

// UpscaleImage is Upscale for images, [B,H,W,C].
func UpscaleImage(t *tensor.Tensor, width, height int, method, crop string) (*tensor.Tensor, error) {
	return UpscaleImageContext(context.Background(), t, width, height, method, crop)
}

// UpscaleImageContext is UpscaleImage that ends with the context, within a row of the result.
func UpscaleImageContext(ctx context.Context, t *tensor.Tensor, width, height int, method, crop string) (*tensor.Tensor, error) {
	if err := checkRank("scaling", t, 4); err != nil {
		return nil, err
	}
	if err := checkTarget(t.Shape[0], t.Shape[3], width, height); err != nil {
		return nil, err
	}
	out := tensor.New(t.Shape[0], height, width, t.Shape[3])
	to := pixels(out)
	to.ctx = ctx
	if err := upscale(to, pixels(t), method, crop); err != nil {
		return nil, err
	}
	return out, context.Cause(ctx)
}

func checkTarget(n, c, width, height int) error {
	if width < 1 || height < 1 {
		return fmt.Errorf("scaling: the target is %dx%d", width, height)
	}
	return CheckSize(fmt.Sprintf("an image of %dx%d", width, height), n, c, height, width)
}

// upscaleFrames puts the frames into the batch and takes them out again.
func upscaleFrames(t *tensor.Tensor, width, height int, method, crop string) (*tensor.Tensor, error) {
	b, c, frames, h, w := t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3], t.Shape[4]
	flat, err := t.Reshape(b, c*frames, h, w)
	if err != nil {
		return nil, err
	}
	if method == "bislerp" || method == "lanczos" { // these look at all channels of a frame together
		flat = &tensor.Tensor{Shape: []int{b * frames, c, h, w}, Data: swapAxes(t.Data, b, c, frames, h*w)}
	}
	out, err := Upscale(flat, width, height, method, crop)
	if err != nil {
		return nil, err
	}
	if method == "bislerp" || method == "lanczos" {
		out.Data = swapAxes(out.Data, b, frames, c, height*width)
	}
	out.Shape = []int{b, c, frames, height, width}
	return out, nil
}

// swapAxes turns [a,b,c,d] into [a,c,b,d].
func swapAxes(data []float32, a, b, c, d int) []float32 {
	out := make([]float32, len(data))
	for i := range a {
		for j := range b {
			for k := range c {
				copy(out[((i*c+k)*b+j)*d:][:d], data[((i*b+j)*c+k)*d:][:d])
			}
		}
	}
	return out
}

func upscale(dst, src view, method, crop string) error {
	if crop == "center" {
		src = src.crop(centerCrop(src.w, src.h, dst.w, dst.h))
	}
	if src.w < 1 || src.h < 1 {
		return fmt.Errorf("scaling: nothing is left of the image after cutting it to %dx%d", dst.w, dst.h)
	}
	switch method {
	case "nearest-exact":
		nearest(dst, src)
	case "bilinear":
		weighted(dst, src, linearTaps(src.w, dst.w), linearTaps(src.h, dst.h))
	case "bicubic":
		weighted(dst, src, cubicTaps(src.w, dst.w), cubicTaps(src.h, dst.h))
	case "area":
		area(dst, src)
	case "bislerp":
		bislerp(dst, src)
	case "lanczos":
		return lanczos(dst, src)
	default:
		return fmt.Errorf("scaling: unknown method %q", method)
	}
	return nil
}

// centerCrop returns how many columns and rows go at each side so that w x h gets the proportions of the target.
func centerCrop(w, h, width, height int) (x, y int) {
	old, wanted := float64(w)/float64(h), float64(width)/float64(height)
	switch {
	case old > wanted:
		x = int(math.RoundToEven((float64(w) - float64(w)*(wanted/old)) / 2))
	case old < wanted:
		y = int(math.RoundToEven((float64(h) - float64(h)*(old/wanted)) / 2))
	}
	return x, y
}

// lanczos goes through 8 bits, as comfy.utils.lanczos does by way of Pillow.
func lanczos(dst, src view) error {
	pix := make([]byte, src.w*src.h*src.c)
	for n := range src.n {
		for y := range src.h {
			if dst.stopped() {
				return context.Cause(dst.ctx)
			}
			src.packRow(pix[y*src.w*src.c:][:src.w*src.c], n, y)
		}
		ctx := dst.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		scaled, err := Resize8Context(ctx, pix, src.w, src.h, src.c, dst.w, dst.h, Lanczos)
		if err != nil {
			return err
		}
		for y := range dst.h {
			if dst.stopped() {
				return context.Cause(dst.ctx)
			}
			dst.unpackRow(scaled[y*dst.w*dst.c:][:dst.w*dst.c], n, y)
		}
	}
	return nil
}

// packRow gives a row as bytes of interleaved channels.
func (v view) packRow(to []byte, n, y int) {
	if v.interleaved() {
		setBytes(to, v.row(n, 0, y)[:len(to)])
		return
	}
	for c := range v.c {
		line := v.row(n, c, y)
		for x := range v.w {
			to[x*v.c+c] = toByte(line[x*v.sw])
		}
	}
}

// unpackRow sets a row to bytes of interleaved channels.
func (v view) unpackRow(from []byte, n, y int) {
	if v.interleaved() {
		setValues(v.row(n, 0, y)[:len(from)], from)
		return
	}
	for c := range v.c {
		line := v.row(n, c, y)
		for x := range v.w {
			line[x*v.sw] = byteValues[from[x*v.c+c]]
		}
	}
}
