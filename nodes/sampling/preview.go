package sampling

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"comfygo/engine"
	"comfygo/engine/preview"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging/webpwrite"
	"comfygo/nodes"
)

// reporter reports the progress of a run, with images of the latent if they are enabled. Images are made beside the
// run; a step that ends while one is being made has none.
type reporter struct {
	ctx   *nodes.Context
	maker *preview.Maker // nil: progress alone
	size  int
	// own, when set, makes the images in place of maker.
	own engine.Previewer

	busy   atomic.Bool
	making sync.WaitGroup

	mu           sync.Mutex
	value, total float64
}

// newReporter chooses how a run of the model is shown. It must be closed when the run is over.
func newReporter(ctx *nodes.Context, model *engine.Model) *reporter {
	const size = 512 // upstream's
	if r := (&reporter{ctx: ctx, own: model.Preview(), size: size}); r.own != nil {
		return r
	}
	r := &reporter{ctx: ctx}
	settings := ctx.Preview.Override(ctx.Hidden("PREVIEW_METHOD"))
	if ctx.Folders == nil || ctx.Engine == nil {
		return r
	}
	find := func(start string) (string, bool) {
		files := ctx.Folders.List("vae_approx")
		at := slices.IndexFunc(files, func(f string) bool { return strings.HasPrefix(f, start) })
		if at < 0 {
			return "", false
		}
		return ctx.Folders.Find("vae_approx", files[at])
	}
	r.maker = preview.New(settings, model.LatentFormat(), preview.Decoders{Engine: ctx.Engine, Find: find}, ctx.Log)
	r.size = settings.Size
	return r
}

// step is called after each step of the run.
func (r *reporter) step(s es.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value, r.total = float64(s.Index+1), float64(s.Total)
	if r.own != nil && !r.busy.Load() {
		r.busy.Store(true)
		r.making.Go(func() { r.showOwn(firstPart(s)) })
		return
	}
	if r.maker != nil && !r.busy.Load() && r.maker.Due(s.Denoised) {
		r.busy.Store(true)
		r.making.Go(func() { r.show(firstPart(s)) })
		return
	}
	r.ctx.Progress(r.value, r.total)
}

// firstPart returns the part of a step's latent that is shown: the video of a video with audio.
func firstPart(s es.Step) *tensor.Tensor {
	if s.Parts == nil {
		return s.Denoised
	}
	parts, err := es.Unpack(s.Denoised, s.Parts)
	if err != nil {
		return s.Denoised
	}
	return parts[0]
}

// show makes an image and reports it with the progress that the run has reached by then. Without an image it still
// reports the progress.
func (r *reporter) show(x *tensor.Tensor) {
	defer r.busy.Store(false)
	r.maker.Make(func() {
		p, err := r.image(x)
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.ctx.Log.Warn("a preview is left out", "error", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ctx.ProgressPreview(r.value, r.total, p)
	})
}

// showOwn is show for images that the model's own function makes; it is not asked again after an error.
func (r *reporter) showOwn(x *tensor.Tensor) {
	defer r.busy.Store(false)
	img, err := r.own(r.ctx, x)
	var p *nodes.Preview
	if err == nil {
		p = &nodes.Preview{Format: "JPEG", Image: img, MaxSize: r.size}
		p.Data, err = p.Encode()
	}
	if r.ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		p, r.own = nil, nil
		r.ctx.Log.Warn("previews are left out", "error", err)
	}
	r.ctx.ProgressPreview(r.value, r.total, p)
}

// image makes an image, of a video with its animation where there is time for one.
func (r *reporter) image(x *tensor.Tensor) (*nodes.Preview, error) {
	clip, err := r.maker.Clip(r.ctx, x)
	if err != nil {
		return nil, err
	}
	p := &nodes.Preview{Format: "JPEG", Image: clip.Frames[0], MaxSize: r.size}
	if p.Data, err = p.Encode(); err != nil {
		return nil, err
	}
	if len(clip.Frames) > 1 {
		p.Animation, err = animation(r.ctx, clip, r.size)
	}
	return p, err
}

// animation writes the frames of a clip as an animated WebP file, at most size pixels wide and high, or half as many where a pixel is a whole cell
// of the latent. It is nil where it would be too large to be sent with a step.
func animation(ctx context.Context, clip preview.Clip, size int) ([]byte, error) {
	const quality, most = 75, 512 << 10
	if clip.Coarse {
		size /= 2
	}
	var b bytes.Buffer
	err := webpwrite.WriteAnimation(ctx, &b, len(clip.Frames), int(clip.Each.Milliseconds()), webpwrite.Options{Quality: quality}, func(n int) (webpwrite.Image, error) {
		img := nodes.Contain(clip.Frames[n], size).(*image.RGBA) // as it was given
		return webpwrite.Image{Pix: img.Pix, Width: img.Rect.Dx(), Height: img.Rect.Dy(), Channels: 4}, context.Cause(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("making an animated preview: %w", err)
	}
	if b.Len() > most {
		return nil, nil
	}
	return b.Bytes(), nil
}

// close waits for an image that is being made.
func (r *reporter) close() { r.making.Wait() }
