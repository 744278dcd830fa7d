package engine

import (
	"context"
	"fmt"

	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
)

// tinyVAE is a TAESD in the place of a VAE.
type tinyVAE struct {
	// encoder and decoder are the files of the halves; either may be nil.
	encoder, decoder *modelFile
	// scale and shift lead from a VAE's latents to the network's, which TAESD works on: (latent - shift)*scale.
	scale, shift float32
	// folded says that a latent pixel holds two by two of TAESD's (Flux 2).
	folded bool
}

// TinyVAEs are the names of the picture TAESDs whose halves lie in two files, NAME_encoder and NAME_decoder (upstream:
// VAELoader.image_taes).
var TinyVAEs = []string{"taesd", "taesdxl", "taesd3", "taef1", "taef2"}

// tinyScales are the scales and shifts of the model families that the names stand for; of others there are none
// (upstream: VAELoader.load_taesd).
var tinyScales = map[string][2]float32{
	"taesd": {0.18215, 0}, "taesdxl": {0.13025, 0}, "taesd3": {1.5305, 0.0609}, "taef1": {0.3611, 0.1159},
}

// foldedChannels is the width of the only latents that hold several of TAESD's pixels in one, those of Flux 2.
const foldedChannels = 128

// LoadTinyVAE opens a TAESD from the files of its two halves. name is one of TinyVAEs.
func (rt *Runtime) LoadTinyVAE(name, encoder, decoder string) (*VAE, error) {
	e, err := rt.tinyHalf(encoder, "encoder", func(c *models.TinyConfig) bool { return c.HasEncoder })
	if err != nil {
		return nil, err
	}
	d, err := rt.tinyHalf(decoder, "decoder", func(c *models.TinyConfig) bool { return c.HasDecoder })
	if err != nil {
		return nil, err
	}
	if a, b := e.found.Tiny.LatentChannels, d.found.Tiny.LatentChannels; a != b {
		return nil, fmt.Errorf("loading the TAESD %s: %s makes latents of %d channels, %s reads %d", name, encoder, a, decoder, b)
	}
	t := &tinyVAE{encoder: e, decoder: d, scale: 1, folded: name == "taef2"}
	if s, ok := tinyScales[name]; ok {
		t.scale, t.shift = s[0], s[1]
	}
	return rt.newTinyVAE(t), nil
}

// LoadTinyDecoder opens the decoder of a TAESD. The VAE that it returns only decodes, and reads latents as the diffusion
// network does, of the given number of channels.
func (rt *Runtime) LoadTinyDecoder(path string, channels int) (*VAE, error) {
	d, err := rt.tinyHalf(path, "decoder", func(c *models.TinyConfig) bool { return c.HasDecoder })
	if err != nil {
		return nil, err
	}
	v := rt.newTinyVAE(&tinyVAE{decoder: d, scale: 1, folded: channels == foldedChannels})
	if v.cfg.LatentChannels != channels {
		return nil, fmt.Errorf("loading %s: it decodes latents of %d channels, wanted %d", path, v.cfg.LatentChannels, channels)
	}
	return v, nil
}

// OnCard reports whether the networks of models run on a card.
func (rt *Runtime) OnCard() bool { return rt.cfg.Device.Kind == ort.CUDA }

// OnCard reports whether the VAE runs on a card.
func (v *VAE) OnCard() bool { return v.rt.OnCard() && !v.rt.cfg.VAEOnCPU }

func (rt *Runtime) tinyHalf(path, half string, has func(*models.TinyConfig) bool) (*modelFile, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, err
	}
	if f.found.Tiny == nil || !has(f.found.Tiny) {
		return nil, fmt.Errorf("loading %s: the file holds no %s of a TAESD", path, half)
	}
	return f, nil
}

