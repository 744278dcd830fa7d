package sampling

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// Causal is implemented by networks that may predict a video block by block: each block attends to those before it.
type Causal interface {
	// Causal reports whether the network reads OptionBlock.
	Causal() bool
}

const (
	// OptionBlock is the run option that states which part of a video the latent is: a Block. Upstream: ar_state.
	OptionBlock = "ar_state"
	// OptionBeginning is the run option that holds the beginning of a video for ARVideo: a latent [1,C,T,h,w] in the VAE's space. Upstream:
	// initial_latent in ar_config.
	OptionBeginning = "ar_config"
)

// Block is a part of a video. The blocks before it were predicted with Keep.
type Block struct {
	// Start is the block's first frame, Total is the number of frames of the whole video.
	Start, Total int
	// Keep has the network keep what later blocks attend to.
	Keep bool
}

// ARVideo returns the sampler of causal models of videos: it denoises blocks of frames one after the other, each with all sigmas, and noise that is
// drawn anew at each of them. Upstream: sample_ar_video.
func ARVideo(frames int) (*Sampler, error) {
	if frames < 1 {
		return nil, fmt.Errorf("making the sampler ar_video: a block has %d frames", frames)
	}
	return &Sampler{name: "ar_video", causal: true, run: func(ctx context.Context, r *Run) (*tensor.Tensor, error) { return sampleBlocks(ctx, r, frames) }}, nil
}

func sampleBlocks(ctx context.Context, r *Run, frames int) (*tensor.Tensor, error) {
	if len(r.X.Shape) != 5 {
		return nil, fmt.Errorf("sampling with ar_video: the latent has shape %v, wanted a video [batch, channels, frames, height, width]", r.X.Shape)
	}
	out, total, start := like(r.X), r.X.Dim(2), 0
	keep := func(block *tensor.Tensor) error {
		putFrames(out, block, start)
		from := start
		if start += block.Dim(2); start == total {
			return nil
		}
		r.SetOption(OptionBlock, Block{Start: from, Total: total, Keep: true})
		_, err := r.Denoise(ctx, block, 0)
		return err
	}
	if given, ok := r.Option(OptionBeginning).(*tensor.Tensor); ok {
		first := r.Format.In(given)
		whole, err := beginning(r.X, first)
		if err != nil {
			return nil, err
		}
		if err := keep(videoFrames(whole, 0, first.Dim(2))); err != nil {
			return nil, err
		}
	}
	steps, blocks, done := len(r.Sigmas)-1, (total-start+frames-1)/frames, 0
	for b := range blocks {
		x := videoFrames(r.X, start, min(start+frames, total))
		r.SetOption(OptionBlock, Block{Start: start, Total: total})
		for i := range steps {
			denoised, err := r.Denoise(ctx, x, r.Sigmas[i])
			if err != nil {
				return nil, err
			}
			r.Step(done/blocks, x, denoised)
			done++
			x = denoised
			if next := r.Sigmas[i+1]; next != 0 {
				noise := like(x)
				NewGenerator(r.Seed + uint64(b)*1000 + uint64(i)).Randn(noise.Data)
				x = sum(term{1 - next, denoised}, term{next, noise})
			}
		}
		if err := keep(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// videoFrames are the frames [from, to) of x [N,C,T,h,w].
func videoFrames(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), to-from, x.Dim(3), x.Dim(4))
	size := x.Dim(3) * x.Dim(4)
	for plane := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[plane*(to-from)*size:][:(to-from)*size], x.Data[(plane*x.Dim(2)+from)*size:])
	}
	return out
}

// putFrames copies the frames of part into to [N,C,T,h,w] from one on.
func putFrames(to, part *tensor.Tensor, from int) {
	size, n := to.Dim(3)*to.Dim(4), part.Dim(2)
	for plane := range to.Dim(0) * to.Dim(1) {
		copy(to.Data[(plane*to.Dim(2)+from)*size:], part.Data[plane*n*size:][:n*size])
	}
}
