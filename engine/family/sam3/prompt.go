package sam3

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// hiddenLogit is the mask logit of objects that do not show.
const hiddenLogit = -1024

// object is what the decoder says of one object: mask logits [1,1,h,h], its pointer [d], and the logit of its presence.
type object struct {
	mask    *tensor.Tensor
	pointer []float32
	score   float32
}

// point is a place in 0…1 with its label.
type point struct {
	x, y  float32
	label int
}

// Segment implements family.Segmenter.
func (m *model) Segment(ctx context.Context, run family.Runner, seen *tensor.Tensor, p family.SegmentPrompt) (*tensor.Tensor, error) {
	side := float32(m.side())
	at := func(x, y float32, label int) point { return point{(x + 0.5) / side, (y + 0.5) / side, label} }
	var points []point
	for _, q := range p.Points {
		label := labelNegative
		if q.Positive {
			label = labelPositive
		}
		points = append(points, at(q.X, q.Y, label))
	}
	if len(points) == 0 {
		points = append(points, point{label: labelNone})
	}
	if b := p.Box; b != nil {
		points = append(points, at(b[0], b[1], labelCorner), at(b[2], b[3], labelCorner+1))
	} else {
		points = append(points, point{label: labelNone})
	}
	mask := p.Mask
	if mask != nil {
		if len(mask.Shape) != 4 || mask.Dim(0) != 1 || mask.Dim(1) != 1 {
			return nil, fmt.Errorf("segmenting an object: the mask has shape %v, wanted [1,1,height,width]", mask.Shape)
		}
		mask = m.promptMask(mask)
	}
	list, err := m.point(ctx, run, pointing{mask: mask != nil, fresh: true}, seen, nil, mask, points, len(p.Points) == 1)
	if err != nil {
		return nil, err
	}
	return imaging.Upscale(list[0].mask, m.side(), m.side(), "bilinear", "")
}

// promptMask resizes mask logits to the size that the decoder reads.
func (m *model) promptMask(mask *tensor.Tensor) *tensor.Tensor {
	return imaging.Antialias(mask, 4*m.grid, 4*m.grid, imaging.Bilinear)
}

// point runs the decoder for the objects of masks [N,1,4·grid,4·grid], or for the one that points (or nothing but the memory) tell. several has it choose
// among the masks of a whole and its parts.
func (m *model) point(ctx context.Context, run family.Runner, kind pointing, seen, fused, masks *tensor.Tensor, points []point, several bool) ([]object, error) {
	n := 1
	if masks != nil {
		n = masks.Dim(0)
	}
	coords, kinds := tensor.New(n, len(points), 2), tensor.New(n, len(points), labels)
	for i := range n * len(points) {
		p := points[i%len(points)]
		coords.Data[2*i], coords.Data[2*i+1] = p.x, p.y
		kinds.Data[labels*i+p.label+1] = 1
	}
	in := []family.Value{family.Floats("seen", seen), family.Floats("coords", coords), family.Floats("labels", kinds), family.Floats("zero", tensor.New(n, 1, 1))}
	if masks != nil {
		in = append(in, family.Floats("mask", masks))
	}
	if fused != nil {
		in = append(in, family.Floats("fused", fused))
	}
	out, err := run.Run(ctx, m.pointer(kind), in, "masks", "quality", "score", "pointer")
	if err != nil {
		return nil, err
	}
	all, side := out["masks"], 4*m.grid
	list := make([]object, n)
	for i := range list {
		choice, count := 0, all.Dim(1)
		if several {
			choice = 1 + best(out["quality"].Data[i*count+1:(i+1)*count])
		}
		o := object{score: out["score"].Data[i], pointer: out["pointer"].Data[i*m.d : (i+1)*m.d]}
		o.mask = &tensor.Tensor{Shape: []int{1, 1, side, side}, Data: slices.Clone(all.Index(i).Index(choice).Data)}
		if !(o.score > 0) {
			fill(o.mask, hiddenLogit)
		}
		list[i] = o
	}
	return list, nil
}

// best is the place of the largest value, the first of equals.
func best(v []float32) int {
	at := 0
	for i, x := range v {
		if x > v[at] {
			at = i
		}
	}
	return at
}

func fill(t *tensor.Tensor, v float32) {
	for i := range t.Data {
		t.Data[i] = v
	}
}

// given takes masks [N,1,side,side] of zeros and ones as the answer for a frame: their logits, and the pointers of their objects.
func (m *model) given(ctx context.Context, run family.Runner, seen, masks *tensor.Tensor) ([]object, error) {
	small, err := m.shrunk(run, masks)
	if err != nil {
		return nil, err
	}
	points := []point{{label: labelNone}, {label: labelNone}}
	list, err := m.point(ctx, run, pointing{mask: true, fresh: m.multiplex}, seen, nil, m.promptMask(small), points, false)
	if err != nil {
		return nil, err
	}
	const scale, bias = 20, -10
	for i := range list {
		logits := masks.Slice(i, i+1).Clone()
		list[i].score = bias
		for k, v := range logits.Data {
			if v > 0 {
				list[i].score = scale + bias
			}
			logits.Data[k] = v*scale + bias
		}
		list[i].mask = imaging.Antialias(logits, 4*m.grid, 4*m.grid, imaging.Bilinear)
	}
	return list, nil
}

// shrunk makes a quarter of the sides of masks [N,1,side,side] by the convolution of the file.
func (m *model) shrunk(run family.Runner, masks *tensor.Tensor) (*tensor.Tensor, error) {
	const k = 4
	share, err := m.stored(run, m.single("mask_downsample")+".weight", 1, 1, k, k)
	if err != nil {
		return nil, err
	}
	base, err := m.stored(run, m.single("mask_downsample")+".bias", 1)
	if err != nil {
		return nil, err
	}
	n, side := masks.Dim(0), masks.Dim(2)
	out := tensor.New(n, 1, side/k, side/k)
	for i := range out.Data {
		x, y, plane := i%(side/k), i/(side/k)%(side/k), masks.Data[i/(side/k)/(side/k)*side*side:]
		sum := float64(base.Data[0])
		for at, v := range share.Data {
			sum += float64(v) * float64(plane[(y*k+at/k)*side+x*k+at%k])
		}
		out.Data[i] = float32(sum)
	}
	return out, nil
}

// stored reads a tensor of the file.
func (m *model) stored(run family.Runner, name string, shape ...int) (*tensor.Tensor, error) {
	src, err := run.Patched(m.src)
	if err != nil {
		return nil, err
	}
	s := weights.NewScope(src)
	r := s.Weight(name, shape...)
	if err := s.Err(); err != nil {
		return nil, err
	}
	v, err := weights.Float32s(r.Entry)
	return &tensor.Tensor{Shape: shape, Data: v}, err
}
