package ltxv

import (
	"context"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/tensor"
)

func headScale(width int) float32 { return float32(1 / math.Sqrt(float64(width))) }

// window is the first one of the kernel positions of an axis of a length that position i attends to: the kernel is centred on it, but stays
// inside the axis.
func window(i, kernel, length int) int { return min(max(i-kernel/2, 0), length-kernel) }

// tile is a part of an axis: size positions from first on, which attend only to seen positions from origin on.
type tile struct {
	first, origin int
	// hidden marks for each pair of a position and a seen position whether attention is masked.
	hidden []float32
}

// tileSize is the number of positions of a tile. Larger tiles share more keys and compute more masked products.
const tileSize = 8

// tiles are the tiles of an axis, all of one size; the last one overlaps the one before it where they do not divide the axis.
func tiles(length, kernel int) (list []tile, size, seen int) {
	size = min(tileSize, length)
	seen = min(size+kernel-1, length)
	for first := 0; first < length; first += size {
		t := tile{first: min(first, length-size), hidden: make([]float32, 0, size*seen)}
		t.origin = min(max(t.first-kernel/2, 0), length-seen)
		for i := range size {
			from := window(t.first+i, kernel, length) - t.origin
			for k := range seen {
				v := float32(0)
				if k < from || k >= from+kernel {
					v = hidden
				}
				t.hidden = append(t.hidden, v)
			}
		}
		list = append(list, t)
	}
	return list, size, seen
}

// grid is the size of a stage's frames.
type grid struct{ frames, rows, columns int }

func (g grid) tokens() int { return g.rows * g.columns }

// naFrame is one frame on its way through the decoder: tokens [1,N,C], the context of the last stage, and the pixels that it denoises.
type naFrame struct{ x, context, pixels *tensor.Tensor }

// sink takes frames in order.
type sink func(f naFrame) error

// blockRun is a run of one block over the frames of a video: it holds the keys and values that the next frames attend to, and a frame until all
// frames that it attends to have arrived.
type blockRun struct {
	naBlock
	*decoding
	grid
	at            grid // the kernel, where the video has as many frames, rows and columns
	first         int  // the number of the first frame in held
	came, done    int
	held          []heldFrame
	down, across  []tile
	rows, columns int
	seenRows      int
	seenColumns   int
	inputs        []family.Value
	next          sink
}

type heldFrame struct {
	naFrame
	q, k, v *tensor.Tensor
}

func (r *decoding) block(b naBlock, g grid, inputs []family.Value, next sink) sink {
	run := &blockRun{naBlock: b, decoding: r, grid: g, inputs: inputs, next: next}
	run.at = grid{min(b.kernel[0], g.frames), min(b.kernel[1], g.rows), min(b.kernel[2], g.columns)}
	run.down, run.rows, run.seenRows = tiles(g.rows, run.at.rows)
	run.across, run.columns, run.seenColumns = tiles(g.columns, run.at.columns)
	return run.push
}

// push takes a frame and passes on the frames that it completes.
func (r *blockRun) push(f naFrame) error {
	cos, sin := r.rotary(r.came, r.grid, r.width/r.heads)
	in := []family.Value{family.Floats("x", f.x), family.Floats("cos", cos), family.Floats("sin", sin)}
	outputs := []string{"q", "k", "v"}
	if r.context > 0 {
		in = append(append(in, family.Floats("context", f.context)), r.inputs...)
		outputs = append(outputs, "sum")
	}
	out, err := r.run.Run(r.ctx, r.graph(r.name+" project", r.project), in, outputs...)
	if err != nil {
		return err
	}
	if r.context > 0 {
		f.x = out["sum"]
	}
	r.held = append(r.held, heldFrame{f, out["q"], out["k"], out["v"]})
	for r.came++; r.done < r.frames && window(r.done, r.at.frames, r.frames)+r.at.frames <= r.came; r.done++ {
		from := window(r.done, r.at.frames, r.frames)
		r.held, r.first = r.held[from-r.first:], from
		this := &r.held[r.done-r.first]
		y, err := r.attended(this)
		if err != nil {
			return err
		}
		passed := naFrame{y, this.context, this.pixels}
		this.naFrame, this.q = naFrame{}, nil
		if err := r.next(passed); err != nil {
			return err
		}
	}
	return nil
}

