package engine

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Tiles is how a VAE works in tiles: on Width x Height of its input at once, which share Overlap rows and columns with their neighbours.
// Frames and FrameOverlap are the same along time, for VAEs of videos; 0 means all frames at once. Decoding counts latent cells and
// frames, encoding counts pixels and frames.
type Tiles struct {
	Width, Height, Overlap int
	Frames, FrameOverlap   int
}

// axis is one axis of a tiled pass. Upstream: comfy/utils.py tiled_scale_multidim.
type axis struct {
	size, tile, overlap int
	// inner reports weights that change only beside other tiles; see family.VAEInfo.InnerRamps.
	inner bool
	// scaled is the size of the result of n inputs, placed is the place at which the result of input n begins.
	scaled, placed func(n int) int
}

// starts lists where tiles begin.
func (a axis) starts() []int {
	if a.size <= a.tile {
		return []int{0}
	}
	var list []int
	if a.inner {
		for at := 0; at < a.size; at += a.tile - a.overlap {
			if at == 0 || a.length(at) > a.overlap {
				list = append(list, at)
			}
		}
		return list
	}
	for at := 0; at < a.size-a.overlap; at += a.tile - a.overlap {
		list = append(list, max(0, min(a.size-a.overlap, at)))
	}
	return list
}

// length is the size of the tile that begins at start.
func (a axis) length(start int) int { return min(a.tile, a.size-start) }

// ramp are the weights of the result of a tile, n in all: they fall off linearly over the overlap.
func (a axis) ramp(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	feather := a.scaled(a.overlap)
	if feather >= n {
		return out
	}
	for i := range feather {
		w := float32(float64(i+1) / float64(feather))
		out[i] *= w
		out[n-1-i] *= w
	}
	return out
}

