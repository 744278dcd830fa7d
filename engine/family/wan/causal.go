package wan

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	kv "comfygo/engine/family/decoder"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// past are the keys and values of the blocks of a video that were predicted before, for one row of the latent: a list of each block of the
// network, and the values behind them all. Upstream: ldm/wan/ar_model.py.
type past struct {
	cache *kv.Cache
	// frames is the number of frames in it, grid the patches of each.
	frames int
	grid   dit.Grid
}

// pastKey identifies the pasts of a model in a run, by the side of the guidance and the row.
type pastKey struct {
	model *model
	sides string
	row   int
}

// part returns the part of a video that a call predicts.
func (m *model) part(c family.Call) (sampling.Block, bool) {
	b, ok := c.Inputs.Options[sampling.OptionBlock].(sampling.Block)
	return b, ok && m.causal
}

// predictBlock predicts a part of a video that attends to those before it, row by row.
func (m *model) predictBlock(ctx context.Context, run family.Runner, c family.Call, part sampling.Block) (*tensor.Tensor, error) {
	if c.Inputs.State == nil {
		return nil, fmt.Errorf("predicting a block of a video: the call belongs to no run")
	}
	out := tensor.New(c.X.Shape...)
	rows := c.X.Dim(0)
	for row := range rows {
		key := pastKey{m, fmt.Sprint(c.Inputs.Negative), row}
		p := sampling.Keep(c.Inputs.State, key, func() *past {
			widths := make([]int, 2*m.blocks)
			for i := range widths {
				widths[i] = m.hidden
			}
			return &past{cache: kv.NewCache(run, nil, widths...), grid: dit.GridOf(c.X.Shape, side)}
		})
		y, err := m.predictRow(ctx, run, rowOf(c, row), part, p)
		if err != nil {
			return nil, err
		}
		copy(out.Index(row).Data, y.Data)
	}
	return out, nil
}

// rowOf is a call of one row of another.
func rowOf(c family.Call, row int) family.Call {
	rows := c.X.Dim(0)
	list := make([]sampling.Input, len(c.Inputs.List))
	for i, in := range c.Inputs.List {
		if in.Value != nil && in.Rule != sampling.Shared && len(in.Value.Shape) > 0 && in.Value.Dim(0) == rows {
			in.Value = in.Value.Slice(row, row+1)
		}
		list[i] = in
	}
	c.X, c.T, c.Inputs.List = c.X.Slice(row, row+1), c.T[row:row+1], list
	return c
}

func (m *model) predictRow(ctx context.Context, run family.Runner, c family.Call, part sampling.Block, p *past) (*tensor.Tensor, error) {
	b, err := m.batch(c)
	if err != nil {
		return nil, err
	}
	if len(c.Attached) > 0 {
		return nil, errors.New("predicting a block of a video: model patches do not go with blocks: choose another sampler, or leave the patch out")
	}
	b.v.Skip = nil // upstream leaves no blocks out here
	if p.frames != part.Start || p.grid != b.grid {
		return nil, fmt.Errorf("predicting a block of a video from frame %d on: %d frames before it were kept, of %dx%d patches", part.Start, p.frames, p.grid.Width, p.grid.Height)
	}
	if part.Start > 0 {
		b.v.Past = true
		b.sizes["P"] = p.cache.Tokens
		b.in = append(b.in, p.cache.Inputs(inputPast)...)
	}
	names := []string{"out"}
	if part.Keep {
		b.v.Keep = true
		for i := range 2 * m.blocks {
			names = append(names, outputKept(i))
		}
		if p.cache.Tokens == 0 {
			if err := p.cache.Reserve(part.Total * b.grid.Tokens()); err != nil {
				return nil, err
			}
		}
	}
	if err := run.Check("predicting a block of a video", m.memory(b.v, b.symbols())); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(b.v), b.in, names...)
	if err != nil {
		return nil, err
	}
	if part.Keep {
		n := b.frames * b.grid.Tokens()
		p.cache.Add(n, func(i int) []float32 { return out[outputKept(i)].Data })
		p.frames += b.frames
	}
	return dit.UnpatchifyFrames(out["out"], side, tensor.ChannelsLast, c.X.Shape)
}

func inputPast(i int) string  { return fmt.Sprint("past", i) }
func outputKept(i int) string { return fmt.Sprint("kept", i) }

// remember puts keys and values [1,S,C] of the block that is written behind those of the part of the video before. Inputs: past… [1,P,C].
func (w *writer) remember(k, v *onnx.Value) (keys, values *onnx.Value) {
	if w.v.Keep {
		w.kept = append(w.kept, k, v)
	}
	if !w.v.Past {
		return k, v
	}
	before := func(i int) *onnx.Value {
		return w.Cast(w.Input(inputPast(i), dtype.F32, k.Dim(0), onnx.Sym("P"), onnx.D(w.hidden)), w.Target.Compute)
	}
	at := w.remembered
	w.remembered++
	return w.Concat(1, before(at), k), w.Concat(1, before(w.blocks+at), v)
}

// keep writes the outputs that are kept: the keys of all blocks, and the values behind them.
func (w *writer) keep() {
	for i := range len(w.kept) / 2 {
		dit.Output(w.Builder, outputKept(i), w.kept[2*i])
		dit.Output(w.Builder, outputKept(w.blocks+i), w.kept[2*i+1])
	}
}
