package facemesh

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Detect runs a detector alone on an image [1,3,S,S] in -1…1 and returns its boxes and logits, behind one another for each cell.
func Detect(ctx context.Context, run family.Runner, n family.FaceNetwork, far bool, image *tensor.Tensor) (*tensor.Tensor, error) {
	res, err := run.Run(ctx, n.(*model).detector(far), []family.Value{family.Floats("image", image)}, "boxes", "logits")
	if err != nil {
		return nil, err
	}
	out := tensor.New(1, res["logits"].Dim(1), values+1)
	for i, v := range res["logits"].Data {
		copy(out.Data[i*(values+1):], res["boxes"].Data[i*values:(i+1)*values])
		out.Data[i*(values+1)+values] = v
	}
	return out, nil
}

// Mesh runs the networks of a face alone.
func Mesh(ctx context.Context, run family.Runner, n family.FaceNetwork, faces *tensor.Tensor) (map[string]*tensor.Tensor, error) {
	return run.Run(ctx, n.(*model).mesh(), []family.Value{family.Floats("faces", faces)}, "marks", "presence", "shapes")
}

// Joined decodes and joins detections, [N,17].
func Joined(ctx context.Context, boxes, logits []float32, isFar bool, threshold float32) (*tensor.Tensor, error) {
	n := float32(near)
	if isFar {
		n = far
	}
	list, err := joined(ctx, decoded(boxes, logits, cells(isFar), n, threshold))
	out := tensor.New(len(list), values+1)
	for i, d := range list {
		copy(out.Data[i*(values+1):], append(d.at[:], d.score))
	}
	return out, err
}

// Crop shows the rectangle of a detection in an image, or a rectangle of its own.
func Crop(image *tensor.Tensor, box []float32, place [5]float64) *tensor.Tensor {
	out := tensor.New(rgb, side, side)
	r := rect{place[0], place[1], place[2], place[3], place[4]}
	if box != nil {
		r = detection{at: [values]float32(box)}.rect(image.Dim(2), image.Dim(1))
	}
	r.crop(out, image)
	return out
}
