package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// VAE is the value of VAE links: it turns latents into images and back.
type VAE struct {
	rt    *Runtime
	files []*file
	// net is nil for a VAE without a network: latents are images in -1…1.
	net  family.Autoencoder
	info family.VAEInfo
	// place is the device of the network.
	place Place
	// excess corrects estimates for videos.
	excess *excess
}

// PixelSpace returns the VAE of models that work on images themselves: its latents are images in -1…1.
func (rt *Runtime) PixelSpace() *VAE {
	return &VAE{rt: rt, info: family.VAEInfo{Channels: 3, Downscale: 1, CanEncode: true, CanDecode: true}}
}

// LoadVAE opens the VAE in the file at path.
func (rt *Runtime) LoadVAE(path string) (*VAE, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.VAE()
	if err != nil {
		return nil, err
	}
	if net == nil {
		return nil, fmt.Errorf("loading the VAE: %w", f.Parts.NoVAE())
	}
	v := rt.newVAE(net, f)
	if v.info.Approximate && (!v.info.CanEncode || !v.info.CanDecode) {
		return nil, fmt.Errorf("loading %s: the file holds half of an approximate VAE; it is chosen by its name, with both files in models/vae_approx", path)
	}
	return v, nil
}

func (rt *Runtime) newVAE(net family.Autoencoder, files ...*file) *VAE {
	return &VAE{rt: rt, files: files, net: net, info: net.Info(), excess: &excess{}}
}

// replaced returns the VAE with tensors of another file in place of its own of the same names.
func (v *VAE) replaced(own weights.Source, f *file) (*VAE, error) {
	if v.net == nil || len(v.net.Weights()) != 1 {
		return nil, fmt.Errorf("encoding images by the encoder of %s: the VAE has no encoder that it could take the place of", f.Path)
	}
	net, err := family.Open(v.rt.cfg.Families, family.Replaced(v.net.Weights()[0], own)).VAE()
	if err == nil && net == nil {
		err = errors.New("with it the file holds none")
	}
	if err != nil {
		return nil, fmt.Errorf("encoding images by the encoder of %s: it does not fit the VAE: %w", f.Path, err)
	}
	c := *v
	c.files, c.net, c.info = append(slices.Clone(v.files), f), net, net.Info()
	return &c, nil
}

// vaeOf returns the VAE in a checkpoint, or nil if it holds none.
func (rt *Runtime) vaeOf(f *file) (*VAE, error) {
	net, err := f.Parts.VAE()
	if net == nil || err != nil {
		return nil, err
	}
	v := rt.newVAE(net, f)
	if v.info.Approximate && (!v.info.CanEncode || !v.info.CanDecode) {
		return nil, nil
	}
	return v, nil
}

// ApproximateVAEs lists the names of the approximate VAEs whose halves are stored in two files, NAME_encoder and
// NAME_decoder.
func ApproximateVAEs() []string {
	var out []string
	for _, f := range approximate(family.Default) {
		out = append(out, f.Names()...)
	}
	return out
}

func approximate(reg *family.Registry) []family.Approximate {
	var out []family.Approximate
	for _, f := range reg.VAEs() {
		if a, ok := f.(family.Approximate); ok {
			out = append(out, a)
		}
	}
	return out
}

// LoadApproximateVAE opens an approximate VAE from the files of its two halves. name is one of ApproximateVAEs.
func (rt *Runtime) LoadApproximateVAE(name, encoder, decoder string) (*VAE, error) {
	e, err := rt.files.Get(encoder)
	if err != nil {
		return nil, err
	}
	d, err := rt.files.Get(decoder)
	if err != nil {
		return nil, err
	}
	for _, f := range approximate(rt.cfg.Families) {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		net, err := f.Join(name, e.Parts.Source(), d.Parts.Source())
		if err != nil {
			return nil, err
		}
		return rt.newVAE(net, e, d), nil
	}
	return nil, fmt.Errorf("loading the VAE %s: there is no approximate VAE of that name", name)
}

