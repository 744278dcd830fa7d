package triposplat

import (
	"context"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// parts is the number of parts of a cell, levelWaves the width of the embedding of a level.
const (
	parts      = 8
	levelWaves = 256
)

// cells are those of one latent: their coordinates [N,3], and how many of its points each holds.
type cells struct {
	at     [][axes]int
	counts []int
}

// grow divides the unit cube depth times into the cells that hold points, and returns count points [1,count,3] for each latent of z [B,L,C]. All latents
// draw from one generator, side by side. Upstream: OctreeProbabilityFixedlenDecoder.sample.
func (v *vae) grow(ctx context.Context, run family.Runner, z *tensor.Tensor, count, depth int, random *torchrand.Generator) ([]*tensor.Tensor, error) {
	list := make([]cells, z.Dim(0))
	for b := range list {
		list[b] = cells{at: make([][axes]int, 1), counts: []int{count}}
	}
	for level := 1; level <= depth; level++ {
		most := 0
		for _, c := range list {
			most = max(most, len(c.at))
		}
		draws := make([]float32, most*len(list)) // one for each row of a batch whose rows are padded
		random.Uniform(draws)
		for b, c := range list {
			res, err := run.Run(ctx, v.octreeGraph(), []family.Value{
				family.Floats("points", c.centres(level)), family.Floats("level", levelWave(1<<level)), family.Floats("context", z.Slice(b, b+1)),
			}, "out")
			if err != nil {
				return nil, err
			}
			list[b] = c.divided(res["out"].Data, draws[b*most:])
		}
	}
	draws := make([]float32, len(list)*count*axes)
	random.Uniform(draws)
	out := make([]*tensor.Tensor, len(list))
	for b, c := range list {
		out[b] = c.points(count, depth, draws[b*count*axes:])
	}
	return out, nil
}

// centres are the middles [1,N,3] of cells that are divided for a level.
func (c cells) centres(level int) *tensor.Tensor {
	out := tensor.New(1, len(c.at), axes)
	for i, at := range c.at {
		for k, n := range at {
			out.Data[axes*i+k] = (float32(n) + 0.5) / float32(int(1)<<(level-1))
		}
	}
	return out
}

// levelWave are cosines and sines of the number of cells along a side, [1,levelWaves]. Upstream: LevelEmbedder.
func levelWave(side int) *tensor.Tensor {
	const half, period = levelWaves / 2, 1024
	out := tensor.New(1, levelWaves)
	for i := range half {
		frequency := float32(math.Exp(float64(float32(-math.Log(period)) * float32(i) / half)))
		sin, cos := math.Sincos(float64(float32(side) * frequency * 2 * math.Pi))
		out.Data[i], out.Data[half+i] = float32(cos), float32(sin)
	}
	return out
}

// divided gives the points of each cell to its parts by their logits [N,8]: at equal distances, from a start that is drawn, so that a part gets the share
// that it has, rounded up or down. Upstream: vae.py sample_probs.
func (c cells) divided(logits, draws []float32) cells {
	var out cells
	for i, count := range c.counts {
		cumulated := shares(logits[parts*i : parts*i+parts])
		var got [parts]int
		for k := range count {
			u := min((draws[i]+float32(k))/float32(count), 1)
			part := 0
			for part < parts-1 && cumulated[part] < u {
				part++
			}
			got[part]++
		}
		for part, n := range got {
			if n > 0 {
				at := c.at[i]
				out.at = append(out.at, [axes]int{2*at[0] + part&1, 2*at[1] + part>>1&1, 2*at[2] + part>>2})
				out.counts = append(out.counts, n)
			}
		}
	}
	return out
}

// shares are the cumulated probabilities of logits, in float32 as upstream rounds them.
func shares(logits []float32) (out [parts]float32) {
	top := float64(math.Inf(-1))
	for _, v := range logits {
		top = max(top, float64(v))
	}
	var p [parts]float64
	sum := 0.0
	for i, v := range logits {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	whole := float32(0)
	for i := range p {
		p[i] = float64(float32(p[i] / sum))
		whole += float32(p[i])
	}
	at := 0.0
	for i := range p {
		at += float64(float32(p[i]) / max(whole, 1))
		out[i] = min(float32(at), 1)
	}
	return out
}

// points are count points in cells at a depth, one for each that a cell holds, where draws say.
func (c cells) points(count, depth int, draws []float32) *tensor.Tensor {
	out := tensor.New(1, count, axes)
	i := 0
	for k, at := range c.at {
		for range c.counts[k] {
			for a, n := range at {
				out.Data[axes*i+a] = (float32(n) + draws[axes*i+a]) / float32(int(1)<<depth)
			}
			i++
		}
	}
	return out
}
