// Package moge is the family of MoGe and MoGe-2 (Wang et al., "MoGe: Unlocking Accurate Monocular Geometry Estimation for Open-Domain Images"), which
// find the point in space of each pixel of one image.
package moge

import (
	"context"
	"fmt"
	"math"

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
func (kind) Name() string { return "MoGe" }

// Rank implements family.Family.
func (kind) Rank() int { return 10 }

// read is the number of layers of the backbone that are read, levels that of the resolutions of version 2.
const (
	read   = 4
	levels = 5
)

// model is a network that was read from a file.
type model struct {
	src weights.Source
	// backbone is the prefix of the backbone's tensors.
	backbone string
	config   dino.Config
	// second reports version 2, normals that it finds normals. grids is the number of grids of places that the graph reads at sizes that double.
	second, normals bool
	grids           int

	activations family.Activations
}

// ReadGeometry implements family.Geometry. Upstream: ldm/moge/model.py build_from_state_dict.
func (kind) ReadGeometry(src weights.Source) (family.GeometryNetwork, error) {
	plain := weights.NewScope(src)
	m := &model{backbone: "backbone."}
	switch {
	case plain.HasAny("encoder.backbone") && plain.HasAny("neck"):
		m.second, m.backbone = true, "encoder.backbone."
	case !plain.HasAny("backbone") || !plain.HasAny("head.upsample_blocks") || !plain.HasAny("head.projects"):
		return nil, nil
	}
	m.src = renamed(src, m.backbone)
	s := weights.NewScope(m.src)
	var err error
	if m.config, err = dino.ReadConfig(s.At(m.backbone[:len(m.backbone)-1])); err != nil {
		return nil, err
	}
	if m.config.Special() || m.config.GatedMLP || m.config.Layers < read || s.Has(m.backbone+"embeddings.register_tokens") {
		return nil, fmt.Errorf("its backbone of %d layers is no plain DINOv2 of at least %d layers, without gates and register tokens", m.config.Layers, read)
	}
	need := []string{"head.output_block.0.2.weight", "head.output_block.1.2.weight"}
	if m.second {
		need = []string{"neck.input_blocks.0.weight", "points_head.input_blocks.0.weight", "mask_head.input_blocks.0.weight", "scale_head.0.weight", "encoder.output_projections.0.weight"}
	}
	for _, name := range need {
		if !s.Has(name) {
			return nil, fmt.Errorf("there is no tensor %s: the file holds a part of a MoGe model", name)
		}
	}
	m.normals, m.grids = m.second && s.HasAny("normal_head"), levels
	if !m.second {
		if m.grids = s.Count("head.upsample_blocks"); m.grids > levels { // each doubles the sides
			return nil, fmt.Errorf("its head doubles the sides of the image %d times: wanted at most %d upsample_blocks", m.grids, levels)
		}
	}
	return m, nil
}

// Tokens implements family.PointMapNetwork.
func (m *model) Tokens() (least, most int) {
	if m.second {
		return 1200, 3600
	}
	return 1200, 2500
}

// Weights implements family.PointMapNetwork.
func (m *model) Weights() weights.Source { return m.src }

// sizes are those of an image of h x w pixels inside the network.
type sizes struct {
	// rows and columns are those of patches; h and w are the pixels that the head of version 1 gives.
	rows, columns, h, w int
	// aspect is the width of the image as the head sees it, in heights.
	aspect float64
}

// sizesOf returns the sizes for about the given number of patches.
func (m *model) sizesOf(h, w, tokens int) sizes {
	if m.second {
		aspect := float64(w) / float64(h)
		return sizes{rows: int(math.RoundToEven(math.Sqrt(float64(tokens) / aspect))), columns: int(math.RoundToEven(math.Sqrt(float64(tokens) * aspect))), aspect: aspect}
	}
	patch := m.config.Patch
	factor := math.Sqrt(float64(tokens*patch*patch) / float64(h*w))
	z := sizes{h: int(float64(h) * factor), w: int(float64(w) * factor)}
	z.rows, z.columns, z.aspect = z.h/patch, z.w/patch, float64(z.w)/float64(z.h)
	return z
}

// symbols are the sizes of a graph's inputs.
func (z sizes) symbols(n int) map[string]int {
	return map[string]int{"B": n, "h": z.rows, "w": z.columns, "H": z.h, "W": z.w}
}

// Memory implements family.PointMapNetwork.
func (m *model) Memory(n, h, w, tokens int) int64 {
	z := m.sizesOf(h, w, tokens)
	if z.rows < 1 || z.columns < 1 {
		return 0
	}
	return m.activations.Of(m.graph(), z.symbols(n))
}

// Points implements family.PointMapNetwork.
func (m *model) Points(ctx context.Context, run family.Runner, images *tensor.Tensor, tokens int) (family.PointMaps, error) {
	const axes, rgb = 4, 3
	if len(images.Shape) != axes || images.Dim(1) != rgb || images.Len() == 0 || tokens < 1 {
		return family.PointMaps{}, fmt.Errorf("the images have shape %v: wanted [images, %d, height, width]", images.Shape, rgb)
	}
	h, w := images.Dim(2), images.Dim(3)
	z := m.sizesOf(h, w, tokens)
	if z.rows < 1 || z.columns < 1 {
		return family.PointMaps{}, fmt.Errorf("%dx%d pixels are too narrow a shape for the model, of whose %d patches it would have %d rows of %d", w, h, tokens, z.rows, z.columns)
	}
	if err := run.Check("finding the points of an image", m.activations.Of(m.graph(), z.symbols(images.Dim(0)))); err != nil {
		return family.PointMaps{}, err
	}
	in, err := m.inputs(run, images, z)
	if err != nil {
		return family.PointMaps{}, err
	}
	names := []string{"points", "mask"}
	if m.second {
		if names = append(names, "scale"); m.normals {
			names = append(names, "normals")
		}
	}
	res, err := run.Run(ctx, m.graph(), in, names...)
	if err != nil {
		return family.PointMaps{}, err
	}
	return m.maps(res, h, w)
}

// inputs are the values of the graph's inputs.
func (m *model) inputs(run family.Runner, images *tensor.Tensor, z sizes) ([]family.Value, error) {
	patch := m.config.Patch
	x := images
	if !m.second {
		x = imaging.Antialias(x, z.h, z.w, imaging.Bicubic)
	}
	if x == images {
		x = imaging.Antialias(x, z.rows*patch, z.columns*patch, imaging.Bilinear)
		if x == images {
			x = images.Clone()
		}
		dino.Normalise(x)
	} else {
		dino.Normalise(x)
		x = imaging.Antialias(x, z.rows*patch, z.columns*patch, imaging.Bilinear)
	}
	src, err := run.Patched(m.src)
	if err != nil {
		return nil, err
	}
	table, err := dino.Positions(weights.Sub(src, m.backbone), m.config, z.rows, z.columns)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("pixels", x), family.Floats("positions", table)}
	for i := range m.grids {
		in = append(in, family.Floats(gridName(i), viewPlane(z.rows<<i, z.columns<<i, z.aspect)))
	}
	if !m.second {
		in = append(in, family.Floats(gridName(lastGrid), viewPlane(z.h, z.w, z.aspect)))
	}
	return in, nil
}

