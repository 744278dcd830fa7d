package engine

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// tiling is the geometry of a tiled pass over [B,C,H,W]: tiles of at most TileH x TileW that overlap, their results
// scaled by Scale and blended over the overlap (upstream: comfy/utils.py tiled_scale_multidim).
type tiling struct {
	TileH, TileW, Overlap int
	Scale                 float64
	Channels              int
}

// mapTile turns a tile [1,C,h,w] into its scaled result [1,Channels,h',w'].
type mapTile func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error)

// run applies f to every tile and blends the results. step is called after each tile.
func (t tiling) run(ctx context.Context, x *tensor.Tensor, f mapTile, step func()) (*tensor.Tensor, error) {
	if t.TileH <= t.Overlap || t.TileW <= t.Overlap || t.Overlap < 0 {
		return nil, fmt.Errorf("tiling: tiles of %dx%d do not fit an overlap of %d", t.TileW, t.TileH, t.Overlap)
	}
	h, w := x.Dim(2), x.Dim(3)
	out := tensor.New(x.Dim(0), t.Channels, t.scaled(h), t.scaled(w))
	for b := range x.Dim(0) {
		in, dst := x.Slice(b, b+1), out.Index(b)
		if h <= t.TileH && w <= t.TileW {
			y, err := f(ctx, in)
			if err != nil {
				return nil, err
			}
			copy(dst.Data, y.Data)
			step()
			continue
		}
		if err := t.blend(ctx, in, dst, f, step); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t tiling) scaled(n int) int { return int(math.RoundToEven(t.Scale * float64(n))) }

// axis returns the axis of a pass over n rows or columns in tiles of the given size.
func (t tiling) axis(n, tile int) axis {
	return axis{size: n, tile: tile, overlap: t.Overlap, scaled: t.scaled, placed: t.scaled}
}

// steps is the number of tiles of one image of the given size.
func (t tiling) steps(h, w int) int {
	if h <= t.TileH && w <= t.TileW {
		return 1
	}
	return len(t.axis(h, t.TileH).starts()) * len(t.axis(w, t.TileW).starts())
}

func (t tiling) blend(ctx context.Context, in, dst *tensor.Tensor, f mapTile, step func()) error {
	h, w := in.Dim(2), in.Dim(3)
	weight := tensor.New(dst.Dim(1), dst.Dim(2))
	for _, y := range t.axis(h, t.TileH).starts() {
		for _, x := range t.axis(w, t.TileW).starts() {
			tile := cut(in, y, x, min(t.TileH, h-y), min(t.TileW, w-x))
			res, err := f(ctx, tile)
			if err != nil {
				return err
			}
			t.add(dst, weight, res, t.scaled(y), t.scaled(x))
			step()
		}
	}
	n := weight.Len()
	for i := range dst.Data {
		dst.Data[i] /= weight.Data[i%n]
	}
	return nil
}

// add blends one result into dst [C,H,W] at (top, left), with weights that fall off linearly over the overlap.
func (t tiling) add(dst, weight, res *tensor.Tensor, top, left int) {
	rh, rw := res.Dim(2), res.Dim(3)
	ry, rx := t.axis(rh, rh).ramp(rh), t.axis(rw, rw).ramp(rw)
	dh, dw := dst.Dim(1), dst.Dim(2)
	for y := range min(rh, dh-top) {
		for x := range min(rw, dw-left) {
			m := ry[y] * rx[x]
			at := (top+y)*dw + left + x
			weight.Data[at] += m
			for c := range dst.Dim(0) {
				dst.Data[c*dh*dw+at] += res.Data[(c*rh+y)*rw+x] * m
			}
		}
	}
}

// cut copies the window of size h x w at (top, left) of [1,C,H,W].
func cut(x *tensor.Tensor, top, left, h, w int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), h, w)
	sw := x.Dim(3)
	for c := range x.Dim(0) * x.Dim(1) {
		for y := range h {
			from := (c*x.Dim(2)+top+y)*sw + left
			copy(out.Data[(c*h+y)*w:(c*h+y+1)*w], x.Data[from:from+w])
		}
	}
	return out
}
