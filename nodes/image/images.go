package image

import (
	"context"
	"fmt"
	"image"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageCropV2{})
	nodes.Register(&PrimitiveBoundingBox{})
	nodes.Register(&SplitImageToTileList{})
	nodes.Register(&ImageMergeTileList{})
}

// ImageCropV2 cuts a region out of images and shows it.
type ImageCropV2 struct {
	Image      *tensor.Tensor `in:"image" type:"IMAGE"`
	CropRegion any            `in:"crop_region" type:"BOUNDING_BOX" default:"{\"x\": 0, \"y\": 0, \"width\": 512, \"height\": 512}" socketless:"true" component:"ImageCrop"`
}

// Spec implements nodes.Node.
func (*ImageCropV2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageCropV2", DisplayName: "Crop Image", Category: "image/transform",
		Module: "comfy_extras.nodes_images", V3: true,
		EssentialsCategory:    "Image Tools",
		Outputs:               nodes.Outputs("IMAGE"),
		HasIntermediateOutput: true,
		Description:           "Crops images to a region.",
		SearchAliases:         []string{"crop", "cut", "trim"},
		Uses:                  nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageCropV2) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. A region that begins beyond the image is moved to its last row or column.
func (n *ImageCropV2) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	region, ok := n.CropRegion.(*pyjson.Object)
	if !ok {
		return nodes.Result{}, nodes.Errorf("AttributeError", "cropping an image: crop_region is a %s, want a bounding box", pyjson.TypeName(n.CropRegion))
	}
	var box [4]int
	for i, key := range []string{"x", "y", "width", "height"} {
		v, there := region.Get(key)
		if !there {
			v = []any{int64(0), int64(0), int64(512), int64(512)}[i]
		}
		whole, ok := v.(int64)
		if !ok || whole < -1<<31 || whole > 1<<31 {
			return nodes.Result{}, nodes.Errorf("TypeError", "cropping an image: %s of crop_region is %s, want an integer", key, pyjson.Repr(v))
		}
		box[i] = int(whole)
	}
	h, w := n.Image.Shape[1], n.Image.Shape[2]
	x, y := min(box[0], w-1), min(box[1], h-1)
	left, right := sliceBounds(x, x+box[2], w)
	top, bottom := sliceBounds(y, y+box[3], h)
	if left >= right || top >= bottom {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping an image of %dx%d: the region at %d,%d of %dx%d has no pixel", w, h, box[0], box[1], box[2], box[3])
	}
	out, err := imaging.Crop(n.Image, 1, top, bottom, left, right)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("cropping an image: %w", err)
	}
	return previewed(ctx, out, out)
}

// PrimitiveBoundingBox gives a bounding box.
type PrimitiveBoundingBox struct {
	X      int `in:"x" default:"0" min:"0" max:"16384"`
	Y      int `in:"y" default:"0" min:"0" max:"16384"`
	Width  int `in:"width" default:"512" min:"1" max:"16384"`
	Height int `in:"height" default:"512" min:"1" max:"16384"`
}

// Spec implements nodes.Node.
func (*PrimitiveBoundingBox) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PrimitiveBoundingBox", DisplayName: "Bounding Box", Category: "utilities/primitive",
		Module: "comfy_extras.nodes_images", V3: true,
		Outputs: nodes.Outputs("BOUNDING_BOX"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *PrimitiveBoundingBox) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(pyjson.NewObject("x", int64(n.X), "y", int64(n.Y), "width", int64(n.Width), "height", int64(n.Height))), nil
}

// SplitImageToTileList cuts images into tiles that overlap.
type SplitImageToTileList struct {
	Image      *tensor.Tensor `in:"image" type:"IMAGE"`
	TileWidth  int            `in:"tile_width" default:"1024" min:"64" max:"16384"`
	TileHeight int            `in:"tile_height" default:"1024" min:"64" max:"16384"`
	Overlap    int            `in:"overlap" default:"128" min:"0" max:"4096"`
}

