package dataset

import (
	"context"
	"math"
	"math/bits"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ShuffleDataset{})
	nodes.Register(&ShuffleImageTextDataset{})
	nodes.Register(&ShuffleVideoDataset{})
	nodes.Register(&ShuffleVideoTextDataset{})
	nodes.Register(&ImageDeduplication{})
	nodes.Register(&ImageGrid{})
	nodes.Register(&MergeImageLists{})
}

// ShuffleDataset puts images in a random order.
type ShuffleDataset struct {
	Images []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to shuffle."`
	Seed   []uint64         `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the random order."`
}

// Spec implements nodes.Node.
func (*ShuffleDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ShuffleDataset", DisplayName: "Shuffle Images List", Category: "image/batch",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", List: true, Tooltip: "The images in random order."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Shuffles a list of images.",
		SearchAliases: []string{"shuffle", "randomize", "mix"},
		Uses:          nodes.UsesNothing,
	}
}

func (*ShuffleDataset) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Within()
}

// Run implements nodes.Node.
func (n *ShuffleDataset) Run(*nodes.Context) (nodes.Result, error) {
	images, err := frames(n.Images)
	if err != nil {
		return nodes.Result{}, err
	}
	seed, err := single("seed", n.Seed)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(picked(images, newRandom(seed).Permutation(len(images)))), nil
}

// ShuffleImageTextDataset puts pairs of images and texts in a random order.
type ShuffleImageTextDataset struct {
	Images []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to shuffle."`
	Texts  []string         `in:"texts" forceInput:"true" tooltip:"Texts to shuffle, one an image."`
	Seed   []uint64         `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the random order."`
}

// Spec implements nodes.Node.
func (*ShuffleImageTextDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ShuffleImageTextDataset", DisplayName: "Shuffle Pairs of Image-Text", Category: "image/batch",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", List: true, Tooltip: "The images in random order."}, {Type: "STRING", Name: "texts", List: true, Tooltip: "The texts in the same order."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Shuffles a list of images together with their texts.",
		SearchAliases: []string{"shuffle", "randomize", "mix"},
		Uses:          nodes.UsesNothing,
	}
}

func (*ShuffleImageTextDataset) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Within()
}

// Run implements nodes.Node.
func (n *ShuffleImageTextDataset) Run(*nodes.Context) (nodes.Result, error) {
	return shufflePairs(n.Images, n.Texts, n.Seed)
}

// ShuffleVideoDataset puts videos in a random order.
type ShuffleVideoDataset struct {
	Videos []any    `in:"videos" type:"VIDEO" tooltip:"Videos to shuffle."`
	Seed   []uint64 `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the random order."`
}

// Spec implements nodes.Node.
func (*ShuffleVideoDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ShuffleVideoDataset", DisplayName: "Shuffle Videos List", Category: "video/batch",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "videos", List: true, Tooltip: "The videos in random order."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Shuffles a list of videos.",
		SearchAliases: []string{"shuffle", "randomize", "mix"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ShuffleVideoDataset) Run(*nodes.Context) (nodes.Result, error) {
	seed, err := single("seed", n.Seed)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(picked(n.Videos, newRandom(seed).Permutation(len(n.Videos)))), nil
}

// ShuffleVideoTextDataset puts pairs of videos and texts in a random order.
type ShuffleVideoTextDataset struct {
	Videos []any    `in:"videos" type:"VIDEO" tooltip:"Videos to shuffle."`
	Texts  []string `in:"texts" tooltip:"Texts to shuffle, one a video."`
	Seed   []uint64 `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the random order."`
}

// Spec implements nodes.Node.
func (*ShuffleVideoTextDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ShuffleVideoTextDataset", DisplayName: "Shuffle Pairs of Video-Text", Category: "dataset/video",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "videos", List: true, Tooltip: "The videos in random order."}, {Type: "STRING", Name: "texts", List: true, Tooltip: "The texts in the same order."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Shuffles a list of videos together with their texts.",
		SearchAliases: []string{"shuffle", "randomize", "mix"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ShuffleVideoTextDataset) Run(*nodes.Context) (nodes.Result, error) {
	return shufflePairs(n.Videos, n.Texts, n.Seed)
}

// ImageDeduplication drops images that look like an earlier one.
type ImageDeduplication struct {
	Images              []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to compare."`
	SimilarityThreshold []float64        `in:"similarity_threshold" advanced:"true" default:"0.95" min:"0.0" max:"1.0" tooltip:"Similarity from which two images count as the same, from 0 (any two) to 1 (equal hashes only)."`
}

// Spec implements nodes.Node.
func (*ImageDeduplication) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageDeduplication", DisplayName: "Deduplicate Images", Category: "image/batch",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", List: true, Tooltip: "The images that are left."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Removes duplicates and near duplicates from a list of images.",
		SearchAliases: []string{"deduplicate", "remove duplicates", "similarity filter"},
		Uses:          nodes.UsesNothing,
	}
}

