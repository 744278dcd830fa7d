package facemesh

import (
	"cmp"
	"context"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// detection is a face that a detector found: the corners of its box (x1, y1, x2, y2) and six points (x, y) in parts of the image's sides, and its score.
type detection struct {
	at    [values]float32
	score float32
}

// detect runs a detector on the image in the middle of a square. Upstream: run_detector_batch.
func (m *model) detect(ctx context.Context, run family.Runner, image *tensor.Tensor, o family.FaceOptions) ([]detection, error) {
	n := near
	if o.Far {
		n = far
	}
	h, w := image.Dim(1), image.Dim(2)
	square, x := float32(max(h, w)), tensor.New(1, rgb, n, n)
	step := float64(square) / float64(n)
	r := rect{x: float64(w) / 2, y: float64(h) / 2, w: step * float64(n), h: step * float64(n)}
	r.sample(x.Data, image, n, false)
	for i, v := range x.Data {
		x.Data[i] = v/127.5 - 1
	}
	res, err := run.Run(ctx, m.detector(o.Far), []family.Value{family.Floats("image", x)}, "boxes", "logits")
	if err != nil {
		return nil, err
	}
	list := decoded(res["boxes"].Data, res["logits"].Data, cells(o.Far), float32(n), o.Threshold)
	if list, err = joined(ctx, list); err != nil {
		return nil, err
	}
	left, top := float32(w)/2-square/2, float32(h)/2-square/2
	for i := range list {
		for k, v := range list[i].at {
			if k%2 == 0 {
				list[i].at[k] = (left + square*v) / float32(w)
			} else {
				list[i].at[k] = (top + square*v) / float32(h)
			}
		}
	}
	if o.Most > 0 && len(list) > o.Most {
		list = list[:o.Most]
	}
	return list, nil
}

// cells are the centers (x, y) of the cells that predict, in parts of the square's sides. Upstream: _blazeface_anchors.
func cells(isFar bool) [][2]float32 {
	type grid struct{ side, each int }
	grids := []grid{{16, 2}, {8, 6}}
	if isFar {
		grids = []grid{{48, 1}}
	}
	var out [][2]float32
	for _, g := range grids {
		for i := range g.side * g.side {
			for range g.each {
				out = append(out, [2]float32{(float32(i%g.side) + 0.5) / float32(g.side), (float32(i/g.side) + 0.5) / float32(g.side)})
			}
		}
	}
	return out
}

// decoded are the detections whose score is at least a threshold: boxes are center, size and points in pixels of a square of a side, beside each cell.
func decoded(boxes, logits []float32, cells [][2]float32, side, threshold float32) []detection {
	const most = 100 // of a logit
	var out []detection
	for i, c := range cells {
		v := min(max(float64(logits[i]), -most), most)
		score := float32(1 / (1 + math.Exp(-v)))
		if !(score >= threshold) {
			continue
		}
		d := detection{score: score}
		box := boxes[values*i : values*(i+1)]
		for k, v := range box {
			d.at[k] = v/side + c[k%2]
		}
		w, h := box[2]/side, box[3]/side
		x, y := d.at[0], d.at[1]
		d.at[0], d.at[1], d.at[2], d.at[3] = x-w/2, y-h/2, x+w/2, y+h/2
		out = append(out, d)
	}
	return out
}

// joined makes one of detections that cover each other by more than half of what they cover together, the mean by their scores, the best first.
// Upstream: _weighted_nms.
func joined(ctx context.Context, list []detection) ([]detection, error) {
	const overlap = 0.5
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b detection) int { return cmp.Compare(b.score, a.score) })
	area := func(d detection) float32 { return max(d.at[2]-d.at[0], 0) * max(d.at[3]-d.at[1], 0) }
	used := make([]bool, len(list))
	var out []detection
	for i, a := range list {
		if used[i] {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		group := []detection{a}
		for k := i + 1; k < len(list); k++ {
			b := list[k]
			if used[k] {
				continue
			}
			w := max(0, min(a.at[2], b.at[2])-max(a.at[0], b.at[0]))
			h := max(0, min(a.at[3], b.at[3])-max(a.at[1], b.at[1]))
			if all := area(a) + area(b) - w*h; all > 0 && w*h/all > overlap {
				group, used[k] = append(group, b), true
			}
		}
		total := float32(0)
		for _, d := range group {
			total += d.score
		}
		if total > 0 {
			for k := range a.at {
				sum := float32(0)
				for _, d := range group {
					sum += d.at[k] * d.score
				}
				a.at[k] = sum / total
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// rect is a turned rectangle of an image: its center and sides in pixels, and the angle in radians.
type rect struct{ x, y, w, h, angle float64 }

// rect is the part of an image of w x h pixels that the landmark network sees of a face, turned so that the eyes are level. Upstream:
// _detection_to_face_rect.
func (d detection) rect(w, h int) rect {
	const larger = 1.5
	width, height := float32(w), float32(h)
	left, right := d.at[4:6], d.at[6:8] // the eyes
	dx, dy := right[0]*width-left[0]*width, left[1]*height-right[1]*height
	return rect{
		x: float64((d.at[0] + d.at[2]) * 0.5 * width), y: float64((d.at[1] + d.at[3]) * 0.5 * height),
		w: float64((d.at[2] - d.at[0]) * width * larger), h: float64((d.at[3] - d.at[1]) * height * larger),
		angle: -math.Atan2(float64(dy), float64(dx)),
	}
}

// crop stores what a rectangle shows of an image [3,H,W] in 0…255 in to [3,side,side], in 0…1.
func (r rect) crop(to, image *tensor.Tensor) {
	r.sample(to.Data, image, side, true)
	for i, v := range to.Data {
		to.Data[i] = v / 255
	}
}

// sample stores what a rectangle shows of an image [3,H,W] as n x n pixels, by linear interpolation; beyond the border there are the border's values
// with edge, otherwise zeros. Upstream: _sample_warp, torch's grid_sample.
func (r rect) sample(to []float32, image *tensor.Tensor, n int, edge bool) {
	h, w := image.Dim(1), image.Dim(2)
	sx, sy := r.w/float64(n), r.h/float64(n)
	sin, cos := math.Sin(r.angle), math.Cos(r.angle)
	place := func(v float32, size int) float32 { // through -1…1, as torch counts
		g := (2*v+1)/float32(size) - 1
		v = ((g+1)*float32(size) - 1) / 2
		if edge {
			v = min(max(v, 0), float32(size-1))
		}
		return min(max(v, -2), float32(size+1)) // beyond that all is zero
	}
	for i := range n * n {
		u, v := float32(i%n)-float32(n)/2, float32(i/n)-float32(n)/2
		x := place(float32(r.x)+u*float32(sx)*float32(cos)-v*float32(sy)*float32(sin), w)
		y := place(float32(r.y)+u*float32(sx)*float32(sin)+v*float32(sy)*float32(cos), h)
		if x-x != 0 || y-y != 0 {
			continue
		}
		left, top := int(math.Floor(float64(x))), int(math.Floor(float64(y)))
		fx, fy := x-float32(left), y-float32(top)
		for k, weight := range [4]float32{(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy} {
			px, py := left+k%2, top+k/2
			if px < 0 || py < 0 || px >= w || py >= h {
				continue
			}
			for c := range rgb {
				to[c*n*n+i] += weight * image.Data[(c*h+py)*w+px]
			}
		}
	}
}
