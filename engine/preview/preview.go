// Package preview renders small images of latents during sampling: by a linear map from latent channels to colours, or with
// a TAESD decoder.
//
// It knows latents, their formats and decoders; it does not know nodes, messages or HTTP.
package preview

import (
	"context"
	"fmt"
	"image"
	"log/slog"
	"slices"
	"time"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// The methods, as the flag --preview-method spells them. Auto means LatentToRGB.
const (
	None        = "none"
	Auto        = "auto"
	LatentToRGB = "latent2rgb"
	TAESD       = "taesd"
)

// Settings are how previews are wanted.
type Settings struct {
	// Method is one of the constants; anything else counts as None.
	Method string
	// Size limits the longer side of a preview, in pixels.
	Size int
}

// Override returns the settings for a run that requests its own method. An unknown method, and "default", have no effect.
// Upstream: latent_preview.set_preview_method.
func (s Settings) Override(method any) Settings {
	if m, ok := method.(string); ok && slices.Contains([]string{None, Auto, LatentToRGB, TAESD}, m) {
		s.Method = m
	}
	return s
}

// Decoders opens the decoders that previews need.
type Decoders struct {
	Engine *engine.Runtime
	// Find returns the file of the folder vae_approx whose name has the given prefix.
	Find func(start string) (path string, ok bool)
}

// Maker makes previews of one sampling run. Its methods are called by one goroutine at a time.
type Maker struct {
	gate    gate
	format  sampling.LatentFormat
	decoder *engine.VAE // nil: by the linear map
}

// New chooses how previews of latents of the given format are made, as upstream's latent_preview.get_previewer does: a
// TAESD that is wanted but missing is reported to log and replaced by the linear map. It returns nil if previews are off or
// cannot be made.
func New(s Settings, f sampling.LatentFormat, d Decoders, log *slog.Logger) *Maker {
	switch s.Method {
	case Auto, LatentToRGB, TAESD:
	default:
		return nil
	}
	m := &Maker{format: f, gate: gate{free: d.Engine.OnGPU(), now: time.Now, cost: rgbCost, last: time.Now()}}
	if s.Method == TAESD {
		decoder, err := openDecoder(f, d)
		if err == nil {
			m.decoder = decoder
			m.gate.free, m.gate.cost = false, 0
			return m
		}
		log.Warn("previews with TAESD cannot be made", "error", err)
	}
	if f.RGB == nil {
		return nil
	}
	return m
}

func openDecoder(f sampling.LatentFormat, d Decoders) (*engine.VAE, error) {
	if f.TinyVAE == "" {
		return nil, fmt.Errorf("opening a decoder for previews: there is none for this kind of latent")
	}
	path, ok := d.Find(f.TinyVAE)
	if !ok {
		return nil, fmt.Errorf("opening a decoder for previews: there is no file %s* in models/vae_approx", f.TinyVAE)
	}
	return d.Engine.LoadPreviewDecoder(path, f.Channels)
}

// The first preview of a run is paid for by these guesses: scaling and packing an image of the usual size, and decoding
// with TAESD for each pixel on a CPU and on a GPU.
const (
	rgbCost           = 10 * time.Millisecond
	tinyCostProcessor = 5 * time.Microsecond
	tinyCostGPU       = 50 * time.Nanosecond
)

// Due reports whether a preview of x is due: on average previews slow a run by at most 2 %, and their rate is limited to
// what a viewer can follow.
func (m *Maker) Due(x *tensor.Tensor) bool {
	if m.gate.cost == 0 {
		pixel := tinyCostProcessor
		if m.decoder.OnGPU() {
			pixel = tinyCostGPU
		}
		side := m.decoder.Downscale()
		m.gate.cost = rgbCost + time.Duration(x.Dim(-1)*side*x.Dim(-2)*side)*pixel
	}
	return m.gate.due()
}

// Make runs work, which makes a preview with Image and sends it, and notes how long it takes.
func (m *Maker) Make(work func()) {
	start := m.gate.now()
	work()
	m.gate.spent(start)
}

// Image returns an image of the first latent of x, [B,C,H,W] or [B,C,T,H,W] in the network's space.
func (m *Maker) Image(ctx context.Context, x *tensor.Tensor) (image.Image, error) {
	z, err := m.first(x)
	if err != nil {
		return nil, err
	}
	if m.decoder == nil {
		return m.colours(z), nil
	}
	y, err := m.decoder.Decode(ctx, z)
	if err != nil {
		return nil, fmt.Errorf("decoding a preview: %w", err)
	}
	return imageOf(y), nil
}

// first returns the first latent, of a video its first frame, as [1,C,H,W].
func (m *Maker) first(x *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) < 4 || len(x.Shape) > 5 || x.Dim(0) < 1 || x.Dim(1) != m.format.Channels {
		return nil, fmt.Errorf("making a preview: latents of shape %v, wanted %d channels", x.Shape, m.format.Channels)
	}
	c, h, w := x.Dim(1), x.Dim(-2), x.Dim(-1)
	row := x.Index(0)
	if len(x.Shape) == 4 {
		return row.Reshape(1, c, h, w)
	}
	out := tensor.New(1, c, h, w)
	frames := x.Dim(2)
	for k := range c {
		copy(out.Data[k*h*w:(k+1)*h*w], row.Data[k*frames*h*w:])
	}
	return out, nil
}

// colours maps the channels of each latent pixel to a colour.
func (m *Maker) colours(z *tensor.Tensor) image.Image {
	h, w := z.Dim(2), z.Dim(3)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		sum := m.format.RGBBias
		for c, to := range m.format.RGB {
			v := z.Data[c*h*w+i]
			for k := range sum {
				sum[k] += v * to[k]
			}
		}
		for k, v := range sum {
			img.Pix[4*i+k] = toByte((v + 1) / 2)
		}
		img.Pix[4*i+3] = 255
	}
	return img
}

// imageOf turns the first image of [B,H,W,3] in 0…1 into bytes.
func imageOf(y *tensor.Tensor) image.Image {
	h, w := y.Dim(1), y.Dim(2)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		for k, v := range y.Data[3*i : 3*i+3] {
			img.Pix[4*i+k] = toByte(v)
		}
		img.Pix[4*i+3] = 255
	}
	return img
}

// toByte cuts off what lies after the point, as upstream's conversion does. NaN is black.
func toByte(v float32) uint8 {
	switch {
	case v >= 1:
		return 255
	case v > 0:
		return uint8(v * 255)
	}
	return 0
}