// Spec implements nodes.Node.
func (*SplitImageToTileList) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplitImageToTileList", DisplayName: "Split Image into List of Tiles", Category: "image/batch",
		Module: "comfy_extras.nodes_images", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", List: true}},
		Description:   "Splits an image into a list of tiles with an overlap.",
		SearchAliases: []string{"split image", "tile image", "slice image"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SplitImageToTileList) Sizes(s *nodes.Sizing) nodes.Images {
	w, h, tw, th, overlap := s.In.Width, s.In.Height, s.Number("tile_width"), s.Number("tile_height"), s.Number("overlap")
	const largest = 1 << 20 // of a side
	if !(w+h+tw+th+overlap < largest) {
		return nodes.UnknownImages()
	}
	places, err := tilePlaces(int(w), int(h), int(tw), int(th), int(overlap))
	if err != nil {
		return nodes.UnknownImages()
	}
	p := s.In.Of(min(tw, w), min(th, h))
	p.Count, p.Lists = p.Count*float64(len(places)), p.Lists*float64(len(places))
	return p
}

// Run implements nodes.Node.
func (n *SplitImageToTileList) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	places, err := tilePlaces(n.Image.Shape[2], n.Image.Shape[1], n.TileWidth, n.TileHeight, n.Overlap)
	if err != nil {
		return nodes.Result{}, err
	}
	size := 0
	for _, p := range places {
		size += p.Dx() * p.Dy()
	}
	if err := imaging.CheckSize("image tiles", n.Image.Shape[0], size, n.Image.Shape[3]); err != nil {
		return nodes.Result{}, err
	}
	tiles := make([]*tensor.Tensor, len(places))
	for i, p := range places {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		if tiles[i], err = imaging.Crop(n.Image, 1, p.Min.Y, p.Max.Y, p.Min.X, p.Max.X); err != nil {
			return nodes.Result{}, fmt.Errorf("cutting tile %d: %w", i, err)
		}
	}
	return nodes.Out(tiles), nil
}

// ImageMergeTileList puts tiles back together, weighted over their overlaps.
type ImageMergeTileList struct {
	ImageList   []*tensor.Tensor `in:"image_list" type:"IMAGE"`
	FinalWidth  []int            `in:"final_width" default:"1024" min:"64" max:"32768"`
	FinalHeight []int            `in:"final_height" default:"1024" min:"64" max:"32768"`
	Overlap     []int            `in:"overlap" default:"128" min:"0" max:"4096"`
}

// Spec implements nodes.Node.
func (*ImageMergeTileList) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageMergeTileList", DisplayName: "Merge List of Tiles to Image", Category: "image/batch",
		Module: "comfy_extras.nodes_images", V3: true,
		Outputs:       nodes.Outputs("IMAGE"),
		InputIsList:   true,
		SearchAliases: []string{"split image", "tile image", "slice image"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageMergeTileList) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In.Of(s.Number("final_width"), s.Number("final_height"))
	p.Lists = 1
	return p
}

