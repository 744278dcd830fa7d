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
	"math/bits"
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
	// frames is the number of the latent's frames that the next preview shows.
	frames int
	// measured reports that a preview was made.
	measured bool
}

// Clip is what a preview shows.
type Clip struct {
	// Frames are one image, or the frames of a video.
	Frames []*image.RGBA
	// Each is how long a frame is shown.
	Each time.Duration
	// Coarse reports that a pixel is a whole cell of the latent.
	Coarse bool
}

// Latents do not tell their video's rate. The families' videos have 16 to 25 frames a second, and most VAEs make four frames of one of the latent.
const (
	frameTime  = time.Second / 16
	latentTime = 4 * frameTime
	// clipValues bounds the numbers that a decoder makes for one preview: 128 MiB.
	clipValues = 32 << 20
)

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
// what a viewer can follow. Of a video the next preview shows as many frames as that time pays for.
func (m *Maker) Due(x *tensor.Tensor) bool {
	if m.gate.cost == 0 {
		m.gate.cost = m.guess(x)
	}
	m.frames = m.gate.frames(m.most(x))
	if m.decoder != nil {
		if !m.measured { // the first image tells what a frame costs
			m.frames = min(m.frames, 1)
		}
		if m.frames < framesOf(x) {
			m.frames = powerOfTwo(m.frames) // each number of frames takes a session of its own
		}
	}
	return m.frames > 0
}

// guess is what decoding a frame of x is taken to cost before one was decoded.
func (m *Maker) guess(x *tensor.Tensor) time.Duration {
	pixel := tinyCostProcessor
	if m.decoder.OnGPU() {
		pixel = tinyCostGPU
	}
	side := m.decoder.Downscale()
	images := 1
	if framesOf(x) > 1 {
		images = max(1, m.decoder.Frames(2)-m.decoder.Frames(1))
	}
	return rgbCost + time.Duration(images*x.Dim(-1)*side*x.Dim(-2)*side)*pixel
}

// most is the greatest number of frames of x that a preview may show.
func (m *Maker) most(x *tensor.Tensor) int {
	n := framesOf(x)
	if m.decoder == nil {
		return n
	}
	side := m.decoder.Downscale()
	for n > 1 && m.decoder.Frames(n)*x.Dim(-1)*side*x.Dim(-2)*side*3 > clipValues {
		n--
	}
	return n
}

// framesOf is the number of frames of a latent, 1 of an image.
func framesOf(x *tensor.Tensor) int {
	if len(x.Shape) != 5 {
		return 1
	}
	return max(x.Dim(2), 1)
}

// powerOfTwo rounds n down to a power of two.
func powerOfTwo(n int) int {
	if n < 1 {
		return 0
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// Make runs work, which makes a preview with Clip and sends it, and notes how long it takes.
func (m *Maker) Make(work func()) {
	start := m.gate.now()
	work()
	m.gate.spent(start, m.frames)
	m.measured = true
}

// Image returns an image of the first latent of x, [B,C,H,W] or [B,C,T,H,W] in the network's space, of a video that of its first frame.
func (m *Maker) Image(ctx context.Context, x *tensor.Tensor) (image.Image, error) {
	clip, err := m.clip(ctx, x, 1)
	if err != nil {
		return nil, err
	}
	return clip.Frames[0], nil
}

// Clip is Image for as many frames of a video as Due found room for: the first ones by a decoder, which makes each from those before, or
// frames of the whole video, evenly spaced, by the linear map.
func (m *Maker) Clip(ctx context.Context, x *tensor.Tensor) (Clip, error) {
	return m.clip(ctx, x, max(m.frames, 1))
}

func (m *Maker) clip(ctx context.Context, x *tensor.Tensor, n int) (Clip, error) {
	if len(x.Shape) < 4 || len(x.Shape) > 5 || x.Dim(0) < 1 || x.Dim(1) != m.format.Channels || x.Len() == 0 {
		return Clip{}, fmt.Errorf("making a preview: latents of shape %v, wanted %d channels", x.Shape, m.format.Channels)
	}
	all := framesOf(x)
	n = min(n, all)
	if m.decoder == nil {
		c := Clip{Each: latentTime * time.Duration(all) / time.Duration(n), Coarse: true}
		for i := range n {
			c.Frames = append(c.Frames, m.colours(part(x, i*all/n, i*all/n+1)))
		}
		return c, nil
	}
	y, err := m.decoder.Decode(ctx, part(x, 0, n))
	if err != nil {
		return Clip{}, fmt.Errorf("decoding a preview: %w", err)
	}
	c := Clip{Each: frameTime}
	for i := range y.Dim(0) {
		c.Frames = append(c.Frames, imageOf(y.Slice(i, i+1)))
	}
	return c, nil
}

// part returns frames of the first latent of x: [1,C,H,W] of an image or of one frame, else [1,C,T,H,W].
func part(x *tensor.Tensor, from, to int) *tensor.Tensor {
	c, h, w := x.Dim(1), x.Dim(-2), x.Dim(-1)
	row, frames, n := x.Index(0), framesOf(x), to-from
	out := tensor.New(1, c, n, h, w)
	for k := range c {
		copy(out.Data[k*n*h*w:(k+1)*n*h*w], row.Data[(k*frames+from)*h*w:])
	}
	if n == 1 {
		out.Shape = []int{1, c, h, w}
	}
	return out
}

// colours maps the channels of each cell of a latent [1,C,H,W] to a colour.
func (m *Maker) colours(z *tensor.Tensor) *image.RGBA {
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
func imageOf(y *tensor.Tensor) *image.RGBA {
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