// LoadPreviewDecoder opens the decoder of an approximate VAE. The VAE that it returns only decodes, and reads latents as
// the diffusion model does, of the given number of channels.
func (rt *Runtime) LoadPreviewDecoder(path string, channels int) (*VAE, error) {
	d, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := d.Parts.VAE() // those of video models are stored in one file, whole
	if err != nil || net == nil || !net.Info().Video {
		net = nil
	}
	for _, f := range approximate(rt.cfg.Families) {
		if net != nil {
			break
		}
		if net, err = f.Preview(d.Parts.Source(), channels); err != nil {
			return nil, err
		}
	}
	if net == nil {
		return nil, fmt.Errorf("loading %s: the file holds no decoder of an approximate VAE", path)
	}
	v := rt.newVAE(net, d)
	if v.info.Channels != channels {
		return nil, fmt.Errorf("loading %s: it decodes latents of %d channels, wanted %d", path, v.info.Channels, channels)
	}
	return v, nil
}

// OnGPU reports whether the networks of models run on a GPU.
func (rt *Runtime) OnGPU() bool { return rt.cfg.Device.Kind == ort.CUDA }

// OnGPU reports whether the VAE runs on a GPU.
func (v *VAE) OnGPU() bool { return v.runner().device.Kind == ort.CUDA }

// Frames returns the number of decoded frames of a latent of n frames, n for VAEs of images.
func (v *VAE) Frames(n int) int {
	if v.info.Frames == nil {
		return n
	}
	return v.info.Frames(n)
}

func (v *VAE) runner() runner { return v.place.on(v.rt.runner(family.RoleVAE, false, v.files...)) }

// checkHost fails when a result needs more of the host's memory than there is.
func (rt *Runtime) checkHost(what string, bytes int64) error {
	return rt.sessions.Check(ort.Device{}, what, bytes)
}

// imageBytes is the size of n decoded images or frames of h x w latent cells, in float32.
func (v *VAE) imageBytes(n, h, w int) int64 {
	return family.Product(n, h, w, v.upscale(), v.upscale(), v.info.PixelChannels(), 4)
}

// upscale is the number of pixels per latent cell along one side of decoded images.
func (v *VAE) upscale() int { return cmp.Or(v.info.Upscale, v.info.Downscale) }

// Downscale returns the number of image pixels per latent pixel along one side.
func (v *VAE) Downscale() int { return v.info.Downscale }

// Upscale returns the number of pixels of decoded images per latent cell along one side.
func (v *VAE) Upscale() int { return v.upscale() }

// Pace returns the number of frames per latent frame after the first one, 0 for VAEs of images.
func (v *VAE) Pace() int { return v.info.Pace }

// LatentChannels returns the width of a latent pixel.
func (v *VAE) LatentChannels() int { return v.info.Channels }

// Decode turns latents [B,C,H,W] into images [B,8H,8W,3] in 0…1, those of videos [B,C,T,H,W] into all their frames. Where memory does not allow a whole image at once it
// works in tiles, as upstream does, and says so in the log.
func (v *VAE) Decode(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if err := v.ofImages(); err != nil {
		return nil, fmt.Errorf("decoding the latent: %w", err)
	}
	if v.info.Video {
		return v.decodeVideo(ctx, z)
	}
	if err := v.checkLatent(z); err != nil {
		return nil, err
	}
	if seq, ok := v.net.(family.Sequential); ok && z.Dim(0) > 1 {
		return v.decodeSequence(ctx, seq, z)
	}
	if !v.fits(func() int64 { return v.net.DecodeMemory(z.Slice(0, 1).Shape) }) {
		v.rt.cfg.Log.Warn("decoding in tiles: there is not enough memory for the whole image", "width", z.Dim(3)*v.upscale(), "height", z.Dim(2)*v.upscale())
		return v.DecodeTiled(ctx, z, Tiles{Width: 64, Height: 64, Overlap: 16})
	}
	if err := v.rt.checkHost("decoding the latent", v.imageBytes(z.Dim(0), z.Dim(2), z.Dim(3))); err != nil {
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
		v.toImage(out.Index(b), y.Index(0))
	}
	return out, nil
}

