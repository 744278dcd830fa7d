// Package depthanything is the family of Depth Anything 3 (Lin et al., "Depth Anything 3: Recovering the Visual Space from Any Views"), which finds the
// depth of each pixel of an image, and of several views of a scene where their cameras stood.
package depthanything

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dino"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

func init() { family.Register(kind{}) }

var _ family.Geometry = kind{}

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Depth Anything 3" }

// Rank implements family.Family.
func (kind) Rank() int { return 1010 }

// levels is the number of layers of the backbone that the head reads.
const levels = 4

// The number of layers of the larger backbones, and the numbers that values of the ray head have: a direction, an origin and the confidence.
const (
	largeLayers = 24
	rayValues   = 7
)

// model is a network that was read from a file.
type model struct {
	src    weights.Source
	config dino.Config
	// cameras reports that the tokens of views have one for the camera, from layer alternate on, where every second layer looks at all views; alternate
	// is the number of layers where it is not so.
	cameras   bool
	alternate int
	// read are the layers that the head reads, widths the channels that it makes of them, features those of its further layers.
	read     [levels]int
	widths   [levels]int
	features int
	// rays reports a second head for rays, decoder one for cameras, sky one for the sky; values is the number that the first head gives for a pixel.
	rays, decoder, sky bool
	values             int

	activations family.Activations
}

// ReadGeometry implements family.Geometry. Upstream: model_detection.py detect_unet_config.
func (kind) ReadGeometry(src weights.Source) (family.GeometryNetwork, error) {
	s := weights.NewScope(src)
	if !s.Has("backbone.embeddings.patch_embeddings.projection.weight") {
		return nil, nil
	}
	m := &model{src: src}
	var err error
	if m.config, err = dino.ReadConfig(s.At("backbone")); err != nil {
		return nil, err
	}
	c := m.config
	m.cameras, m.alternate = c.Cameras > 0, c.Normed
	if m.cameras != (c.Normed < c.Layers) || m.cameras && c.Cameras != 2 {
		return nil, fmt.Errorf("its backbone has %d camera tokens and norms of queries from layer %d of %d on: wanted two tokens and such norms, or neither", c.Cameras, c.Normed, c.Layers)
	}
	m.rays, m.decoder, m.sky = s.Has("head.scratch.refinenet1_aux.out_conv.weight"), s.Has("cam_dec.fc_t.weight"), s.Has("head.scratch.sky_output_conv2.0.weight")
	m.sky = m.sky && !m.rays
	m.read = layersOf(c.Layers, m.rays)
	if c.Layers <= m.read[levels-1] {
		return nil, fmt.Errorf("its backbone has %d layers: wanted at least %d", c.Layers, m.read[levels-1]+1)
	}
	if err := m.readHead(s.At("head")); err != nil {
		return nil, err
	}
	return m, nil
}

// layersOf are the layers that the head of a network of so many layers reads.
func layersOf(n int, rays bool) [levels]int {
	switch {
	case n < largeLayers:
		return [levels]int{5, 7, 9, 11}
	case rays:
		return [levels]int{11, 15, 19, 23}
	}
	return [levels]int{4, 11, 17, 23}
}

// readHead reads the sizes of the head.
func (m *model) readHead(s *weights.Scope) error {
	const axes, quarters = 4, 4 // a position takes sines and cosines of two axes
	for i := range m.widths {
		shape := s.At("projects").Index(i).Shape("weight")
		if len(shape) != axes || shape[0] < 1 || m.rays && shape[0]%quarters != 0 || !slices.Equal(shape[1:], []int{m.tokenWidth(), 1, 1}) {
			return fmt.Errorf("reading the shape of the head: projects.%d.weight is %v, and tokens have %d features", i, shape, m.tokenWidth())
		}
		m.widths[i] = shape[0]
	}
	first, last := s.Shape("scratch.refinenet1.out_conv.weight"), s.Shape("scratch.output_conv2.2.weight")
	if len(first) != axes || first[0] < 1 || first[0]%(2*quarters) != 0 || !slices.Equal(first[1:], []int{first[0], 1, 1}) || len(last) != axes || last[0] < 1 || last[0] > 2 || m.rays && last[0] != 2 {
		return fmt.Errorf("reading the shape of the head: scratch.refinenet1.out_conv.weight is %v, scratch.output_conv2.2.weight %v: wanted a multiple of 8 features, and depth with or without a confidence", first, last)
	}
	m.features, m.values = first[0], last[0]
	return nil
}

