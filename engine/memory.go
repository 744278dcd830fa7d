package engine

import (
	"fmt"
	"math"

	"comfygo/engine/ort"
	"comfygo/engine/tensor"
)

// MemoryError says that a run needs more memory than there is.
type MemoryError struct {
	What            string
	Needed, Present int64
}

// Error says what was to be done, what it needs and what there is.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s needs about %.1f GiB of memory, %.1f GiB are free: use a smaller size or batch", e.What, gib(e.Needed), gib(e.Present))
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }

// product multiplies sizes, stopping at the largest number there is instead of wrapping around.
func product(ns ...int) int64 {
	p := int64(1)
	for _, n := range ns {
		if n > 0 && p > math.MaxInt64/int64(n) {
			return math.MaxInt64
		}
		p *= int64(n)
	}
	return p
}

// available is the memory that a run may take: what is free, and nil checks always fit.
func (rt *Runtime) available() int64 {
	if rt.cfg.Available == nil {
		return math.MaxInt64
	}
	return rt.cfg.Available()
}

// fits reports that a run of so many bytes leaves a tenth of the memory to others.
func (rt *Runtime) fits(bytes int64) bool { return bytes < rt.available()/10*9 }

// checkHost fails when a run needs more memory than there is, after letting go of networks that are not running.
func (rt *Runtime) checkHost(what string, bytes int64) error {
	if rt.fits(bytes) {
		return nil
	}
	rt.sessions.EvictAll()
	if rt.fits(bytes) {
		return nil
	}
	return &MemoryError{What: what, Needed: bytes, Present: rt.available()}
}

// runBytes estimates the activations of one U-Net run on n latents of h x w. Measured for Stable Diffusion 1.5 on the
// CPU with two latents: 216 MiB at 32x32, 534 at 64x64, 1056 at 96x96, that is 40 float32 for each channel of the
// first level and each position.
func (m *Model) runBytes(n, h, w int) int64 {
	return product(n, h, w, m.cfg.ModelChannels, 4, 40)
}

// MaxRows returns how many latents of h x w one run can take with the memory there is, at least 1.
func (m *Model) MaxRows(h, w int) int {
	one := m.runBytes(1, h, w)
	return int(max(1, min(m.rt.available()/2/max(one, 1), 1<<20)))
}

// pictureBytes is the size of n decoded pictures of h x w latent pixels, in float32.
func (v *VAE) pictureBytes(n, h, w int) int64 {
	return product(n, h, w, v.cfg.Downscale, v.cfg.Downscale, 3, 4)
}

// decodeBytes estimates the activations of decoding n latents of h x w: upstream's figure (sd.py VAE.memory_used_decode).
func (v *VAE) decodeBytes(n, h, w int) int64 { return product(n, 2178, h, w, 64, 4) }

// encodeBytes estimates the activations of encoding one picture of h x w pixels (sd.py VAE.memory_used_encode).
func (v *VAE) encodeBytes(h, w int) int64 { return product(1767, h, w, 4) }

// asTensor takes a float32 result of a session.
func asTensor(v ort.Value) (*tensor.Tensor, error) {
	data, err := v.Float32s()
	if err != nil {
		return nil, err
	}
	return tensor.From(data, v.Shape...)
}