func (*ImageDeduplication) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Within()
}

// Run implements nodes.Node. Two images are compared by 64 bits: an 8x8 gray version, each pixel above the mean or not.
func (n *ImageDeduplication) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, err := frames(n.Images)
	if err != nil {
		return nodes.Result{}, err
	}
	threshold, err := single("similarity_threshold", n.SimilarityThreshold)
	if err != nil {
		return nodes.Result{}, err
	}
	var kept []*tensor.Tensor
	var hashes []uint64
	for _, t := range images {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		h, err := averageHash(t)
		if err != nil {
			return nodes.Result{}, err
		}
		if !slices.ContainsFunc(hashes, func(o uint64) bool { return 1-float64(bits.OnesCount64(h^o))/64 >= threshold }) {
			kept, hashes = append(kept, t), append(hashes, h)
		}
	}
	return nodes.Out(kept), nil
}

// ImageGrid lays images out in a grid.
type ImageGrid struct {
	Images     []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to arrange."`
	Columns    []int            `in:"columns" default:"4" min:"1" max:"20" tooltip:"Number of columns."`
	CellWidth  []int            `in:"cell_width" advanced:"true" default:"256" min:"32" max:"2048" tooltip:"Width of a cell in pixels."`
	CellHeight []int            `in:"cell_height" advanced:"true" default:"256" min:"32" max:"2048" tooltip:"Height of a cell in pixels."`
	Padding    []int            `in:"padding" advanced:"true" default:"4" min:"0" max:"50" tooltip:"Gap between cells in pixels."`
}

// Spec implements nodes.Node.
func (*ImageGrid) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageGrid", DisplayName: "Make Image Grid", Category: "image/batch",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The grid."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Arranges images in rows and columns on one image.",
		SearchAliases: []string{"grid", "collage", "combine"},
		Uses:          nodes.UsesNothing,
	}
}

func (*ImageGrid) Sizes(s *nodes.Sizing) nodes.Images {
	columns, gap := max(1, s.Number("columns")), s.Number("padding")
	rows := math.Ceil(s.In.Count / columns)
	out := s.In.Of(columns*(s.Number("cell_width")+gap), rows*(s.Number("cell_height")+gap))
	out.Count = 1
	return out
}

// Run implements nodes.Node. Images are stretched to the cells; the gaps are black.
func (n *ImageGrid) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, err := frames(n.Images)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(images) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a grid: the list of images is empty")
	}
	var sizes [4]int
	for i, list := range [][]int{n.Columns, n.CellWidth, n.CellHeight, n.Padding} {
		if sizes[i], err = single([]string{"columns", "cell_width", "cell_height", "padding"}[i], list); err != nil {
			return nodes.Result{}, err
		}
	}
	columns, cellW, cellH, gap := sizes[0], sizes[1], sizes[2], sizes[3]
	if columns < 1 || cellW < 1 || cellH < 1 || gap < 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a grid: %d columns of %dx%d with gaps of %d", columns, cellW, cellH, gap)
	}
	rows := (len(images) + columns - 1) / columns
	width, height := columns*cellW+(columns-1)*gap, rows*cellH+(rows-1)*gap
	if err := imaging.CheckSize("an image grid", height, width, 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(1, height, width, 3)
	for i, t := range images {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		if err := checkPillow(t); err != nil {
			return nodes.Result{}, err
		}
		c := t.Shape[3]
		pix, err := imaging.Resize8(imaging.ToBytes(t.Data), t.Shape[2], t.Shape[1], c, cellW, cellH, imaging.Lanczos)
		if err != nil {
			return nodes.Result{}, err
		}
		pasteRGB(out, pix, c, cellW, i%columns*(cellW+gap), i/columns*(cellH+gap))
	}
	return nodes.Out(out), nil
}