// DecodeTiled is Decode in tiles that overlap. Images are the mean of three passes with tiles of different proportions (upstream:
// sd.py VAE.decode_tiled_), videos take one pass. The progress is reported to the context; see family.WithProgress.
func (v *VAE) DecodeTiled(ctx context.Context, z *tensor.Tensor, t Tiles) (*tensor.Tensor, error) {
	if err := v.ofImages(); err != nil {
		return nil, fmt.Errorf("decoding the latent: %w", err)
	}
	if v.info.Untiled {
		return v.Decode(ctx, z)
	}
	if v.info.Video {
		return v.decodeVideoTiled(ctx, z, t)
	}
	if err := v.checkLatent(z); err != nil {
		return nil, err
	}
	if err := v.rt.checkHost("decoding the latent", 2*v.imageBytes(z.Dim(0), z.Dim(2), z.Dim(3))); err != nil {
		return nil, err
	}
	base := tiling{Overlap: t.Overlap, Scale: float64(v.upscale()), Channels: v.info.PixelChannels()}
	sum, err := threePasses(ctx, z, base, [3][2]int{{t.Width / 2, t.Height * 2}, {t.Width * 2, t.Height / 2}, {t.Width, t.Height}}, v.decode)
	if err != nil {
		return nil, err
	}
	out := tensor.New(z.Dim(0), sum.Dim(2), sum.Dim(3), sum.Dim(1))
	for i := range sum.Data {
		sum.Data[i] /= 3
	}
	for b := range z.Dim(0) {
		v.toImage(out.Index(b), sum.Index(b))
	}
	return out, nil
}

