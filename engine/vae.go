package engine

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
)

// VAE is what VAE links carry: it turns latents into pictures and back.
type VAE struct {
	rt   *Runtime
	file *modelFile
	cfg  models.VAEConfig
	// pixels says that there is no network: latents are pictures in -1…1.
	pixels bool
	// tiny, when set, is the TAESD that takes the network's place.
	tiny *tinyVAE
}

// PixelSpace returns the VAE of models that work on pictures themselves: its latents are pictures in -1…1.
func (rt *Runtime) PixelSpace() *VAE {
	return &VAE{rt: rt, cfg: models.VAEConfig{LatentChannels: 3, Downscale: 1, HasEncoder: true}, pixels: true}
}

// LoadVAE opens the VAE in the file at path.
func (rt *Runtime) LoadVAE(path string) (*VAE, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, err
	}
	if v := rt.vaeOf(f); v != nil {
		return v, nil
	}
	if f.found.Tiny != nil {
		return nil, fmt.Errorf("loading %s: the file holds half a TAESD; it is chosen by its name, with both files in models/vae_approx", path)
	}
	return nil, fmt.Errorf("loading %s: the file holds no VAE", path)
}

// vaeOf returns the VAE in a file, nil when it holds none.
func (rt *Runtime) vaeOf(f *modelFile) *VAE {
	if f.found.VAE == nil {
		return rt.tinyOf(f)
	}
	return &VAE{rt: rt, file: f, cfg: *f.found.VAE}
}

// Downscale returns the number of picture pixels per latent pixel along one side.
func (v *VAE) Downscale() int { return v.cfg.Downscale }

// LatentChannels returns the width of a latent pixel.
func (v *VAE) LatentChannels() int { return v.cfg.LatentChannels }

// Decode turns latents [B,C,H,W] into pictures [B,8H,8W,3] in 0…1, those of films [B,C,T,H,W] into all their frames. Where memory does not allow a whole picture at once it
// works in tiles, as upstream does, and says so in the log.
func (v *VAE) Decode(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.video() != nil {
		return v.decodeFilm(ctx, z)
	}
	if err := v.checkLatent(z); err != nil {
		return nil, err
	}
	if !v.rt.fits(v.decodeBytes(1, z.Dim(2), z.Dim(3))) {
		v.rt.cfg.Log.Warn("decoding in tiles: there is not enough memory for the whole picture", "width", z.Dim(3)*v.cfg.Downscale, "height", z.Dim(2)*v.cfg.Downscale)
		return v.DecodeTiled(ctx, z, 64, 64, 16, nil)
	}
	if err := v.rt.checkHost("decoding the latent", v.pictureBytes(z.Dim(0), z.Dim(2), z.Dim(3))); err != nil {
		return nil, err
	}
	var out *tensor.Tensor
	for b := range z.Dim(0) {
		y, err := v.decode(ctx, z.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = tensor.New(z.Dim(0), y.Dim(2), y.Dim(3), y.Dim(1))
		}
		toPicture(out.Index(b), y.Index(0))
	}
	return out, nil
}

// DecodeTiled is Decode in tiles of tileW x tileH latent pixels that overlap: the mean of three passes with tiles of
// different proportions (upstream: sd.py VAE.decode_tiled_). progress, if given, is told tiles done and in all.
func (v *VAE) DecodeTiled(ctx context.Context, z *tensor.Tensor, tileW, tileH, overlap int, progress func(done, all int)) (*tensor.Tensor, error) {
	if v.video() != nil { // small enough to go without tiles
		return v.decodeFilm(ctx, z)
	}
	if err := v.checkLatent(z); err != nil {
		return nil, err
	}
	if err := v.rt.checkHost("decoding the latent", 2*v.pictureBytes(z.Dim(0), z.Dim(2), z.Dim(3))); err != nil {
		return nil, err
	}
	base := tiling{Overlap: overlap, Scale: float64(v.cfg.Downscale), Channels: 3}
	sum, err := threePasses(ctx, z, base, [3][2]int{{tileW / 2, tileH * 2}, {tileW * 2, tileH / 2}, {tileW, tileH}}, v.decode, progress)
	if err != nil {
		return nil, err
	}
	out := tensor.New(z.Dim(0), sum.Dim(2), sum.Dim(3), sum.Dim(1))
	for i := range sum.Data {
		sum.Data[i] /= 3
	}
	for b := range z.Dim(0) {
		toPicture(out.Index(b), sum.Index(b))
	}
	return out, nil
}