// lastGrid is the number of the grid of the head's last layers in version 1.
const lastGrid = -1

// gridName is the name of the input of a grid.
func gridName(i int) string {
	if i == lastGrid {
		return "grid last"
	}
	return fmt.Sprintf("grid %d", i)
}

// viewPlane are the places of pixels [1,2,h,w] in an image whose half diagonal has the length one. Upstream: geometry.py normalized_view_plane_uv.
func viewPlane(h, w int, aspect float64) *tensor.Tensor {
	out := tensor.New(1, 2, h, w)
	diagonal := math.Sqrt(1 + aspect*aspect)
	across, down := dino.Spaced(aspect/diagonal, w), dino.Spaced(1/diagonal, h)
	for y := range h {
		for x := range w {
			out.Data[y*w+x], out.Data[h*w+y*w+x] = across[x], down[y]
		}
	}
	return out
}

// maps are the results of the graph at the size of the images.
func (m *model) maps(res map[string]*tensor.Tensor, h, w int) (family.PointMaps, error) {
	out := family.PointMaps{Threshold: 0.5, Ahead: m.second}
	resized := func(name string) (*tensor.Tensor, error) { return imaging.Upscale(res[name], w, h, "bilinear", "") }
	points, err := resized("points")
	if err != nil {
		return out, err
	}
	out.Points = last(points)
	for i := 0; i < len(out.Points.Data); i += 3 {
		p := out.Points.Data[i : i+3]
		p[2] = float32(math.Exp(float64(p[2])))
		p[0], p[1] = p[0]*p[2], p[1]*p[2]
	}
	mask, err := resized("mask")
	if err != nil {
		return out, err
	}
	if out.Mask, err = mask.Reshape(mask.Dim(0), h, w); err != nil {
		return out, err
	}
	if !m.second {
		return out, nil
	}
	for i, v := range out.Mask.Data {
		out.Mask.Data[i] = float32(1 / (1 + math.Exp(-float64(v))))
	}
	for _, v := range res["scale"].Data {
		out.Scale = append(out.Scale, float32(math.Exp(float64(v))))
	}
	if res["normals"] == nil {
		return out, nil
	}
	normals, err := resized("normals")
	if err != nil {
		return out, err
	}
	out.Normals = last(normals)
	for i := 0; i < len(out.Normals.Data); i += 3 {
		n := out.Normals.Data[i : i+3]
		const shortest = 1e-12
		length := float32(max(math.Sqrt(float64(n[0])*float64(n[0])+float64(n[1])*float64(n[1])+float64(n[2])*float64(n[2])), shortest))
		n[0], n[1], n[2] = n[0]/length, n[1]/length, n[2]/length
	}
	return out, nil
}

// last moves the channels of x [B,C,H,W] behind: [B,H,W,C].
func last(x *tensor.Tensor) *tensor.Tensor {
	n, c, area := x.Dim(0), x.Dim(1), x.Dim(2)*x.Dim(3)
	out := tensor.New(n, x.Dim(2), x.Dim(3), c)
	for b := range n {
		for k := range c {
			for i, v := range x.Data[(b*c+k)*area : (b*c+k+1)*area] {
				out.Data[(b*area+i)*c+k] = v
			}
		}
	}
	return out
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "geometry", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("moge", m.src, func(b *nn.Builder, s *weights.Scope) {
			w := writer{Builder: b, model: m}
			if m.second {
				w.writeSecond(s)
			} else {
				w.writeFirst(s)
			}
		})
	}}
}
