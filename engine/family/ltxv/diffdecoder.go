package ltxv

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

// diffusionDecoder decodes a latent to frames, one frame at a time: each block holds the keys and values that the next frames need, so memory
// does not grow with the number of frames.
type diffusionDecoder struct {
	diffusionConfig
	src         weights.Source
	stages      [][]naBlock // the last one denoises
	activations family.Activations
}

func newDiffusionDecoder(src weights.Source, c diffusionConfig) *diffusionDecoder {
	d := &diffusionDecoder{diffusionConfig: c, src: src}
	for stage, width := range c.Channels {
		var blocks []naBlock
		const group, ratio = 16, 4
		b := naBlock{width: width, heads: width / c.Head, inner: (ratio*width + group - 1) / group * group}
		for i := range c.Depths[stage] {
			b.name, b.kernel = stageBlock(stage, i), c.LastKernel
			if stage == d.last() {
				b.name, b.context = fmt.Sprintf("decoder.diff_blocks.%d", i), width
			} else {
				b.kernel = c.Kernels[stage]
			}
			blocks = append(blocks, b)
		}
		d.stages = append(d.stages, blocks)
	}
	return d
}

func (c diffusionConfig) last() int { return len(c.Channels) - 1 }

// trailing is the number of copies of its last frame after a latent; their result is dropped.
func (c diffusionConfig) trailing() int { return c.Kernels[0][0] / 2 * 2 }

// grids are the sizes of the frames of each stage for a latent [1,C,T,h,w].
func (c diffusionConfig) grids(latent []int) []grid {
	g := grid{latent[2] + c.trailing(), latent[3], latent[4]}
	list, scale := []grid{g}, 1
	for _, u := range c.Upsamples {
		g = grid{g.frames*u.stride[0] - (u.stride[0] - 1), g.rows * u.stride[1], g.columns * u.stride[2]}
		scale *= u.stride[0]
		list = append(list, g)
	}
	list[len(list)-1].frames -= c.trailing() * scale
	return list
}

// decode decodes a latent [1,C,T,h,w] and calls emit with each frame [1,3,H,W].
func (d *diffusionDecoder) decode(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frame *tensor.Tensor) error) error {
	r := &decoding{d, ctx, run}
	grids := d.grids(z.Shape)
	last := grids[d.last()]
	done := 0
	next := func(f naFrame) error {
		done++
		family.Advance(ctx, done, last.frames)
		return emit(f.pixels)
	}
	for step := d.Steps - 1; step >= 0; step-- {
		next = r.denoise(step, last, next)
	}
	next = r.noised(last, next)
	for stage := d.last() - 1; stage >= 0; stage-- {
		next = r.upsampled(stage, grids[stage], next)
		for i := len(d.stages[stage]) - 1; i >= 0; i-- {
			next = r.block(d.stages[stage][i], grids[stage], nil, next)
		}
	}
	first := grids[0]
	in := d.linear("decoder.conv_in", "", d.Latent, d.Channels[0])
	for t := range first.frames {
		x, err := r.only(in, frameTokens(z, min(t, z.Dim(2)-1)))
		if err != nil {
			return err
		}
		if err := next(naFrame{x: x}); err != nil {
			return err
		}
	}
	return nil
}

// only runs a graph that reads x and writes out.
func (r *decoding) only(g family.Graph, x *tensor.Tensor) (*tensor.Tensor, error) {
	out, err := r.run.Run(r.ctx, g, []family.Value{family.Floats("x", x)}, "out")
	return out["out"], err
}

// frameTokens are the cells of frame t of a latent [1,C,T,h,w] as tokens [1,h·w,C].
func frameTokens(z *tensor.Tensor, t int) *tensor.Tensor {
	channels, size := z.Dim(1), z.Dim(3)*z.Dim(4)
	out := tensor.New(1, size, channels)
	for c := range channels {
		for i, v := range z.Data[(c*z.Dim(2)+t)*size:][:size] {
			out.Data[i*channels+c] = v
		}
	}
	return out
}

// upsampled upsamples frames after a stage. The first one of those that the first frame becomes is left out.
func (r *decoding) upsampled(stage int, g grid, next sink) sink {
	u, width := r.Upsamples[stage], r.Channels[stage]
	graph := r.grow(fmt.Sprintf("decoder.upsamples.%d.proj", stage), width, u)
	first := u.stride[0] - 1
	return func(f naFrame) error {
		y, err := r.only(graph, &tensor.Tensor{Shape: []int{g.rows, g.columns, width}, Data: f.x.Data})
		if err != nil {
			return err
		}
		for i := first; i < y.Dim(0); i++ {
			x := y.Index(i)
			if err := next(naFrame{x: &tensor.Tensor{Shape: []int{1, x.Dim(0) * x.Dim(1), x.Dim(2)}, Data: x.Data}}); err != nil {
				return err
			}
		}
		first = 0
		return nil
	}
}

