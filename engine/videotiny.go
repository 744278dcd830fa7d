package engine

import (
	"context"
	"fmt"

	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
)

// A TAEHV stands in for the VAE of a video model. Its latents are [B,C,T,H,W]; those without a time axis are taken for one frame.

// minimaxChannels is the width of MiniMax H3's latents, whose films are coded in pieces.
const (
	minimaxChannels = 24
	minimaxFrames   = 17 // of a piece of film
	minimaxLead     = 3  // frames before a piece
	minimaxLatents  = 5  // of a piece
)

// video describes the network of a VAE that codes films; nil for all others.
func (v *VAE) video() *models.VideoTiny {
	if v.tiny == nil || v.tiny.decoder == nil || v.tiny.decoder.found.Tiny == nil {
		return nil
	}
	return v.tiny.decoder.found.Tiny.Video
}

// product3 multiplies the ratios of three levels.
func product3(r [3]int) int { return r[0] * r[1] * r[2] }

// Frames returns how many frames a latent of n frames decodes to, n for VAEs of pictures.
func (v *VAE) Frames(n int) int {
	c := v.video()
	if c == nil {
		return n
	}
	grow := product3(c.Grow)
	if v.cfg.LatentChannels == minimaxChannels && n > 1 {
		pieces := (n*grow + minimaxLatents*grow - 1) / (minimaxLatents * grow)
		return max(pieces*(minimaxLatents*grow-(grow-1))-minimaxLead*grow, 0)
	}
	return n*grow - (grow - 1)
}

// decodeFilm is Decode for latents [B,C,T,H,W]; the frames of all films come one after another.
func (v *VAE) decodeFilm(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) == 4 {
		z = &tensor.Tensor{Shape: []int{z.Dim(0), z.Dim(1), 1, z.Dim(2), z.Dim(3)}, Data: z.Data}
	}
	if len(z.Shape) != 5 || z.Dim(1) != v.cfg.LatentChannels || z.Len() == 0 {
		return nil, fmt.Errorf("decoding a latent of shape %v: this VAE takes films of %d channels", z.Shape, v.cfg.LatentChannels)
	}
	frames, h, w := v.Frames(z.Dim(2)), z.Dim(3)*v.cfg.Downscale, z.Dim(4)*v.cfg.Downscale
	if frames == 0 {
		return nil, fmt.Errorf("decoding a latent of %d frames: they are too few for a film", z.Dim(2))
	}
	if err := v.rt.checkHost("decoding the film", v.pictureBytes(z.Dim(0)*frames, z.Dim(3), z.Dim(4))); err != nil {
		return nil, err
	}
	out := tensor.New(z.Dim(0)*frames, h, w, 3)
	for b := range z.Dim(0) {
		y, err := v.tiny.decodeFrames(ctx, v, z.Index(b))
		if err != nil {
			return nil, err
		}
		if y.Dim(0) != frames || y.Dim(2) != h || y.Dim(3) != w {
			return nil, fmt.Errorf("decoding a latent of shape %v: the film is %v, wanted %d frames of %dx%d", z.Shape, y.Shape, frames, w, h)
		}
		for i := range frames {
			v.tiny.toFrame(out.Index(b*frames+i), y.Index(i))
		}
	}
	return out, nil
}

// decodeFrames turns a film's latent [C,T,H,W] into its frames [T',3,H',W'].
func (t *tinyVAE) decodeFrames(ctx context.Context, v *VAE, z *tensor.Tensor) (*tensor.Tensor, error) {
	c := v.video()
	x := mapped(swapped(z), func(f float32) float32 { return f * t.scale })
	n := x.Dim(0)
	y, err := v.run(ctx, t.decoder, fmt.Sprintf("film decoder %d", n), "z", "out", x, func(target nn.Target) (*onnx.Graph, error) {
		return models.VideoTinyDecoderGraph(t.decoder.found.TinyDecoderScope(), *t.decoder.found.Tiny, n, target)
	})
	if err != nil {
		return nil, err
	}
	y = spreadPixels(y, c.Patch)
	grow := product3(c.Grow)
	if v.cfg.LatentChannels != minimaxChannels || n == 1 {
		return y.Slice(grow-1, y.Dim(0)), nil
	}
	piece := minimaxLatents * grow
	var kept []*tensor.Tensor
	for from := 0; from < y.Dim(0); from += piece {
		padded := padFrames(y.Slice(from, min(from+piece, y.Dim(0))), 0, piece, false)
		kept = append(kept, padded.Slice(grow-1, piece))
	}
	all := joinFrames(kept)
	return all.Slice(0, max(all.Dim(0)-minimaxLead*grow, 0)), nil
}

// toFrame writes a frame [3,H,W] as a picture [H,W,3].
func (t *tinyVAE) toFrame(dst, src *tensor.Tensor) {
	n := src.Dim(1) * src.Dim(2)
	video, channels := t.decoder.found.Tiny.Video, t.decoder.found.Tiny.LatentChannels
	for k := range 3 {
		for i, f := range src.Data[k*n : (k+1)*n] {
			switch {
			case video.Leaky: // pictures in -1…1
				f = min(max((f+1)/2, 0), 1)
			case channels == minimaxChannels:
				f = min(max(f, 0), 1)
			}
			dst.Data[i*3+k] = f
		}
	}
}