// tokenWidth is the width of a token as the head reads it.
func (m *model) tokenWidth() int {
	if m.cameras {
		return 2 * m.config.Width
	}
	return m.config.Width
}

// Weights implements family.GeometryNetwork.
func (m *model) Weights() weights.Source { return m.src }

// Cameras implements family.DepthNetwork.
func (m *model) Cameras() (decoder, rays bool) { return m.decoder, m.rays }

// cells are the rows and columns of patches that the network sees of an image of h x w pixels. Upstream: preprocess.py compute_target_size, which fails
// where a side would have no patch.
func (m *model) cells(h, w int, c family.DepthCall) (rows, columns int) {
	side := max(h, w)
	if c.Shorter {
		side = min(h, w)
	}
	patch := m.config.Patch
	scale := float64(c.Resolution) / float64(side) // rounded before it multiplies a side, as in upstream
	patches := func(n int) int {
		pixels := int(min(math.RoundToEven(float64(n)*scale), math.MaxInt32))
		down := pixels / patch
		if rest := pixels - down*patch; patch-rest <= rest {
			down++
		}
		return max(down, 1)
	}
	return patches(h), patches(w)
}

// graphOf is the graph that answers a call for n images.
func (m *model) graphOf(n int, c family.DepthCall) family.Graph {
	f := form{anchor: given}
	if c.Scene {
		f.withRays, f.withPose = c.Rays && m.rays, !c.Rays && m.decoder && n > 1
		if m.chooses() && n >= fewest && (c.Anchor == balanced || c.Anchor == farthest) {
			f.anchor = c.Anchor
		}
	}
	return family.Graph{Part: "geometry", Variant: family.Digest(f.anchor, f.withRays, f.withPose), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("depthanything", m.src, func(b *nn.Builder, s *weights.Scope) { writer{Builder: b, model: m, form: f}.write(s) })
	}}
}

// chooses reports that the network has a layer before which a view is chosen.
func (m *model) chooses() bool { return m.cameras && m.alternate > 0 }

// Memory implements family.DepthNetwork.
func (m *model) Memory(n, h, w int, c family.DepthCall) int64 {
	rows, columns := m.cells(h, w, c)
	if !c.Scene {
		n = min(n, 1)
	}
	if family.Product(n, rows, columns, m.config.Patch, m.config.Patch) > math.MaxInt32 {
		return math.MaxInt64
	}
	return m.activations.Of(m.graphOf(n, c), map[string]int{"B": n, "h": rows, "w": columns})
}

// Depths implements family.DepthNetwork. Upstream: nodes_depth_anything_3.py _run_da3 and _execute_multiview.
func (m *model) Depths(ctx context.Context, run family.Runner, c family.DepthCall) (family.DepthMaps, error) {
	const axes, rgb = 4, 3
	x := c.Images
	if x == nil || len(x.Shape) != axes || x.Dim(1) != rgb || x.Len() == 0 || c.Resolution < 1 {
		return family.DepthMaps{}, fmt.Errorf("the images are not [images, %d, height, width] with at least one pixel", rgb)
	}
	if err := run.Check("finding the depth of images", m.Memory(x.Dim(0), x.Dim(2), x.Dim(3), c)); err != nil {
		return family.DepthMaps{}, err
	}
	if c.Scene {
		return m.look(ctx, run, x, c)
	}
	var out family.DepthMaps
	for i := range x.Dim(0) {
		one, err := m.look(ctx, run, x.Slice(i, i+1), c)
		if err != nil {
			return family.DepthMaps{}, err
		}
		if c.Advance != nil {
			c.Advance(i + 1)
		}
		if x.Dim(0) == 1 {
			return one, nil
		}
		join := func(to **tensor.Tensor, from *tensor.Tensor) {
			if from == nil {
				return
			}
			if *to == nil {
				*to = tensor.New(x.Dim(0), x.Dim(2), x.Dim(3))
			}
			copy((*to).Index(i).Data, from.Data)
		}
		join(&out.Depth, one.Depth)
		join(&out.Confidence, one.Confidence)
		join(&out.Sky, one.Sky)
	}
	return out, nil
}

