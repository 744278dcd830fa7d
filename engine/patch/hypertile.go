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
	// tiles are the tiles of the layers that have some, by number; set by On.
	tiles map[int]tiling
}

// tiling cuts a grid of height·width positions into rows·cols tiles.
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
func (h HyperTile) On(latent Grid) (GraphPatch, LayerFunc) {
	h.tiles = map[int]tiling{}
	// Upstream takes height for width here and the other way round; both are kept.
	aspect := float64(latent.Width) / float64(latent.Height)
	return h, func(layer, queries int, draw func() uint32) int {
		n := float64(queries)
		depth := 0
		for depth <= h.Depth && n != float64(latent.Height)/math.Exp2(float64(depth))*(float64(latent.Width)/math.Exp2(float64(depth))) {
			depth++
		}
		if depth > h.Depth {
			return queries
		}
		tile := h.Tile
		if h.Scale {
			tile <<= depth
		}
		height, width := int(math.RoundToEven(math.Sqrt(n*aspect))), int(math.RoundToEven(math.Sqrt(n/aspect)))
		t := tiling{drawnDivisor(height, tile, h.Swap, draw), drawnDivisor(width, tile, h.Swap, draw), height, width}
		if t.rows*t.cols < 2 || height*width != queries {
			return queries
		}
		h.tiles[layer] = t
		return queries / (t.rows * t.cols)
	}
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
	t, ok := h.tiles[at.Number]
	count := t.rows * t.cols
	if !ok || q.Dim(1) != onnx.D(t.height*t.width) || k.Dim(1).N%count != 0 {
		return attend(q, k, v)
	}
	batch, width := q.Dim(0), q.Dim(-1)
	tall, wide := onnx.D(t.height/t.rows), onnx.D(t.width/t.cols)
	rows, cols := onnx.D(t.rows), onnx.D(t.cols)
	pieces := func(x *onnx.Value, positions int) *onnx.Value {
		return b.Reshape(x, batch.Times(onnx.D(count)), onnx.D(positions/count), width)
	}
	tiles := pieces(b.Transpose(b.Reshape(q, batch, rows, tall, cols, wide, width), 0, 1, 3, 2, 4, 5), t.height*t.width)
	y := attend(tiles, pieces(k, k.Dim(1).N), pieces(v, k.Dim(1).N))
	y = b.Transpose(b.Reshape(y, batch, rows, cols, tall, wide, width), 0, 1, 3, 2, 4, 5)
	return b.Reshape(y, batch, onnx.D(t.height*t.width), width)
}
