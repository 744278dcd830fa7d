package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/internal/imaging"
)

// Detection is an object that was found in an image: its corners (x1, y1, x2, y2) in pixels, the number of its class and its score in 0…1.
type Detection struct {
	Box   [4]float32
	Class int
	Score float32
}

// Detect finds objects in images [B,H,W,C] in 0…1 with at least three channels, of which the first three are read, squeezed into the network's square by
// linear interpolation. It returns the candidates of each image, the best first, as many as the network has queries. progress is called with the number
// of images that are done. It fails for a model that finds no objects. Upstream: RTv4.postprocess.
func (m *Model) Detect(ctx context.Context, images *tensor.Tensor, progress func(done int)) ([][]Detection, error) {
	const (
		axes, rgb = 4, 3
		most      = 32 // images that are computed together, as upstream does
		doing     = "finding objects in images"
	)
	net, ok := m.net.(family.Detector)
	if !ok {
		return nil, fmt.Errorf("%s: the model is of the family %s, which finds none: load a model of RT-DETR v4 with UNETLoader", doing, m.Family())
	}
	if images == nil || len(images.Shape) != axes || images.Dim(3) < rgb || images.Len() == 0 || images.Len() != len(images.Data) {
		return nil, fmt.Errorf("%s: they are no batch [B,H,W,C] with at least one pixel and three channels", doing)
	}
	b, h, w, side := images.Dim(0), images.Dim(1), images.Dim(2), net.Side()
	run, rows := m.runner(), min(b, most)
	for rows > 1 && !run.Fits(net.Activations(rows)) {
		rows /= 2
	}
	if err := m.rt.checkHost(doing, family.Product(rgb, 4)*(family.Product(h, w)+family.Product(rows, side, side))); err != nil {
		return nil, err
	}
	var out [][]Detection
	for from := 0; from < b; from += rows {
		to := min(from+rows, b)
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		x := tensor.New(to-from, rgb, side, side)
		for i := range to - from {
			if err := squeeze(ctx, x.Index(i), images.Slice(from+i, from+i+1), side); err != nil {
				return nil, fmt.Errorf("%s: image %d %w", doing, from+i, err)
			}
		}
		release := m.rt.sessions.Reserve(run.device, net.Activations(to-from))
		logits, boxes, err := net.Detect(ctx, run, x)
		release()
		if err == nil {
			err = m.explain(logits)
		}
		if err == nil {
			err = errors.Join(checkNumbers("scores", logits), checkNumbers("boxes", boxes))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		for i := range to - from {
			out = append(out, detections(logits.Index(i), boxes.Index(i), float32(w), float32(h)))
		}
		progress(to)
	}
	return out, nil
}

// squeeze writes the first channels of one image [1,H,W,C], squeezed into a square of a side, to dst [channels,side,side].
func squeeze(ctx context.Context, dst, image *tensor.Tensor, side int) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	x, err := planesOf(image, dst.Dim(0))
	if err == nil {
		x, err = imaging.Upscale(x, side, side, "bilinear", "")
	}
	if err == nil {
		copy(dst.Data, x.Data)
	}
	return err
}

// checkNumbers refuses results of a network that are not finite.
func checkNumbers(what string, x *tensor.Tensor) error {
	if vec.Finite(x.Data) {
		return nil
	}
	return fmt.Errorf("the model gave %s that are not finite numbers: its weights are damaged, or the precision is too low for them: start with --force-fp32, or use another file", what)
}

// detections are the best pairs of a candidate and a class, as many as there are candidates: logits [N,classes] and boxes [N,4] in parts of an image's
// sides, center, width and height.
func detections(logits, boxes *tensor.Tensor, width, height float32) []Detection {
	n, classes := logits.Dim(0), logits.Dim(1)
	order := make([]int, len(logits.Data))
	for i := range order {
		order[i] = i
	}
	scores := make([]float32, len(order))
	for i, v := range logits.Data {
		scores[i] = float32(1 / (1 + math.Exp(-float64(v))))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	out := make([]Detection, n)
	for i, at := range order[:n] {
		box := boxes.Data[4*(at/classes):][:4]
		halfW, halfH := 0.5*box[2], 0.5*box[3]
		out[i] = Detection{
			Box:   [4]float32{(box[0] - halfW) * width, (box[1] - halfH) * height, (box[0] + halfW) * width, (box[1] + halfH) * height},
			Class: at % classes, Score: scores[at],
		}
	}
	return out
}
