package patch

import (
	"fmt"
	"math"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
)

// HyperTile makes the positions of a latent attend within tiles: queries in tiles of the image, and keys in the same number
// of consecutive pieces (upstream: nodes_hypertile.py). The number of tiles is drawn for each layer and each call; layers
// with different draws have different graphs.
type HyperTile struct {
	// Tile is the least side of a tile, in cells of the latent; Swap the number of sizes to draw from.
	Tile, Swap int
	// Depth is the number of halvings of the latent down to which layers are tiled; with Scale tiles grow with them.
	Depth int
	Scale bool
	// tiles are the tiles of each layer, set by On.
	tiles []tiling
}

// tiling cuts a grid of height·width positions into rows·cols tiles; the zero value is for a layer without.
type tiling struct{ rows, cols, height, width int }

var (
	_ AttendPatch = HyperTile{}
	_ LayerPatch  = HyperTile{}
	_ SizedPatch  = HyperTile{}
)

// Point implements GraphPatch.
func (HyperTile) Point() Point { return SelfAttention }

// Digest implements GraphPatch.
func (h HyperTile) Digest() string { return fmt.Sprint(h.tiles) }

// Sized implements SizedPatch.
func (HyperTile) Sized() {}

// On implements LayerPatch.
func (h HyperTile) On(latent Grid, layers []Grid, draw func() uint32) GraphPatch {
	h.tiles = make([]tiling, len(layers))
	for i, layer := range layers {
		n := layer.Height * layer.Width
		depth := 0
		for depth <= h.Depth && float64(n) != float64(latent.Height)/math.Exp2(float64(depth))*(float64(latent.Width)/math.Exp2(float64(depth))) {
			depth++
		}
		if depth > h.Depth {
			continue
		}
		tile := h.Tile
		if h.Scale {
			tile <<= depth
		}
		// Upstream takes height for width here and the other way round; both are kept.
		aspect := float64(latent.Width) / float64(latent.Height)
		height := int(math.RoundToEven(math.Sqrt(float64(n) * aspect)))
		width := int(math.RoundToEven(math.Sqrt(float64(n) / aspect)))
		t := tiling{drawnDivisor(height, tile, h.Swap, draw), drawnDivisor(width, tile, h.Swap, draw), height, width}
		if t.rows*t.cols > 1 && height*width == n {
			h.tiles[i] = t
		}
	}
	return h
}

// drawnDivisor returns the number of parts, of at least a given size, into which a number is divided: drawn among the
// options with the smallest parts, of which the last is never drawn.
func drawnDivisor(n, least, options int, draw func() uint32) int {
	var counts []int
	for size := min(least, n); size <= n && len(counts) < options; size++ {
		if size > 0 && n%size == 0 {
			counts = append(counts, n/size)
		}
	}
	switch len(counts) {
	case 0:
		return 1
	case 1:
		return counts[0]
	}
	return counts[int(draw()%uint32(len(counts)-1))]
}

// Attend implements AttendPatch.
func (h HyperTile) Attend(b *nn.Builder, at Site, q, k, v *onnx.Value, attend func(q, k, v *onnx.Value) *onnx.Value) *onnx.Value {
	if at.Number >= len(h.tiles) || h.tiles[at.Number].rows == 0 {
		return attend(q, k, v)
	}
	t := h.tiles[at.Number]
	if q.Dim(1) != onnx.D(t.height*t.width) { // the positions are merged
		return attend(q, k, v)
	}
	count, batch, width := t.rows*t.cols, q.Dim(0), q.Dim(-1)
	tall, wide := onnx.D(t.height/t.rows), onnx.D(t.width/t.cols)
	rows, cols := onnx.D(t.rows), onnx.D(t.cols)
	pieces := func(x *onnx.Value) *onnx.Value {
		return b.Reshape(x, batch.Times(onnx.D(count)), onnx.D(t.height*t.width/count), width)
	}
	tiles := pieces(b.Transpose(b.Reshape(q, batch, rows, tall, cols, wide, width), 0, 1, 3, 2, 4, 5))
	y := attend(tiles, pieces(k), pieces(v))
	y = b.Transpose(b.Reshape(y, batch, rows, cols, tall, wide, width), 0, 1, 3, 2, 4, 5)
	return b.Reshape(y, batch, onnx.D(t.height*t.width), width)
}