// noised makes the tokens of frames the context of noise for the frames of last. The noise equals that of upstream's generator with seed
// 0 for all frames at once, channel by channel: a generator for each begins after the channels before.
func (r *decoding) noised(last grid, next sink) sink {
	rows, columns := last.rows*r.Patch, last.columns*r.Patch
	size, done := rows*columns, 0
	var read func(dst []float32, channel int)
	const block = 16 // numbers that torch makes at once
	if size%block == 0 {
		generators := make([]*torchrand.Generator, r.Pixels)
		for c := range generators {
			generators[c] = torchrand.New(0)
			skipped := make([]float32, size)
			for range c * last.frames {
				generators[c].Randn(skipped)
			}
		}
		read = func(dst []float32, channel int) { generators[channel].Randn(dst) }
	} else {
		whole := tensor.New(r.Pixels, last.frames, size)
		torchrand.New(0).Randn(whole.Data)
		read = func(dst []float32, channel int) { copy(dst, whole.Index(channel).Data[done*size:]) }
	}
	return func(f naFrame) error {
		if done == last.frames {
			return nil
		}
		x := tensor.New(1, r.Pixels, rows, columns)
		for c := range r.Pixels {
			read(x.Data[c*size:(c+1)*size], c)
		}
		done++
		return next(naFrame{context: f.x, pixels: x})
	}
}

// denoise denoises the pixels of frames by a step.
func (r *decoding) denoise(step int, g grid, next sink) sink {
	t, after := r.timestep(step), r.timestep(step+1)
	width, cells := r.Channels[r.last()], r.Pixels*r.Patch*r.Patch
	in, out := r.linear("decoder.conv_in_x_t", "", cells, width), r.linear("decoder.conv_out", "decoder.norm_out", width, cells)
	finish := func(f naFrame) error {
		y, err := r.only(out, f.x)
		if err != nil {
			return err
		}
		made := r.unpatchify(y, g)
		for i, v := range made.Data {
			x := f.pixels.Data[i]
			switch {
			case after > 0 && r.Velocity:
				v = x - (t-after)*v
			case after > 0:
				v = x - (t-after)*((x-v)/t)
			case r.Velocity:
				v = x - t*v
			}
			made.Data[i] = v
		}
		return next(naFrame{context: f.context, pixels: made})
	}
	timestep := []family.Value{family.Vector("timestep", []float32{float32(r.Multiplier) * t})}
	first := sink(finish)
	blocks := r.stages[r.last()]
	for i := len(blocks) - 1; i >= 0; i-- {
		first = r.block(blocks[i], g, timestep, first)
	}
	return func(f naFrame) error {
		x, err := r.only(in, r.patchify(f.pixels, g))
		if err != nil {
			return err
		}
		return first(naFrame{x, f.context, f.pixels})
	}
}

// timestep is the timestep of a step, which fall from 1 in equal distances; 0 after the last one.
func (c diffusionConfig) timestep(step int) float32 {
	return float32(c.Steps-step) / float32(c.Steps)
}

// patchify converts pixels [1,C,H,W] to tokens [1,N,C·p·p]; the columns of a patch come before its rows. unpatchify is its
// inverse.
func (c diffusionConfig) patchify(x *tensor.Tensor, g grid) *tensor.Tensor {
	out := tensor.New(1, g.tokens(), c.Pixels*c.Patch*c.Patch)
	c.eachPixel(g, func(pixel, token int) { out.Data[token] = x.Data[pixel] })
	return out
}

func (c diffusionConfig) unpatchify(x *tensor.Tensor, g grid) *tensor.Tensor {
	out := tensor.New(1, c.Pixels, g.rows*c.Patch, g.columns*c.Patch)
	c.eachPixel(g, func(pixel, token int) { out.Data[pixel] = x.Data[token] })
	return out
}

// eachPixel calls f with the place of each value among the pixels and among the tokens of a frame.
func (c diffusionConfig) eachPixel(g grid, f func(pixel, token int)) {
	p, width := c.Patch, g.columns*c.Patch
	pixel := 0
	for channel := range c.Pixels {
		for y := range g.rows * p {
			for x := range width {
				token := y/p*g.columns + x/p
				f(pixel, (token*c.Pixels+channel)*p*p+x%p*p+y%p)
				pixel++
			}
		}
	}
}

// memory estimates the bytes that decoding a latent takes: the frames that the blocks hold, those that attend to each other with their
// queries, keys and values, and the largest run.
func (d *diffusionDecoder) memory(latent []int) int64 {
	const held, f32 = 4, 4 // tokens, queries, keys and values
	var states, most int64
	for stage, g := range d.grids(latent) {
		for i, b := range d.stages[stage] {
			r := blockRun{naBlock: b, grid: g}
			r.at = grid{min(b.kernel[0], g.frames), min(b.kernel[1], g.rows), min(b.kernel[2], g.columns)}
			r.down, r.rows, r.seenRows = tiles(g.rows, r.at.rows)
			r.across, r.columns, r.seenColumns = tiles(g.columns, r.at.columns)
			frame := family.Product(g.tokens(), b.width, f32)
			bytes := held * frame * int64(r.at.frames)
			if stage == d.last() { // their context and pixels, in each step
				bytes = (bytes + 2*frame*int64(r.at.frames)) * int64(d.Steps)
			}
			states += bytes
			if i > 0 {
				continue
			}
			n := r.together()
			most = max(most, d.activations.Of(d.graph(b.name+" project", b.project), map[string]int{"N": g.tokens()}),
				d.activations.Of(d.graph(b.name+" attend", b.attend), map[string]int{"G": n, "a": r.rows, "b": r.columns, "F": r.at.frames, "r": r.seenRows, "s": r.seenColumns}))
		}
	}
	return states + most
}
