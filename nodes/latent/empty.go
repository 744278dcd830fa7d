package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

// Empty returns a result with l, its samples zeros of the given shape. It fails when they do not fit into the free memory.
func Empty(what string, l engine.Latent, shape ...int) (nodes.Result, error) {
	for _, d := range shape {
		if d < 0 {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "making empty %s: negative size in %v", what, shape)
		}
	}
	if err := imaging.CheckSize("empty "+what, shape...); err != nil {
		return nodes.Result{}, err
	}
	l.Samples = tensor.New(shape...)
	return nodes.Out(l), nil
}

// VideoFrames returns the latent frames of a video: the first frame has its own, the others share one for ratio frames.
func VideoFrames(length, ratio int) int { return int(math.Floor(float64(length-1)/float64(ratio))) + 1 }

var errNoLength = nodes.Errorf("ValueError", "making empty audio latents: the duration is not a finite number")

// wholeLength returns a length without its fraction.
func wholeLength(v float64) (int, error) {
	if math.IsNaN(v) || math.Abs(v) > math.MaxInt32 {
		return 0, errNoLength
	}
	return int(v), nil
}

// framesOf returns frames [from, to) of the third axis.
func framesOf(t *tensor.Tensor, from, to int) *tensor.Tensor {
	to = max(from, to)
	shape := append([]int(nil), t.Shape...)
	shape[2] = to - from
	out := tensor.New(shape...)
	cells := tensor.Count(t.Shape[3:])
	for i := range t.Shape[0] * t.Shape[1] {
		copy(out.Data[i*(to-from)*cells:][:(to-from)*cells], t.Data[(i*t.Shape[2]+from)*cells:])
	}
	return out
}

// imageSizes returns the sizes of empty latents of width, height and batch_size; their sides are rounded.
func imageSizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
	p.Exact = false
	return p
}

// VideoSizes is imageSizes for videos: each frame is an image. The input frames has their number.
func VideoSizes(s *nodes.Sizing, frames string) nodes.Images {
	p := imageSizes(s)
	p.Count *= max(1, s.Number(frames))
	return p
}

// noImages is for latents without pixels, such as audio.
func noImages(s *nodes.Sizing) nodes.Images {
	p := s.Within()
	p.Count, p.Width, p.Height = 0, 0, 0
	return p
}