// Encode turns pictures [B,H,W,3 or 4] in 0…1 into latents [B,C,H/8,W/8]: the mean of the posterior. Sizes that the
// latent grid does not divide are cut at the centre, as upstream does.
func (v *VAE) Encode(ctx context.Context, pixels *tensor.Tensor) (*tensor.Tensor, error) {
	x, err := v.prepare(pixels)
	if err != nil {
		return nil, err
	}
	if v.video() != nil {
		return v.encodeFilm(ctx, x)
	}
	h, w := x.Dim(2), x.Dim(3)
	if !v.rt.fits(v.encodeBytes(h, w)) {
		v.rt.cfg.Log.Warn("encoding in tiles: there is not enough memory for the whole picture", "width", w, "height", h)
		return v.encodeTiled(ctx, x, 512, 512, 64, nil)
	}
	out := tensor.New(x.Dim(0), v.cfg.LatentChannels, h/v.cfg.Downscale, w/v.cfg.Downscale)
	for b := range x.Dim(0) {
		z, err := v.encode(ctx, x.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		copy(out.Index(b).Data, z.Data)
	}
	return out, nil
}

// EncodeTiled is Encode in tiles of tileW x tileH pixels that overlap (upstream: sd.py VAE.encode_tiled_).
func (v *VAE) EncodeTiled(ctx context.Context, pixels *tensor.Tensor, tileW, tileH, overlap int, progress func(done, all int)) (*tensor.Tensor, error) {
	x, err := v.prepare(pixels)
	if err != nil {
		return nil, err
	}
	if v.video() != nil {
		return v.encodeFilm(ctx, x)
	}
	return v.encodeTiled(ctx, x, tileW, tileH, overlap, progress)
}

func (v *VAE) encodeTiled(ctx context.Context, x *tensor.Tensor, tileW, tileH, overlap int, progress func(done, all int)) (*tensor.Tensor, error) {
	base := tiling{Overlap: overlap, Scale: 1 / float64(v.cfg.Downscale), Channels: v.cfg.LatentChannels}
	sum, err := threePasses(ctx, x, base, [3][2]int{{tileW, tileH}, {tileW * 2, tileH / 2}, {tileW / 2, tileH * 2}}, v.encode, progress)
	if err != nil {
		return nil, err
	}
	for i := range sum.Data {
		sum.Data[i] /= 3
	}
	return sum, nil
}

// threePasses adds up tiled passes with the given tile sizes (width, height).
func threePasses(ctx context.Context, x *tensor.Tensor, base tiling, sizes [3][2]int, f mapTile, progress func(done, all int)) (*tensor.Tensor, error) {
	passes := [3]tiling{base, base, base}
	done, all := 0, 0
	for i, s := range sizes {
		passes[i].TileW, passes[i].TileH = s[0], s[1]
		all += x.Dim(0) * passes[i].steps(x.Dim(2), x.Dim(3))
	}
	step := func() {
		if done++; progress != nil {
			progress(done, all)
		}
	}
	var sum *tensor.Tensor
	for _, p := range passes {
		y, err := p.run(ctx, x, f, step)
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum = y
			continue
		}
		for i, d := range y.Data {
			sum.Data[i] += d
		}
	}
	return sum, nil
}

func (v *VAE) checkLatent(z *tensor.Tensor) error {
	if len(z.Shape) != 4 || z.Dim(1) != v.cfg.LatentChannels {
		return fmt.Errorf("decoding a latent of shape %v: this VAE takes %d channels", z.Shape, v.cfg.LatentChannels)
	}
	return nil
}