// look runs the network on images that it looks at together.
func (m *model) look(ctx context.Context, run family.Runner, images *tensor.Tensor, c family.DepthCall) (family.DepthMaps, error) {
	n, h, w := images.Dim(0), images.Dim(2), images.Dim(3)
	rows, columns := m.cells(h, w, c)
	x, err := m.pixels(images, rows, columns)
	if err != nil {
		return family.DepthMaps{}, err
	}
	g, in := m.graphOf(n, c), []family.Value(nil)
	if in, err = m.inputs(run, x, c); err != nil {
		return family.DepthMaps{}, err
	}
	names := []string{"main"}
	if m.sky {
		names = append(names, "sky")
	}
	rays, pose := c.Scene && c.Rays && m.rays, c.Scene && !c.Rays && m.decoder && n > 1
	if rays {
		names = append(names, "rays")
	}
	if pose {
		names = append(names, "pose")
	}
	res, err := run.Run(ctx, g, in, names...)
	if err != nil {
		return family.DepthMaps{}, err
	}
	out, err := m.maps(res, h, w)
	if err != nil {
		return out, err
	}
	patch := m.config.Patch
	switch {
	case rays:
		out.Extrinsics, out.Intrinsics, err = cameras(ctx, res["rays"], rows*patch, columns*patch)
	case pose:
		out.Extrinsics, out.Intrinsics = decoded(res["pose"], rows*patch, columns*patch)
	}
	return out, err
}

var (
	errPixels = errors.New("the image has pixels that are not numbers (NaN): see the nodes before this one")
	errDepth  = errors.New("the network gave depths that are not numbers (NaN): load the model with weight_dtype fp32")
)

// pixels are images as the network sees them. Upstream: preprocess.py preprocess_image.
func (m *model) pixels(images *tensor.Tensor, rows, columns int) (*tensor.Tensor, error) {
	h, w := rows*m.config.Patch, columns*m.config.Patch
	for _, v := range images.Data {
		if v != v {
			return nil, errPixels
		}
	}
	x := images
	if images.Dim(2) != h || images.Dim(3) != w {
		var err error
		if x, err = imaging.Upscale(images, w, h, "lanczos", ""); err != nil {
			return nil, err
		}
	} else {
		x = images.Clone()
	}
	for i, v := range x.Data {
		x.Data[i] = min(max(v, 0), 1)
	}
	dino.Normalise(x)
	return x, nil
}

// inputs are the values of the graph's inputs for normalised pixels.
func (m *model) inputs(run family.Runner, x *tensor.Tensor, c family.DepthCall) ([]family.Value, error) {
	n, rows, columns := x.Dim(0), x.Dim(2)/m.config.Patch, x.Dim(3)/m.config.Patch
	src, err := run.Patched(m.src)
	if err != nil {
		return nil, err
	}
	table, err := dino.Positions(weights.Sub(src, "backbone."), m.config, rows, columns)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("pixels", x), family.Floats("positions", table)}
	if m.cameras {
		in = append(in, m.angles(rows, columns)...)
		if m.chooses() && n >= fewest && c.Scene && (c.Anchor == balanced || c.Anchor == farthest) {
			in = append(in, countsOf(n)...)
		} else {
			in = append(in, anchorOf(n, c))
		}
	}
	if m.rays {
		in = append(in, m.places(rows, columns, c.Scene && c.Rays)...)
	}
	return in, nil
}

// maps are the results of the graph at the size of the images.
func (m *model) maps(res map[string]*tensor.Tensor, h, w int) (family.DepthMaps, error) {
	y := res["main"]
	for _, v := range y.Data {
		if v != v {
			return family.DepthMaps{}, errDepth
		}
	}
	n, area := y.Dim(0), y.Dim(2)*y.Dim(3)
	plane := func(value int, more float64) (*tensor.Tensor, error) {
		x := tensor.New(n, 1, y.Dim(2), y.Dim(3))
		for i := range x.Data {
			x.Data[i] = float32(math.Exp(float64(y.Data[(i/area*m.values+value)*area+i%area])) + more)
		}
		return resized(x, h, w)
	}
	var out family.DepthMaps
	var err error
	if out.Depth, err = plane(0, 0); err != nil {
		return out, err
	}
	if m.values > 1 {
		if out.Confidence, err = plane(1, 1); err != nil {
			return out, err
		}
	}
	if m.sky {
		out.Sky, err = resized(res["sky"], h, w)
	}
	return out, err
}

// resized are maps [B,1,·,·] at the size of images, [B,h,w].
func resized(x *tensor.Tensor, h, w int) (*tensor.Tensor, error) {
	y, err := imaging.Upscale(x, w, h, "bilinear", "")
	if err != nil {
		return nil, err
	}
	return y.Reshape(y.Dim(0), h, w)
}
