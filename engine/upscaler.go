package engine

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
)

// Upscaler is what UPSCALE_MODEL links carry: a network that enlarges pictures.
type Upscaler struct {
	rt   *Runtime
	file *modelFile
	cfg  models.UpscalerConfig
}

// LoadUpscaler opens the network in the file at path.
func (rt *Runtime) LoadUpscaler(path string) (*Upscaler, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, err
	}
	if f.found.Upscaler == nil {
		return nil, fmt.Errorf("loading %s: the file holds no network that enlarges pictures", path)
	}
	return &Upscaler{rt: rt, file: f, cfg: *f.found.Upscaler}, nil
}

// Scale is how many pixels a pixel becomes along one side.
func (u *Upscaler) Scale() int { return u.cfg.Scale }

// The tiles of a large picture, in pixels (upstream: nodes_upscale_model.py).
const (
	upscaleTile    = 512
	upscaleOverlap = 32
	smallestTile   = 128
)

// Upscale enlarges pictures [B,H,W,C] in 0…1 to [B,H·scale,W·scale,3], in tiles where they are larger than 512 pixels, and
// in smaller ones where memory does not allow that. progress, if given, is told tiles done and in all.
func (u *Upscaler) Upscale(ctx context.Context, pixels *tensor.Tensor, progress func(done, all int)) (*tensor.Tensor, error) {
	if len(pixels.Shape) != 4 || pixels.Dim(3) != u.cfg.In {
		return nil, fmt.Errorf("enlarging pictures of shape %v: the network takes %d channels", pixels.Shape, u.cfg.In)
	}
	x := planar(pixels)
	n, h, w := x.Dim(0), x.Dim(2), x.Dim(3)
	if h == 0 || w == 0 {
		return nil, fmt.Errorf("enlarging pictures of %dx%d: there is nothing to enlarge", w, h)
	}
	if err := u.rt.checkHost("enlarging the pictures", product(n, h, w, u.cfg.Scale, u.cfg.Scale, u.cfg.Out, 4, 3)); err != nil {
		return nil, err
	}
	for tile := upscaleTile; ; tile /= 2 {
		if need := u.tileBytes(min(tile, h), min(tile, w)); tile/2 >= smallestTile && !u.rt.fits(need) {
			continue
		}
		y, err := u.tiles(ctx, x, tile, progress)
		var short *MemoryError
		if errors.As(err, &short) && tile/2 >= smallestTile {
			continue
		}
		if err != nil {
			return nil, err
		}
		return interleaved(y), nil
	}
}

// tileBytes estimates the activations for one tile: five sets of features at the small size, and four at the large.
func (u *Upscaler) tileBytes(h, w int) int64 {
	small := product(h, w, u.cfg.Features, 4, 5) / int64(u.cfg.Unshuffle*u.cfg.Unshuffle)
	return small + product(h, w, u.cfg.Scale, u.cfg.Scale, u.cfg.Features, 4, 4)/int64(u.cfg.Shuffle*u.cfg.Shuffle)
}

func (u *Upscaler) tiles(ctx context.Context, x *tensor.Tensor, tile int, progress func(done, all int)) (*tensor.Tensor, error) {
	t := tiling{TileH: tile, TileW: tile, Overlap: upscaleOverlap, Scale: float64(u.cfg.Scale), Channels: u.cfg.Out}
	if err := u.rt.checkHost("enlarging a tile", u.tileBytes(min(tile, x.Dim(2)), min(tile, x.Dim(3)))); err != nil {
		return nil, err
	}
	done, all := 0, x.Dim(0)*t.steps(x.Dim(2), x.Dim(3))
	return t.run(ctx, x, u.run, func() {
		if done++; progress != nil {
			progress(done, all)
		}
	})
}

// run enlarges one tile [1,C,H,W]. Like the reference, it mirrors the edges of tiles whose sides the network's squares
// of pixels do not divide, and bounds the result to 0…1.
func (u *Upscaler) run(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	p, err := u.rt.placeOf(u.rt.cfg.Device, dtype.F32)
	if err != nil {
		return nil, err
	}
	h, w := x.Dim(2), x.Dim(3)
	in := x
	if u.cfg.ESRGAN() {
		multiple := 1
		if u.cfg.Unshuffle > 1 {
			multiple = 4
		}
		const smallest = 2
		in = unshuffled(mirrored(x, roundedUp(max(h, smallest), multiple), roundedUp(max(w, smallest), multiple)), u.cfg.Unshuffle)
	}
	var res map[string]ort.Value
	err = u.rt.with(ctx, u.file, "upscaler", p, func() (*onnx.Graph, error) { return u.graph(p.target) }, func(n *network) error {
		res, err = n.run(ctx, map[string]ort.Value{"pixels": ort.Floats(in.Data, in.Shape...)}, "out")
		return err
	})
	if err != nil {
		return nil, err
	}
	y, err := asTensor(res["out"])
	if err != nil {
		return nil, err
	}
	y = shuffled(y, u.cfg.Shuffle)
	if !u.cfg.ESRGAN() { // the compact network adds to the picture itself
		addNearest(y, x, u.cfg.Scale)
	}
	for i, v := range y.Data {
		y.Data[i] = min(max(v, 0), 1)
	}
	return cut(y, 0, 0, h*u.cfg.Scale, w*u.cfg.Scale), nil
}

func (u *Upscaler) graph(t nn.Target) (*onnx.Graph, error) {
	return models.UpscalerGraph(u.file.found.UpscalerScope(), u.cfg, t)
}