// weights are those of the result of the tile of so many inputs at start.
func (a axis) weights(start, length int) []float32 {
	n := a.scaled(length)
	if !a.inner {
		return a.ramp(n)
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	feather := min(a.scaled(a.overlap), n/2)
	for i := range feather {
		w := float32(0.5 - 0.5*math.Cos(math.Pi*float64(i)/float64(max(feather-1, 1))))
		if start > 0 {
			out[i] = w
		}
		if start+length < a.size {
			out[n-feather+i] = 1 - w
		}
	}
	return out
}

// total is the sum of the weights of all tiles at each place of the result.
func (a axis) total() []float32 {
	out := make([]float32, a.scaled(a.size))
	for _, start := range a.starts() {
		at := a.placed(start)
		for i, w := range a.weights(start, a.length(start)) {
			if at+i < len(out) {
				out[at+i] += w
			}
		}
	}
	return out
}

// check fails for tiles that do not fit their overlap.
func (a axis) check(what string) error {
	if a.overlap < 0 || a.size > a.tile && a.tile <= a.overlap {
		return fmt.Errorf("tiling: tiles of %d %s do not fit an overlap of %d", a.tile, what, a.overlap)
	}
	return nil
}

// videoAxes are the axes time, row and column of a pass over a video. least is the smallest difference of a tile and its overlap.
func (v *VAE) videoAxes(size [3]int, t Tiles, least int, frames, cells, place func(n int) int, side func(n int) int) ([3]axis, error) {
	inner := v.info.InnerRamps
	if inner {
		t.Frames, t.FrameOverlap = 0, 0
		t.Width, t.Height = max(t.Width, 1), max(t.Height, 1)
		t.Overlap = max(0, min(t.Overlap, min(t.Width, t.Height)-least))
	}
	if t.Frames <= 0 {
		t.Frames, t.FrameOverlap = size[0], min(t.FrameOverlap, size[0]-1)
	}
	axes := [3]axis{
		{size: size[0], tile: t.Frames, overlap: t.FrameOverlap, scaled: frames, placed: place},
		{size: size[1], tile: t.Height, overlap: t.Overlap, inner: inner, scaled: cells, placed: side},
		{size: size[2], tile: t.Width, overlap: t.Overlap, inner: inner, scaled: cells, placed: side},
	}
	for i, what := range []string{"frames", "rows", "columns"} {
		if err := axes[i].check(what); err != nil {
			return axes, err
		}
	}
	return axes, nil
}

// tile is one tile of a video: where it begins and its sizes.
type tile struct{ start, size [3]int }

// tilesOf lists the tiles of a video.
func tilesOf(axes [3]axis) []tile {
	var list []tile
	for _, f := range axes[0].starts() {
		for _, y := range axes[1].starts() {
			for _, x := range axes[2].starts() {
				list = append(list, tile{start: [3]int{f, y, x}, size: [3]int{axes[0].length(f), axes[1].length(y), axes[2].length(x)}})
			}
		}
	}
	return list
}

// cutVideo copies the part t of a video [1,C,T,h,w].
func cutVideo(x *tensor.Tensor, t tile) *tensor.Tensor {
	out := tensor.New(1, x.Dim(1), t.size[0], t.size[1], t.size[2])
	to := out.Data
	for c := range x.Dim(1) {
		for f := range t.size[0] {
			for y := range t.size[1] {
				from := ((c*x.Dim(2)+t.start[0]+f)*x.Dim(3)+t.start[1]+y)*x.Dim(4) + t.start[2]
				to = to[copy(to, x.Data[from:from+t.size[2]]):]
			}
		}
	}
	return out
}

// strides describes how values of a video lie in memory: the distance of neighbours along time, row, column and channel.
type strides struct{ frame, row, column, channel int }

// blended is the result of a tiled pass, in which tiles are added up.
type blended struct {
	axes [3]axis
	// data are the values of size [3], channels of them at each place.
	data     []float32
	size     [3]int
	channels int
	at       strides
}

// add adds frames [from, from+n) of the result of a tile, whose values lie at src as from says.
func (b *blended) add(t tile, first, n int, src []float32, from strides) {
	var ramps [3][]float32
	var base [3]int
	for i, a := range b.axes {
		ramps[i], base[i] = a.weights(t.start[i], t.size[i]), a.placed(t.start[i])
	}
	for f := range min(n, b.size[0]-base[0]-first) {
		for y := range min(len(ramps[1]), b.size[1]-base[1]) {
			w := ramps[0][first+f] * ramps[1][y]
			for x := range min(len(ramps[2]), b.size[2]-base[2]) {
				weight := w * ramps[2][x]
				to := (base[0]+first+f)*b.at.frame + (base[1]+y)*b.at.row + (base[2]+x)*b.at.column
				read := f*from.frame + y*from.row + x*from.column
				for c := range b.channels {
					b.data[to+c*b.at.channel] += weight * src[read+c*from.channel]
				}
			}
		}
	}
}

// finish divides by the sum of the weights and maps the result.
func (b *blended) finish(output func(v float32) float32) {
	var totals [3][]float32
	for i, a := range b.axes {
		totals[i] = a.total()
	}
	for f := range b.size[0] {
		for y := range b.size[1] {
			w := totals[0][f] * totals[1][y]
			for x := range b.size[2] {
				at := f*b.at.frame + y*b.at.row + x*b.at.column
				for c := range b.channels {
					i := at + c*b.at.channel
					b.data[i] = output(b.data[i] / max(w*totals[2][x], 1e-6))
				}
			}
		}
	}
}

// decodeVideoTiled is decodeVideo in tiles.
func (v *VAE) decodeVideoTiled(ctx context.Context, z *tensor.Tensor, t Tiles) (*tensor.Tensor, error) {
	z, err := v.videoLatent(z)
	if err != nil {
		return nil, err
	}
	up := v.upscale()
	pixels := func(n int) int { return n * up }
	axes, err := v.videoAxes([3]int(z.Shape[2:]), t, 1, v.Frames, pixels, func(n int) int { return n * v.info.Pace }, pixels)
	if err != nil {
		return nil, err
	}
	frames, h, w, channels := v.Frames(z.Dim(2)), z.Dim(3)*up, z.Dim(4)*up, v.info.PixelChannels()
	if err := v.rt.checkHost("decoding the video", v.imageBytes(z.Dim(0)*frames, z.Dim(3), z.Dim(4))); err != nil {
		return nil, err
	}
	out, list := tensor.New(z.Dim(0)*frames, h, w, channels), tilesOf(axes)
	for b := range z.Dim(0) {
		sum := &blended{
			axes: axes, data: out.Slice(b*frames, (b+1)*frames).Data, size: [3]int{frames, h, w}, channels: channels,
			at: strides{frame: h * w * channels, row: w * channels, column: channels, channel: 1},
		}
		for i, at := range list {
			part := family.PartOf(ctx, b*len(list)+i, z.Dim(0)*len(list))
			if err := v.decodeTile(part, cutVideo(z.Slice(b, b+1), at), at, sum); err != nil {
				return nil, err
			}
		}
		sum.finish(v.output())
	}
	return out, nil
}

// decodeTile decodes one tile of a video and adds it to the whole.
func (v *VAE) decodeTile(ctx context.Context, z *tensor.Tensor, t tile, sum *blended) error {
	h, w, frames := t.size[1]*v.upscale(), t.size[2]*v.upscale(), v.Frames(t.size[0])
	done := 0
	emit := func(y *tensor.Tensor) error {
		if y.Dim(1) != sum.channels || y.Dim(2) != h || y.Dim(3) != w || done+y.Dim(0) > frames {
			return fmt.Errorf("decoding a tile of shape %v: frames of shape %v do not fit a video of %d frames of %dx%d", z.Shape, y.Shape, frames, w, h)
		}
		sum.add(t, done, y.Dim(0), y.Data, strides{frame: sum.channels * h * w, channel: h * w, row: w, column: 1})
		done += y.Dim(0)
		return nil
	}
	if s, ok := v.net.(family.Streamed); ok {
		run := v.runner()
		defer v.rt.sessions.Reserve(run.device, v.net.DecodeMemory(z.Shape))()
		return s.DecodeStream(ctx, run, z, emit)
	}
	y, err := v.decode(ctx, z)
	if err != nil {
		return err
	}
	family.Advance(ctx, 1, 1)
	return emit(y)
}

// encodeVideoTiled is encodeVideo in tiles. x are the frames [T,C,H,W]; those beyond the last whole latent frame are left out.
func (v *VAE) encodeVideoTiled(ctx context.Context, x *tensor.Tensor, t Tiles) (*tensor.Tensor, error) {
	pace, down := v.info.Pace, v.info.Downscale
	latents := func(n int) int { return (n + pace - 1) / pace }
	place := func(by int) func(n int) int {
		return func(n int) int {
			if v.info.InnerRamps {
				return n / by
			}
			return int(math.RoundToEven(float64(n) / float64(by)))
		}
	}
	x = x.Slice(0, v.Frames(latents(x.Dim(0))))
	axes, err := v.videoAxes([3]int{x.Dim(0), x.Dim(2), x.Dim(3)}, t, down, latents, place(down), place(pace), place(down))
	if err != nil {
		return nil, err
	}
	n, h, w := latents(x.Dim(0)), x.Dim(2)/down, x.Dim(3)/down
	out, list := tensor.New(1, v.info.Channels, n, h, w), tilesOf(axes)
	at := strides{channel: n * h * w, frame: h * w, row: w, column: 1}
	sum := &blended{axes: axes, data: out.Data, size: [3]int{n, h, w}, channels: v.info.Channels, at: at}
	for i, piece := range list {
		y, err := v.encode(family.PartOf(ctx, i, len(list)), cutImages(x, piece))
		if err != nil {
			return nil, err
		}
		want := []int{1, v.info.Channels, axes[0].scaled(piece.size[0]), axes[1].scaled(piece.size[1]), axes[2].scaled(piece.size[2])}
		if !slices.Equal(y.Shape, want) {
			return nil, fmt.Errorf("encoding a tile of %d frames of %dx%d: the latent has shape %v, wanted %v", piece.size[0], piece.size[2], piece.size[1], y.Shape, want)
		}
		sum.add(piece, 0, y.Dim(2), y.Data, strides{channel: tensor.Count(y.Shape[2:]), frame: y.Dim(3) * y.Dim(4), row: y.Dim(4), column: 1})
	}
	sum.finish(func(f float32) float32 { return f })
	return out, nil
}

// cutImages copies the part t of the frames of a video [T,C,H,W].
func cutImages(x *tensor.Tensor, t tile) *tensor.Tensor {
	out := tensor.New(t.size[0], x.Dim(1), t.size[1], t.size[2])
	to := out.Data
	for f := range t.size[0] {
		for c := range x.Dim(1) {
			for y := range t.size[1] {
				from := (((t.start[0]+f)*x.Dim(1)+c)*x.Dim(2)+t.start[1]+y)*x.Dim(3) + t.start[2]
				to = to[copy(to, x.Data[from:from+t.size[2]]):]
			}
		}
	}
	return out
}

// WithProgress returns a context in which VAEs call f with the finished and the total amount of their work.
func WithProgress(ctx context.Context, f func(done, all int)) context.Context {
	return family.WithProgress(ctx, f)
}
