package engine

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/residency"
	"comfygo/engine/tensor"
)

// Upscaler is the value of UPSCALE_MODEL links: a network that enlarges images.
type Upscaler struct {
	rt   *Runtime
	file *file
	net  family.UpscaleNetwork
}

// LoadUpscaler opens the upscale model in the file at path.
func (rt *Runtime) LoadUpscaler(path string) (*Upscaler, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Upscaler()
	if err != nil {
		return nil, fmt.Errorf("loading the upscale model: %w", err)
	}
	return &Upscaler{rt: rt, file: f, net: net}, nil
}

// Scale is the upscaling factor of a side.
func (u *Upscaler) Scale() int { return u.net.Scale() }

// The tiles of a large image, in pixels (upstream: nodes_upscale_model.py).
const (
	upscaleTile    = 512
	upscaleOverlap = 32
	smallestTile   = 128
)

// Upscale enlarges images [B,H,W,C] in 0…1 to [B,H·scale,W·scale,3], in tiles where they are larger than 512 pixels, and
// in smaller ones where memory does not allow that. progress, if not nil, is called with the number of finished tiles and
// the total.
func (u *Upscaler) Upscale(ctx context.Context, pixels *tensor.Tensor, progress func(done, all int)) (*tensor.Tensor, error) {
	in, out := u.net.Channels()
	if len(pixels.Shape) != 4 || pixels.Dim(3) != in {
		return nil, fmt.Errorf("enlarging images of shape %v: the network takes %d channels", pixels.Shape, in)
	}
	x := planar(pixels)
	n, h, w := x.Dim(0), x.Dim(2), x.Dim(3)
	if h == 0 || w == 0 {
		return nil, fmt.Errorf("enlarging images of %dx%d: there is nothing to enlarge", w, h)
	}
	run := u.rt.runner(family.RoleUpscale, false, u.file)
	if err := u.rt.checkHost("enlarging the images", family.Product(n, h, w, u.Scale(), u.Scale(), out, 4, 3)); err != nil {
		return nil, err
	}
	for tile := upscaleTile; ; tile /= 2 {
		if need := u.net.Memory(min(tile, h), min(tile, w)); tile/2 >= smallestTile && !run.Fits(need) {
			continue
		}
		y, err := u.tiles(ctx, run, x, tile, progress)
		var short *residency.MemoryError
		if errors.As(err, &short) && tile/2 >= smallestTile {
			continue
		}
		if err != nil {
			return nil, err
		}
		return interleaved(y), nil
	}
}

func (u *Upscaler) tiles(ctx context.Context, run runner, x *tensor.Tensor, tile int, progress func(done, all int)) (*tensor.Tensor, error) {
	_, channels := u.net.Channels()
	t := tiling{TileH: tile, TileW: tile, Overlap: upscaleOverlap, Scale: float64(u.Scale()), Channels: channels}
	if err := run.Check("enlarging a tile", u.net.Memory(min(tile, x.Dim(2)), min(tile, x.Dim(3)))); err != nil {
		return nil, err
	}
	done, all := 0, x.Dim(0)*t.steps(x.Dim(2), x.Dim(3))
	f := func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) { return u.net.Upscale(ctx, run, x) }
	return t.run(ctx, x, f, func() {
		if done++; progress != nil {
			progress(done, all)
		}
	})
}