// MergeImageLists takes the images of a list apart into single frames.
type MergeImageLists struct {
	Images []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to join."`
}

// Spec implements nodes.Node.
func (*MergeImageLists) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MergeImageLists", DisplayName: "Merge Image Lists (DEPRECATED)", Category: "image/batch",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", List: true, Tooltip: "The images, one a frame."}},
		InputIsList:   true,
		Deprecated:    true,
		Experimental:  true,
		Description:   "Joins image lists into one.",
		SearchAliases: []string{"list", "merge list", "make list"},
		Uses:          nodes.UsesNothing,
	}
}

func (*MergeImageLists) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Within()
}

// Run implements nodes.Node.
func (n *MergeImageLists) Run(*nodes.Context) (nodes.Result, error) {
	images, err := frames(n.Images)
	return nodes.Out(images), err
}

// frames returns the frames of all images as images of one frame each.
func frames(images []*tensor.Tensor) ([]*tensor.Tensor, error) {
	out := []*tensor.Tensor{}
	for _, t := range images {
		if t == nil || len(t.Shape) != 4 {
			return nil, nodes.Errorf("ValueError", "reading the input images: an element is not an image [batch, height, width, channels]")
		}
		for i := range t.Shape[0] {
			out = append(out, t.Slice(i, i+1))
		}
	}
	return out, nil
}

// single returns the value of an input that takes one value, of a class that gets lists.
func single[T any](input string, list []T) (v T, err error) {
	if len(list) != 1 {
		return v, nodes.Errorf("TypeError", "reading the input %s: want one value, have %d", input, len(list))
	}
	return list[0], nil
}

// picked returns the elements at the given places.
func picked[T any](list []T, places []int) []T {
	out := make([]T, len(places))
	for i, p := range places {
		out[i] = list[p]
	}
	return out
}

func shufflePairs[T any](items []T, texts []string, seeds []uint64) (nodes.Result, error) {
	if len(seeds) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "shuffling: the input seed has no value")
	}
	if len(texts) < len(items) {
		return nodes.Result{}, nodes.Errorf("IndexError", "shuffling: there are %d texts for %d items", len(texts), len(items))
	}
	order := newRandom(seeds[0]).Permutation(len(items))
	return nodes.Out(picked(items, order), picked(texts, order)), nil
}

// averageHash returns a bit for each pixel of an 8x8 gray version of an image of one frame: whether it is above the mean.
func averageHash(t *tensor.Tensor) (uint64, error) {
	if err := checkPillow(t); err != nil {
		return 0, err
	}
	const side = 8
	c := t.Shape[3]
	pix, err := imaging.Resize8(imaging.ToBytes(t.Data), t.Shape[2], t.Shape[1], c, side, side, imaging.Lanczos)
	if err != nil {
		return 0, err
	}
	var gray [side * side]int
	sum := 0
	for i := range gray {
		p := pix[i*c:][:c]
		gray[i] = int(p[0])
		if c > 2 { // Pillow's weights
			gray[i] = (int(p[0])*19595 + int(p[1])*38470 + int(p[2])*7471 + 0x8000) >> 16
		}
		sum += gray[i]
	}
	var hash uint64
	for i, g := range gray {
		if float64(g) > float64(sum)/float64(len(gray)) {
			hash |= 1 << i
		}
	}
	return hash, nil
}

// pasteRGB puts an 8-bit image of c channels and width w into an RGB image; alpha is left out.
func pasteRGB(to *tensor.Tensor, pix []byte, c, w, left, top int) {
	for i := range len(pix) / c {
		at := to.Data[((top+i/w)*to.Shape[2]+left+i%w)*3:][:3]
		for k := range at {
			v := pix[i*c]
			if c > 2 {
				v = pix[i*c+k]
			}
			at[k] = float32(v) / 255
		}
	}
}