// tinyOf returns the TAESD in a file that holds both halves, nil when it holds none.
func (rt *Runtime) tinyOf(f *modelFile) *VAE {
	c := f.found.Tiny
	if c == nil || !c.HasEncoder || !c.HasDecoder {
		return nil
	}
	return rt.newTinyVAE(&tinyVAE{encoder: f, decoder: f, scale: c.Scale, shift: c.Shift})
}

func (rt *Runtime) newTinyVAE(t *tinyVAE) *VAE {
	if video := t.decoder.found.Tiny.Video; video != nil {
		c := t.decoder.found.Tiny
		t.scale = c.Scale
		cfg := models.VAEConfig{LatentChannels: c.LatentChannels, Downscale: 8 * video.Patch, HasEncoder: t.encoder != nil}
		return &VAE{rt: rt, file: t.decoder, cfg: cfg, tiny: t}
	}
	cfg := models.VAEConfig{LatentChannels: t.decoder.found.Tiny.LatentChannels, Downscale: 8, HasEncoder: t.encoder != nil}
	if t.folded {
		cfg.LatentChannels, cfg.Downscale = 4*cfg.LatentChannels, 2*cfg.Downscale
	}
	return &VAE{rt: rt, file: t.decoder, cfg: cfg, tiny: t}
}

// decode turns [B,C,H,W] into pictures [B,3,8H,8W] in about -1…1.
func (t *tinyVAE) decode(ctx context.Context, v *VAE, z *tensor.Tensor) (*tensor.Tensor, error) {
	x := mapped(z, func(f float32) float32 { return (f - t.shift) * t.scale })
	if t.folded {
		x = unfold(x)
	}
	y, err := v.run(ctx, t.decoder, "tiny decoder", "z", "out", x, func(target nn.Target) (*onnx.Graph, error) {
		return models.TinyDecoderGraph(t.decoder.found.TinyDecoderScope(), target)
	})
	if err != nil {
		return nil, err
	}
	return mapped(y, func(f float32) float32 { return (f - 0.5) * 2 }), nil
}

// encode turns pictures [B,3,H,W] in -1…1 into latents.
func (t *tinyVAE) encode(ctx context.Context, v *VAE, x *tensor.Tensor) (*tensor.Tensor, error) {
	x = mapped(x, func(f float32) float32 { return float32(f*0.5) + 0.5 })
	z, err := v.run(ctx, t.encoder, "tiny encoder", "pixels", "moments", x, func(target nn.Target) (*onnx.Graph, error) {
		return models.TinyEncoderGraph(t.encoder.found.TinyEncoderScope(), target)
	})
	if err != nil {
		return nil, err
	}
	if t.folded {
		z = fold(z)
	}
	return mapped(z, func(f float32) float32 { return f/t.scale + t.shift }), nil
}

func mapped(x *tensor.Tensor, f func(float32) float32) *tensor.Tensor {
	out := tensor.New(x.Shape...)
	for i, v := range x.Data {
		out.Data[i] = f(v)
	}
	return out
}

// unfold turns [B,4C,H,W] into [B,C,2H,2W]: four neighbouring channels are the four pixels of a square.
func unfold(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1)/4, x.Dim(2)*2, x.Dim(3)*2)
	eachFolded(x, out, func(folded, flat int) { out.Data[flat] = x.Data[folded] })
	return out
}

// fold is the inverse of unfold; H and W are even.
func fold(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1)*4, x.Dim(2)/2, x.Dim(3)/2)
	eachFolded(out, x, func(folded, flat int) { out.Data[folded] = x.Data[flat] })
	return out
}

// eachFolded calls f with the places of each value in a folded and in a flat tensor.
func eachFolded(folded, flat *tensor.Tensor, f func(folded, flat int)) {
	h, w := folded.Dim(2), folded.Dim(3)
	for p := range folded.Dim(0) * folded.Dim(1) {
		plane, dy, dx := p/4, p/2%2, p%2
		for y := range h {
			for x := range w {
				f((p*h+y)*w+x, (plane*2*h+2*y+dy)*2*w+2*x+dx)
			}
		}
	}
}