// Run implements nodes.Node. Missing tiles leave black, further ones are ignored.
func (n *ImageMergeTileList) Run(ctx *nodes.Context) (nodes.Result, error) {
	if len(n.ImageList) == 0 || !isImage(n.ImageList[0]) {
		return nodes.Result{}, errNoImage("image_list")
	}
	if len(n.FinalWidth) == 0 || len(n.FinalHeight) == 0 || len(n.Overlap) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "merging tiles: final_width, final_height or overlap has no value")
	}
	first, w, h := n.ImageList[0], n.FinalWidth[0], n.FinalHeight[0]
	places, err := tilePlaces(w, h, first.Shape[2], first.Shape[1], n.Overlap[0])
	if err != nil {
		return nodes.Result{}, err
	}
	b, c := first.Shape[0], first.Shape[3]
	if err := imaging.CheckSize("the merged image", b, h, w, c+1); err != nil {
		return nodes.Result{}, err
	}
	rows, columns := tileWeights(first.Shape[1], n.Overlap[0]), tileWeights(first.Shape[2], n.Overlap[0])
	out, weights := tensor.New(b, h, w, c), make([]float32, h*w)
	for i, p := range places {
		if i == len(n.ImageList) {
			break
		}
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		tile := n.ImageList[i]
		if !isImage(tile) || tile.Shape[0] != b && tile.Shape[0] != 1 || tile.Shape[3] != c && tile.Shape[3] != 1 {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "merging tiles: tile %d does not fit the first one, which is a batch of %d with %d channels", i, b, c)
		}
		addTile(out, weights, tile, p, rows, columns)
	}
	for i := range out.Data {
		if weight := weights[i/c%(h*w)]; weight != 0 {
			out.Data[i] /= weight
		}
	}
	return nodes.Out(out), nil
}

// sliceBounds are the bounds of Python's slice [from:to] of n elements.
func sliceBounds(from, to, n int) (int, int) {
	place := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	return place(from), place(to)
}

// maxTiles bounds the tiles of an image.
const maxTiles = 1 << 16

// tilePlaces lays tiles over an image, row by row; those at the right and the lower edge are moved inwards.
func tilePlaces(width, height, tileWidth, tileHeight, overlap int) ([]image.Rectangle, error) {
	if width < 1 || height < 1 || tileWidth < 1 || tileHeight < 1 || overlap < 0 {
		return nil, nodes.Errorf("ValueError", "laying tiles of %dx%d with an overlap of %d over %dx%d", tileWidth, tileHeight, overlap, width, height)
	}
	stride := func(side int) int {
		return max(1, int(math.RoundToEven(max(float64(side)*0.25, float64(side-overlap)))))
	}
	strideX, strideY := stride(tileWidth), stride(tileHeight)
	if (width/strideX+1)*(height/strideY+1) > maxTiles {
		return nil, nodes.Errorf("ValueError", "laying tiles of %dx%d over %dx%d: more than %d tiles", tileWidth, tileHeight, width, height, maxTiles)
	}
	var places []image.Rectangle
	for y := 0; y < height; y += strideY {
		bottom := min(y+tileHeight, height)
		for x := 0; x < width; x += strideX {
			right := min(x+tileWidth, width)
			places = append(places, image.Rect(max(0, right-tileWidth), max(0, bottom-tileHeight), right, bottom))
			if right >= width {
				break
			}
		}
		if bottom >= height {
			break
		}
	}
	return places, nil
}

// tileWeights are the weights of a tile's pixels along one side: half a sine where tiles overlap.
func tileWeights(n, overlap int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
		if overlap > 0 {
			at := float32(0)
			if n > 1 {
				at = float32(i) / float32(n-1)
			}
			out[i] = max(float32(math.Sin(float64(float32(math.Pi)*at))), 1e-5)
		}
	}
	return out
}

// addTile adds a weighted tile, cut to its place, and its weights.
func addTile(out *tensor.Tensor, weights []float32, tile *tensor.Tensor, p image.Rectangle, rows, columns []float32) {
	h, w, c := out.Shape[1], out.Shape[2], out.Shape[3]
	for y := range min(p.Dy(), tile.Shape[1]) {
		for x := range min(p.Dx(), tile.Shape[2]) {
			weight := rows[y] * columns[x]
			at := (p.Min.Y+y)*w + p.Min.X + x
			weights[at] += weight
			for n := range out.Shape[0] {
				from := tile.Data[(((n%tile.Shape[0])*tile.Shape[1]+y)*tile.Shape[2]+x)*tile.Shape[3]:]
				to := out.Data[(n*h*w+at)*c:][:c]
				for k := range to {
					to[k] += float32(from[k%tile.Shape[3]] * weight)
				}
			}
		}
	}
}