// encodeFilm is Encode for pictures [T,3,H,W] in -1…1 that are the frames of one film.
func (v *VAE) encodeFilm(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	c := v.video()
	if !c.Leaky {
		x = mapped(x, func(f float32) float32 { return (f + 1) / 2 })
	}
	single, shrink := x.Dim(0) == 1, product3(c.Shrink)
	var parts []*tensor.Tensor
	if v.cfg.LatentChannels == minimaxChannels {
		whole := (x.Dim(0) + minimaxFrames - 1) / minimaxFrames * minimaxFrames
		x = padFrames(x, 0, whole, true)
		for from := 0; from < whole; from += minimaxFrames {
			parts = append(parts, padFrames(x.Slice(from, from+minimaxFrames), minimaxLead, minimaxFrames+minimaxLead, false))
		}
	} else {
		parts = append(parts, padFrames(x, 0, (x.Dim(0)+shrink-1)/shrink*shrink, true))
	}
	var latents []*tensor.Tensor
	for _, p := range parts {
		z, err := v.tiny.encodeFrames(ctx, v, p)
		if err != nil {
			return nil, err
		}
		latents = append(latents, z)
	}
	z := joinFrames(latents)
	if v.cfg.LatentChannels == minimaxChannels {
		keep := z.Dim(0) - minimaxLead
		if single {
			keep = 1
		}
		z = z.Slice(0, max(keep, 0))
	}
	out := swapped(z)
	return &tensor.Tensor{Shape: append([]int{1}, out.Shape...), Data: out.Data}, nil
}

// encodeFrames turns frames [T,3,H,W] into latents [T',C,H',W'].
func (t *tinyVAE) encodeFrames(ctx context.Context, v *VAE, x *tensor.Tensor) (*tensor.Tensor, error) {
	n := x.Dim(0)
	z, err := v.run(ctx, t.encoder, fmt.Sprintf("film encoder %d", n), "pixels", "moments", gatherPixels(x, v.video().Patch), func(target nn.Target) (*onnx.Graph, error) {
		return models.VideoTinyEncoderGraph(t.encoder.found.TinyEncoderScope(), *t.encoder.found.Tiny, n, target)
	})
	if err != nil {
		return nil, err
	}
	return mapped(z, func(f float32) float32 { return f / t.scale }), nil
}

// swapped exchanges the first two axes of [A,B,H,W].
func swapped(x *tensor.Tensor) *tensor.Tensor {
	a, b, plane := x.Dim(0), x.Dim(1), x.Dim(2)*x.Dim(3)
	out := tensor.New(b, a, x.Dim(2), x.Dim(3))
	for i := range a {
		for k := range b {
			copy(out.Data[(k*a+i)*plane:][:plane], x.Data[(i*b+k)*plane:][:plane])
		}
	}
	return out
}

// padFrames lengthens a film to n frames: by before black ones at its start, then at its end by its last frame or by black ones.
func padFrames(x *tensor.Tensor, before, n int, repeat bool) *tensor.Tensor {
	if x.Dim(0) == n {
		return x
	}
	out := tensor.New(append([]int{n}, x.Shape[1:]...)...)
	size := tensor.Count(x.Shape[1:])
	copy(out.Data[before*size:], x.Data)
	for i := before + x.Dim(0); repeat && i < n; i++ {
		copy(out.Data[i*size:(i+1)*size], x.Data[len(x.Data)-size:])
	}
	return out
}

func joinFrames(parts []*tensor.Tensor) *tensor.Tensor {
	n := 0
	for _, p := range parts {
		n += p.Dim(0)
	}
	out := tensor.New(append([]int{n}, parts[0].Shape[1:]...)...)
	at := 0
	for _, p := range parts {
		at += copy(out.Data[at:], p.Data)
	}
	return out
}

// spreadPixels turns [T,C·r²,H,W] into [T,C,H·r,W·r]: r² neighbouring channels are the pixels of a square.
func spreadPixels(x *tensor.Tensor, r int) *tensor.Tensor {
	if r == 1 {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1)/(r*r), x.Dim(2)*r, x.Dim(3)*r)
	eachSquare(x, r, func(gathered, spread int) { out.Data[spread] = x.Data[gathered] })
	return out
}

// gatherPixels is the inverse of spreadPixels; what does not fill a square is left out.
func gatherPixels(x *tensor.Tensor, r int) *tensor.Tensor {
	if r == 1 {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1)*r*r, x.Dim(2)/r, x.Dim(3)/r)
	eachSquare(out, r, func(gathered, spread int) { out.Data[gathered] = x.Data[spread] })
	return out
}

// eachSquare calls f with the places of each value in gathered and in spread pixels.
func eachSquare(gathered *tensor.Tensor, r int, f func(gathered, spread int)) {
	h, w := gathered.Dim(2), gathered.Dim(3)
	for p := range gathered.Dim(0) * gathered.Dim(1) {
		plane, dy, dx := p/(r*r), p/r%r, p%r
		for y := range h {
			for x := range w {
				f((p*h+y)*w+x, (plane*h*r+y*r+dy)*w*r+x*r+dx)
			}
		}
	}
}