// tileBytes limits the bytes of the keys and values of the tiles of one run.
const tileBytes = 64 << 20

// together is the number of tiles per run.
func (r *blockRun) together() int {
	each := 8 * r.at.frames * r.seenRows * r.seenColumns * (r.width + r.heads*r.rows*r.columns/2)
	return min(max(tileBytes/max(each, 1), 1), len(r.down)*len(r.across))
}

// attended returns the block's result for a frame, which attends to the first frames of those held.
func (r *blockRun) attended(f *heldFrame) (*tensor.Tensor, error) {
	type place struct{ down, across tile }
	var places []place
	for _, d := range r.down {
		for _, a := range r.across {
			places = append(places, place{d, a})
		}
	}
	y := tensor.New(1, r.tokens(), r.width)
	seen := r.held[:r.at.frames]
	for size := r.together(); len(places) > 0; {
		size = min(size, len(places))
		x, q := tensor.New(size, r.rows, r.columns, r.width), tensor.New(size, r.rows, r.columns, r.width)
		k := tensor.New(size, len(seen), r.seenRows, r.seenColumns, r.width)
		v := tensor.New(k.Shape...)
		down, across := tensor.New(size, r.rows, r.seenRows), tensor.New(size, r.columns, r.seenColumns)
		for i, p := range places[:size] {
			tile := rect{p.down.first, p.across.first, r.rows, r.columns}
			r.cut(x.Index(i).Data, f.x.Data, tile)
			r.cut(q.Index(i).Data, f.q.Data, tile)
			around := rect{p.down.origin, p.across.origin, r.seenRows, r.seenColumns}
			n := r.seenRows * r.seenColumns * r.width
			for t, s := range seen {
				r.cut(k.Index(i).Data[t*n:(t+1)*n], s.k.Data, around)
				r.cut(v.Index(i).Data[t*n:(t+1)*n], s.v.Data, around)
			}
			copy(down.Index(i).Data, p.down.hidden)
			copy(across.Index(i).Data, p.across.hidden)
		}
		in := []family.Value{family.Floats("x", x), family.Floats("q", q), family.Floats("k", k), family.Floats("v", v), family.Floats("rows", down), family.Floats("columns", across)}
		out, err := r.run.Run(r.ctx, r.graph(r.name+" attend", r.attend), append(in, r.inputs...), "out")
		if err != nil {
			return nil, err
		}
		n := r.rows * r.columns * r.width
		for i, p := range places[:size] {
			r.paste(y.Data, out["out"].Data[i*n:(i+1)*n], rect{p.down.first, p.across.first, r.rows, r.columns})
		}
		places = places[size:]
	}
	return y, nil
}

// rect is a part of a frame.
type rect struct{ row, column, rows, columns int }

// cut copies a part of a frame's tokens, paste the other way round.
func (r *blockRun) cut(dst, src []float32, part rect) {
	line := part.columns * r.width
	for i := range part.rows {
		from := ((part.row+i)*r.grid.columns + part.column) * r.width
		copy(dst[i*line:(i+1)*line], src[from:from+line])
	}
}

func (r *blockRun) paste(dst, src []float32, part rect) {
	line := part.columns * r.width
	for i := range part.rows {
		to := ((part.row+i)*r.grid.columns + part.column) * r.width
		copy(dst[to:to+line], src[i*line:(i+1)*line])
	}
}

// rotary are the rotations of the tokens of frame t of heads of a width, of which a quarter depends on time.
func (r *decoding) rotary(t int, g grid, width int) (cos, sin *tensor.Tensor) {
	time := width / 4 / 2 * 2
	space := (width - time) / 2
	if space%2 != 0 {
		time -= 2
		space = (width - time) / 2
	}
	positions := make([]float64, 0, 3*g.tokens())
	for row := range g.rows {
		for column := range g.columns {
			positions = append(positions, float64(t), float64(row), float64(column))
		}
	}
	const base = 10000
	c, s := nn.RotaryTable(positions, base, time, space, space)
	shape := []int{1, g.tokens(), width / 2}
	return &tensor.Tensor{Shape: shape, Data: c}, &tensor.Tensor{Shape: shape, Data: s}
}

// decoding is one run of the decoder.
type decoding struct {
	*diffusionDecoder
	ctx context.Context
	run family.Runner
}
