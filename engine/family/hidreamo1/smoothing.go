package hidreamo1

import (
	"math"
	"slices"

	"comfygo/engine/tensor"
)

// OptionSmoothing is the run option of HiDreamO1PatchSeamSmoothing: a list of Smoothing.
const OptionSmoothing = "hidream_o1_patch_seam_smoothing"

// Smoothing averages predictions of an image with shifted patches, so that their seams cancel out.
type Smoothing struct {
	// Start and End are the timesteps between which it counts.
	Start, End float64
	// Levels are the shifts of the image in pixels, down and right, of parts of that range.
	Levels [][][2]int
	// Blend is how predictions are joined: "average", "window" or "median". Strength is the share of the outcome.
	Blend    string
	Strength float32
}

// feather is the number of pixels over which the effect grows, after a patch along each edge.
const feather = 4

// smooth predicts an image with the smoothings of a list, the first around the others.
func smooth(list []Smoothing, x *tensor.Tensor, t float32, predict func(x *tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	if len(list) == 0 {
		return predict(x)
	}
	s := list[0]
	inner := func(x *tensor.Tensor) (*tensor.Tensor, error) { return smooth(list[1:], x, t, predict) }
	plain, err := inner(x)
	at := float64(t)
	if err != nil || at < s.End || at > s.Start || len(s.Levels) == 0 {
		return plain, err
	}
	level := min(int((s.Start-at)/max(s.Start-s.End, 1e-8)*float64(len(s.Levels))), len(s.Levels)-1)
	shifts := s.Levels[level]
	preds := make([]*tensor.Tensor, len(shifts))
	for i, shift := range shifts {
		if preds[i] = plain; shift == [2]int{} {
			continue
		}
		y, err := inner(rolled(x, shift[0], shift[1]))
		if err != nil {
			return nil, err
		}
		preds[i] = rolled(y, -shift[0], -shift[1])
	}
	return s.blend(plain, preds, shifts), nil
}

// rolled moves an image [N,C,H,W] down and right; what leaves it comes in at the other side.
func rolled(x *tensor.Tensor, down, right int) *tensor.Tensor {
	h, w := x.Dim(2), x.Dim(3)
	out := tensor.New(x.Shape...)
	for p := range x.Dim(0) * x.Dim(1) {
		for y := range h {
			from := x.Data[(p*h+wrap(y-down, h))*w:][:w]
			to := out.Data[(p*h+y)*w:][:w]
			for i := range to {
				to[i] = from[wrap(i-right, w)]
			}
		}
	}
	return out
}

func wrap(i, n int) int { return ((i % n) + n) % n }

// blend joins predictions, but along the edges, where shifted images are not whole.
func (s Smoothing) blend(plain *tensor.Tensor, preds []*tensor.Tensor, shifts [][2]int) *tensor.Tensor {
	h, w := plain.Dim(2), plain.Dim(3)
	out := tensor.New(plain.Shape...)
	values, weights := make([]float32, len(preds)), make([]float32, len(preds))
	edge := func(i, n int) float32 {
		return min(max(float32(min(i, n-1-i)-side)/feather, 0), 1)
	}
	for i := range out.Data {
		y, x := i/w%h, i%w
		share := edge(y, h) * edge(x, w) * s.Strength
		for k, p := range preds {
			values[k] = p.Data[i]
			if s.Blend == "window" {
				weights[k] = hann(y, x, shifts[k])
			}
		}
		out.Data[i] = plain.Data[i]*(1-share) + s.join(values, weights)*share
	}
	return out
}

// hann is the weight of a pixel by its place in the patches of an image that was shifted: greatest in their middle.
func hann(y, x int, shift [2]int) float32 {
	const half = side / 2
	one := func(at, by int) float64 {
		centre := wrap(half-by, side)
		return 1 + math.Cos(math.Pi*float64(wrap(wrap(at, side)-centre+half, side)-half)/half)
	}
	return float32(0.25 * one(y, shift[0]) * one(x, shift[1]))
}

// join combines several values into one; the median of an even number is the lower middle value, as in torch.
func (s Smoothing) join(values, weights []float32) float32 {
	n := float32(len(values))
	sum, total := float32(0), float32(0)
	switch s.Blend {
	case "median":
		slices.Sort(values)
		return values[(len(values)-1)/2]
	case "window":
		for _, v := range weights {
			total += v
		}
		if total >= 1e-3 {
			for k, v := range values {
				sum += v * (weights[k] / max(total, 1e-8))
			}
			return sum
		}
	}
	for _, v := range values {
		sum += v
	}
	return sum / n
}