// Encode turns images [B,H,W,3 or 4] in 0…1 into latents [B,C,H/8,W/8]: the mean of the posterior. Sizes that the
// latent grid does not divide are cut at the centre, as upstream does. A VAE of videos also encodes several of them, [B,T,H,W,3].
func (v *VAE) Encode(ctx context.Context, pixels *tensor.Tensor) (*tensor.Tensor, error) {
	if len(pixels.Shape) == 5 && v.info.Video {
		return eachRow(pixels, func(video *tensor.Tensor) (*tensor.Tensor, error) { return v.Encode(ctx, video.Index(0)) })
	}
	x, err := v.prepare(pixels)
	if err != nil {
		return nil, err
	}
	if v.info.Video {
		return v.eachVideo(x, func(x *tensor.Tensor) (*tensor.Tensor, error) { return v.encodeVideo(ctx, x) })
	}
	h, w := x.Dim(2), x.Dim(3)
	if !v.fits(func() int64 { return v.net.EncodeMemory(x.Slice(0, 1).Shape) }) {
		v.rt.cfg.Log.Warn("encoding in tiles: there is not enough memory for the whole image", "width", w, "height", h)
		return v.encodeTiled(ctx, x, Tiles{Width: 512, Height: 512, Overlap: 64})
	}
	out := tensor.New(x.Dim(0), v.info.Channels, h/v.info.Downscale, w/v.info.Downscale)
	for b := range x.Dim(0) {
		z, err := v.encode(ctx, x.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		copy(out.Index(b).Data, z.Data)
	}
	return out, nil
}

// EncodeTiled is Encode in tiles that overlap; see DecodeTiled (upstream: sd.py VAE.encode_tiled_).
func (v *VAE) EncodeTiled(ctx context.Context, pixels *tensor.Tensor, t Tiles) (*tensor.Tensor, error) {
	if len(pixels.Shape) == 5 && v.info.Video {
		return eachRow(pixels, func(video *tensor.Tensor) (*tensor.Tensor, error) { return v.EncodeTiled(ctx, video.Index(0), t) })
	}
	x, err := v.prepare(pixels)
	switch {
	case err != nil:
		return nil, err
	case v.info.Video && v.info.Untiled:
		return v.encodeVideo(ctx, x)
	case v.info.Video:
		return v.eachVideo(x, func(x *tensor.Tensor) (*tensor.Tensor, error) { return v.encodeVideoTiled(ctx, x, t) })
	}
	return v.encodeTiled(ctx, x, t)
}

// eachVideo encodes images: all of them as the frames of one video, or each as a video of its own.
func (v *VAE) eachVideo(x *tensor.Tensor, encode func(x *tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	if !v.info.Apart || x.Dim(0) == 1 {
		return encode(x)
	}
	return eachRow(x, encode)
}

// eachRow encodes the rows of x one by one, each as one row of the result.
func eachRow(x *tensor.Tensor, encode func(x *tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	if x.Len() == 0 {
		return nil, fmt.Errorf("encoding images of shape %v: there are no pixels", x.Shape)
	}
	var out *tensor.Tensor
	for b := range x.Dim(0) {
		z, err := encode(x.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = tensor.New(append([]int{x.Dim(0)}, z.Shape[1:]...)...)
		}
		copy(out.Index(b).Data, z.Data)
	}
	return out, nil
}

func (v *VAE) encodeTiled(ctx context.Context, x *tensor.Tensor, t Tiles) (*tensor.Tensor, error) {
	base := tiling{Overlap: t.Overlap, Scale: 1 / float64(v.info.Downscale), Channels: v.info.Channels}
	sum, err := threePasses(ctx, x, base, [3][2]int{{t.Width, t.Height}, {t.Width * 2, t.Height / 2}, {t.Width / 2, t.Height * 2}}, v.encode)
	if err != nil {
		return nil, err
	}
	for i := range sum.Data {
		sum.Data[i] /= 3
	}
	return sum, nil
}

// threePasses adds up tiled passes with the given tile sizes (width, height).
func threePasses(ctx context.Context, x *tensor.Tensor, base tiling, sizes [3][2]int, f mapTile) (*tensor.Tensor, error) {
	passes := [3]tiling{base, base, base}
	done, all := 0, 0
	for i, s := range sizes {
		passes[i].TileW, passes[i].TileH = s[0], s[1]
		all += x.Dim(0) * passes[i].steps(x.Dim(2), x.Dim(3))
	}
	step := func() {
		done++
		family.Advance(ctx, done, all)
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
	if len(z.Shape) != 4 || z.Dim(1) != v.info.Channels {
		return fmt.Errorf("decoding a latent of shape %v: this VAE takes %d channels", z.Shape, v.info.Channels)
	}
	return nil
}

// prepare cuts images to the latent grid, drops further channels, adds an opaque alpha channel if the VAE reads one, and converts
// them to [B,C,H,W] in -1…1.
func (v *VAE) prepare(p *tensor.Tensor) (*tensor.Tensor, error) {
	if err := v.ofImages(); err != nil {
		return nil, fmt.Errorf("encoding images: %w", err)
	}
	if len(p.Shape) != 4 || p.Dim(3) < 3 {
		return nil, fmt.Errorf("encoding an image of shape %v: want [B,H,W,3]", p.Shape)
	}
	if !v.info.CanEncode {
		return nil, fmt.Errorf("encoding an image: %s holds only the VAE's decoder", v.files[0].Path)
	}
	d := v.info.Downscale
	h, w := p.Dim(1)/d*d, p.Dim(2)/d*d
	if h == 0 || w == 0 {
		return nil, fmt.Errorf("encoding an image of %dx%d: it is smaller than one latent pixel (%d)", p.Dim(2), p.Dim(1), d)
	}
	top, left, c := p.Dim(1)%d/2, p.Dim(2)%d/2, p.Dim(3)
	if v.info.Uncropped {
		h, w, top, left = p.Dim(1), p.Dim(2), 0, 0
	}
	channels := v.info.PixelChannels()
	out := tensor.New(p.Dim(0), channels, h, w)
	for b := range p.Dim(0) {
		src, dst := p.Index(b), out.Index(b)
		for y := range h {
			for x := range w {
				at := ((top+y)*p.Dim(2) + left + x) * c
				for k := range channels {
					value := float32(1)
					if k < c {
						value = src.Data[at+k]
					}
					dst.Data[(k*h+y)*w+x] = value*2 - 1
				}
			}
		}
	}
	return out, nil
}

// output is the map of decoded values to 0…1.
func (v *VAE) output() func(f float32) float32 {
	if v.info.Output != nil {
		return v.info.Output
	}
	return func(f float32) float32 { return min(max((f+1)/2, 0), 1) }
}

// toImage converts a decoder's result [C,H,W] to [H,W,C] in 0…1.
func (v *VAE) toImage(dst, src *tensor.Tensor) {
	output := v.output()
	c, n := src.Dim(0), src.Dim(1)*src.Dim(2)
	for k := range c {
		for i, f := range src.Data[k*n : (k+1)*n] {
			dst.Data[i*c+k] = output(f)
		}
	}
}

// fits reports whether a run of the network fits into memory.
func (v *VAE) fits(bytes func() int64) bool { return v.net == nil || v.runner().Fits(bytes()) }

// decode runs the decoder on [1,C,H,W].
func (v *VAE) decode(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.net == nil {
		return z, nil
	}
	run := v.runner()
	defer v.rt.sessions.Reserve(run.device, v.net.DecodeMemory(z.Shape))()
	return v.net.Decode(ctx, run, z)
}

// encode runs the encoder on [1,3,H,W], or on the frames of one video.
func (v *VAE) encode(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if v.net == nil {
		return x, nil
	}
	run := v.runner()
	defer v.rt.sessions.Reserve(run.device, v.net.EncodeMemory(x.Shape))()
	return v.net.Encode(ctx, run, x)
}

// decodeSequence is Decode for a VAE that decodes frames together. Where memory does not allow all of them at once it
// continues with fewer, as upstream does, and says so in the log.
func (v *VAE) decodeSequence(ctx context.Context, net family.Sequential, z *tensor.Tensor) (*tensor.Tensor, error) {
	n := z.Dim(0)
	if err := v.rt.checkHost("decoding the video", v.imageBytes(n, z.Dim(2), z.Dim(3))); err != nil {
		return nil, err
	}
	run, d := v.runner(), v.info.Downscale
	for n > 1 && !run.Fits(net.SequenceMemory(z.Slice(0, n).Shape)) {
		n = (n + 1) / 2
	}
	if n < z.Dim(0) {
		v.rt.cfg.Log.Warn("decoding the video in parts: there is not enough memory for all frames", "frames", z.Dim(0), "together", n)
	}
	out := tensor.New(z.Dim(0), z.Dim(2)*d, z.Dim(3)*d, 3)
	for from := 0; from < z.Dim(0); from += n {
		part := z.Slice(from, min(from+n, z.Dim(0)))
		release := v.rt.sessions.Reserve(run.device, net.SequenceMemory(part.Shape))
		err := net.DecodeSequence(ctx, run, part, func(i int, y *tensor.Tensor) { v.toImage(out.Index(from+i), y.Index(0)) })
		release()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// videoLatent is z as a latent [B,C,T,h,w]. One without a time axis is taken for one frame.
func (v *VAE) videoLatent(z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) == 4 {
		z = &tensor.Tensor{Shape: []int{z.Dim(0), z.Dim(1), 1, z.Dim(2), z.Dim(3)}, Data: z.Data}
	}
	if len(z.Shape) != 5 || z.Dim(1) != v.info.Channels || z.Len() == 0 {
		return nil, fmt.Errorf("decoding a latent of shape %v: this VAE takes videos of %d channels", z.Shape, v.info.Channels)
	}
	if v.Frames(z.Dim(2)) == 0 {
		return nil, fmt.Errorf("decoding a latent of %d frames: they are too few for a video", z.Dim(2))
	}
	return z, nil
}

// decodeVideo is Decode for latents [B,C,T,H,W]; the frames of all videos come one after another.
func (v *VAE) decodeVideo(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	z, err := v.videoLatent(z)
	if err != nil {
		return nil, err
	}
	if !v.info.Untiled && !v.fits(func() int64 { return v.excess.of(v.net.DecodeMemory(z.Slice(0, 1).Shape)) }) {
		side := 256 / v.upscale()
		v.rt.cfg.Log.Warn("decoding the video in tiles: there is not enough memory for whole frames", "width", z.Dim(4)*v.upscale(), "height", z.Dim(3)*v.upscale())
		return v.decodeVideoTiled(ctx, z, Tiles{Width: side, Height: side, Overlap: side / 4})
	}
	frames, h, w := v.Frames(z.Dim(2)), z.Dim(3)*v.info.Downscale, z.Dim(4)*v.info.Downscale
	if err := v.rt.checkHost("decoding the video", v.imageBytes(z.Dim(0)*frames, z.Dim(3), z.Dim(4))); err != nil {
		return nil, err
	}
	out := tensor.New(z.Dim(0)*frames, h, w, v.info.PixelChannels())
	for b := range z.Dim(0) {
		if s, ok := v.net.(family.Streamed); ok {
			if err := v.decodeStream(family.PartOf(ctx, b, z.Dim(0)), s, z.Slice(b, b+1), out.Slice(b*frames, (b+1)*frames)); err != nil {
				return nil, err
			}
			continue
		}
		y, err := v.decode(ctx, z.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		if y.Dim(0) != frames || y.Dim(1) != v.info.PixelChannels() || y.Dim(2) != h || y.Dim(3) != w {
			return nil, fmt.Errorf("decoding a latent of shape %v: the video is %v, wanted %d frames of %dx%d", z.Shape, y.Shape, frames, w, h)
		}
		for i := range frames {
			v.toImage(out.Index(b*frames+i), y.Index(i))
		}
	}
	return out, nil
}

// decodeStream decodes a latent of one video [1,C,T,h,w] in chunks to out [T',H,W,C].
func (v *VAE) decodeStream(ctx context.Context, net family.Streamed, z, out *tensor.Tensor) (err error) {
	run, estimate := v.runner(), net.DecodeMemory(z.Shape)
	defer v.rt.sessions.Reserve(run.device, estimate)()
	g := v.gauge(run.device, estimate)
	defer func() { g.end(err) }()
	done := 0
	err = net.DecodeStream(ctx, run, z, func(frames *tensor.Tensor) error {
		if done+frames.Dim(0) > out.Dim(0) || frames.Dim(1) != out.Dim(3) || frames.Dim(2) != out.Dim(1) || frames.Dim(3) != out.Dim(2) {
			return fmt.Errorf("decoding a latent of shape %v: frames of shape %v do not fit a video of shape %v", z.Shape, frames.Shape, out.Shape)
		}
		for i := range frames.Dim(0) {
			v.toImage(out.Index(done+i), frames.Index(i))
		}
		done += frames.Dim(0)
		g.emitted(frames.Dim(0), 4*int64(frames.Len()))
		return nil
	})
	if err == nil && done != out.Dim(0) {
		err = fmt.Errorf("decoding a latent of shape %v: it has %d frames, wanted %d", z.Shape, done, out.Dim(0))
	}
	return err
}

// encodeVideo is Encode for images that are the frames of one video. Where memory does not allow whole frames it works in tiles, as
// upstream does, and says so in the log.
func (v *VAE) encodeVideo(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.info.Untiled && !v.fits(func() int64 { return v.net.EncodeMemory(x.Shape) }) {
		const side = 256
		v.rt.cfg.Log.Warn("encoding the video in tiles: there is not enough memory for whole frames", "width", x.Dim(3), "height", x.Dim(2))
		return v.encodeVideoTiled(ctx, x, Tiles{Width: side, Height: side, Overlap: side / 4})
	}
	return v.encode(ctx, x)
}
