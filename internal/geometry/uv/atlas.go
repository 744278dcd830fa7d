package uv

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/geometry"
)

// palette are the colors of Matplotlib's tab20, in parts of 255.
var palette = [20][3]float64{
	{31, 119, 180},
	{174, 199, 232},
	{255, 127, 14},
	{255, 187, 120},
	{44, 160, 44},
	{152, 223, 138},
	{214, 39, 40},
	{255, 152, 150},
	{148, 103, 189},
	{197, 176, 213},
	{140, 86, 75},
	{196, 156, 148},
	{227, 119, 194},
	{247, 182, 210},
	{127, 127, 127},
	{199, 199, 199},
	{188, 189, 34},
	{219, 219, 141},
	{23, 190, 207},
	{158, 218, 229},
}

// background is the gray of what no chart covers.
const background = 0.13

// Atlas draws the charts of a mesh by their texture coordinates in colors of their own, with black outlines: [H,W,3].
func Atlas(ctx context.Context, uvs []float32, faces []int32, size int) (*tensor.Tensor, error) {
	image := tensor.New(size, size, 3)
	for i := range image.Data {
		image.Data[i] = background
	}
	if len(faces) == 0 {
		return image, nil
	}
	place := make([]float32, len(uvs))
	for i, v := range uvs {
		place[i] = min(max(v, 0), 1) * float32(size-1)
	}
	r, err := rasterize(ctx, place, faces, size)
	if err != nil {
		return nil, err
	}
	edges, err := geometry.SortedEdges(ctx, faces)
	if err != nil {
		return nil, err
	}
	chart, count, err := charts(ctx, edges, len(faces)/3)
	if err != nil {
		return nil, err
	}
	colors := chartColors(count)
	for i, f := range r.Face {
		if f >= 0 {
			copy(image.Data[3*i:], colors[chart[f]][:])
		}
	}
	return image, geometry.EachEdge(ctx, edges, func(group []geometry.Half) {
		if len(group) == 1 {
			a, b := group[0].Ends()
			line(image, place, a, b)
		}
	})
}

// charts numbers the parts of a mesh that hang together by edges, in the order of their first faces.
func charts(ctx context.Context, edges []geometry.Half, faces int) (chart []int32, count int, err error) {
	sets := geometry.NewSets(faces)
	err = geometry.EachEdge(ctx, edges, func(group []geometry.Half) {
		for _, h := range group[1:] {
			sets.Join(h.Half/3, group[0].Half/3)
		}
	})
	if err != nil {
		return nil, 0, err
	}
	chart = make([]int32, faces)
	err = geometry.Each(ctx, faces, func(f int) {
		if first := sets.Find(int32(f)); first == int32(f) {
			chart[f] = int32(count)
			count++
		} else {
			chart[f] = chart[first]
		}
	})
	return chart, count, err
}

// chartColors shuffles the palette as NumPy does with seed 42.
func chartColors(n int) [][3]float32 {
	const seed = 42
	order := torchrand.New(seed).Permutation(n)
	out := make([][3]float32, n)
	for i := range out {
		for k, v := range palette[order[i]%len(palette)] {
			out[i][k] = float32(math.Round(v/255*1e9) / 1e9)
		}
	}
	return out
}

// line draws a black line between two vertices.
func line(image *tensor.Tensor, place []float32, a, b int32) {
	h, w := image.Shape[0], image.Shape[1]
	x0, y0, x1, y1 := place[2*a], place[2*a+1], place[2*b], place[2*b+1]
	steps := int(max(abs(x1-x0), abs(y1-y0)) + 1)
	if steps <= 1 {
		return
	}
	each := 1 / float64(steps-1)
	for i := range steps {
		t := float64(i) * each
		if i == steps-1 {
			t = 1
		}
		x, y := int(float64(x0)+float64(x1-x0)*t), int(float64(y0)+float64(y1-y0)*t)
		if x >= 0 && x < w && y >= 0 && y < h {
			at := 3 * (y*w + x)
			image.Data[at], image.Data[at+1], image.Data[at+2] = 0, 0, 0
		}
	}
}

func abs(x float32) float32 { return max(x, -x) }