// prepare cuts pictures to the latent grid, drops further channels and brings them to [B,3,H,W] in -1…1.
func (v *VAE) prepare(p *tensor.Tensor) (*tensor.Tensor, error) {
	if len(p.Shape) != 4 || p.Dim(3) < 3 {
		return nil, fmt.Errorf("encoding a picture of shape %v: want [B,H,W,3]", p.Shape)
	}
	if !v.cfg.HasEncoder {
		return nil, fmt.Errorf("encoding a picture: %s holds only the VAE's decoder", v.file.path)
	}
	d := v.cfg.Downscale
	h, w := p.Dim(1)/d*d, p.Dim(2)/d*d
	if h == 0 || w == 0 {
		return nil, fmt.Errorf("encoding a picture of %dx%d: it is smaller than one latent pixel (%d)", p.Dim(2), p.Dim(1), d)
	}
	top, left, c := p.Dim(1)%d/2, p.Dim(2)%d/2, p.Dim(3)
	out := tensor.New(p.Dim(0), 3, h, w)
	for b := range p.Dim(0) {
		src, dst := p.Index(b), out.Index(b)
		for y := range h {
			for x := range w {
				at := ((top+y)*p.Dim(2) + left + x) * c
				for k := range 3 {
					dst.Data[(k*h+y)*w+x] = src.Data[at+k]*2 - 1
				}
			}
		}
	}
	return out, nil
}

// toPicture brings a decoder's result [3,H,W] in -1…1 to [H,W,3] in 0…1.
func toPicture(dst, src *tensor.Tensor) {
	c, n := src.Dim(0), src.Dim(1)*src.Dim(2)
	for k := range c {
		for i, v := range src.Data[k*n : (k+1)*n] {
			dst.Data[i*c+k] = min(max((v+1)/2, 0), 1)
		}
	}
}

// decode runs the decoder on [B,C,H,W].
func (v *VAE) decode(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.pixels {
		return z, nil
	}
	if v.tiny != nil {
		return v.tiny.decode(ctx, v, z)
	}
	return v.run(ctx, v.file, "vae decoder", "z", "out", z, func(t nn.Target) (*onnx.Graph, error) {
		return models.VAEDecoderGraph(v.file.found.VAEScope(), v.cfg, t)
	})
}

// encode runs the encoder on [B,3,H,W] and returns the mean of the posterior.
func (v *VAE) encode(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if v.pixels {
		return x, nil
	}
	if v.tiny != nil {
		return v.tiny.encode(ctx, v, x)
	}
	m, err := v.run(ctx, v.file, "vae encoder", "pixels", "moments", x, func(t nn.Target) (*onnx.Graph, error) {
		return models.VAEEncoderGraph(v.file.found.VAEScope(), v.cfg, t)
	})
	if err != nil {
		return nil, err
	}
	out := tensor.New(m.Dim(0), v.cfg.LatentChannels, m.Dim(2), m.Dim(3))
	for b := range m.Dim(0) {
		copy(out.Index(b).Data, m.Index(b).Data)
	}
	return out, nil
}

func (v *VAE) run(ctx context.Context, file *modelFile, kind, in, out string, x *tensor.Tensor, build func(nn.Target) (*onnx.Graph, error)) (*tensor.Tensor, error) {
	device := v.rt.cfg.Device
	if v.rt.cfg.VAEOnCPU {
		device = ort.Device{}
	}
	p, err := v.rt.placeOf(device, or(v.rt.cfg.VAE, dtype.F32))
	if err != nil {
		return nil, err
	}
	var res map[string]ort.Value
	err = v.rt.with(ctx, file, kind, p, func() (*onnx.Graph, error) { return build(p.target) }, func(n *network) error {
		var err error
		res, err = n.run(ctx, map[string]ort.Value{in: ort.Floats(x.Data, x.Shape...)}, out)
		return err
	})
	if err != nil {
		return nil, err
	}
	return asTensor(res[out])
}
