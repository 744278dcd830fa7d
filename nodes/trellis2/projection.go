package trellis2

import (
	"context"
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// stage is a stage that reads image features of cells: at which size it sees the image, and how many fine features a side it reads, 0 for none.
type stage struct {
	large bool
	fine  int
}

var (
	stageStructure = stage{}
	stageCoarse    = stage{fine: smallSide}
	stageFine      = stage{large: true, fine: smallSide}
	stageTexture   = stage{large: true, fine: largeSide}
)

// projection is what image features of cells are made of: the encoded images, and the camera that took them. The fine features are computed for the cells
// of a stage alone.
type projection struct {
	encoder *engine.ImageEncoder
	views   []projected
	// angle is the horizontal angle of view in radians.
	angle float64
}

// projected are the features of the patches of an image, [1,C,h,h], at both sizes, and the image.
type projected struct{ small, large, smallImage, largeImage *tensor.Tensor }

// projectionOf is that of a conditioning, nil if it has none.
func projectionOf(c engine.Conditioning) *projection {
	if len(c) == 0 {
		return nil
	}
	p, _ := c[0].Values[sampling.KeyProjection].(*projection)
	return p
}

// ofCells are the image features [N,C] of cells, nil without a projection.
func (p *projection) ofCells(ctx *nodes.Context, s stage, cells *engine.CellLatent) (*tensor.Tensor, error) {
	if p == nil {
		return nil, nil
	}
	if len(cells.Counts) != len(p.views) {
		return nil, nodes.Errorf("ValueError", "finding the image features of cells: the conditioning is of %d images and there are %d volumes: sample as many as there are images", len(p.views), len(cells.Counts))
	}
	width := p.views[0].small.Dim(1)
	if err := ctx.Reserve("image features of cells", family.Product(len(cells.At)/cellAxes, 2*width, 2, 4)); err != nil {
		return nil, err
	}
	out, row := &tensor.Tensor{}, 0
	for i, n := range cells.Counts {
		at := make([]float32, 0, axes*n)
		for k := range n {
			for _, v := range cells.At[(row+k)*cellAxes+1 : (row+k+1)*cellAxes] {
				at = append(at, float32(v))
			}
		}
		y, err := p.views[i].features(ctx, p, s, at, cells.Resolution)
		if err != nil {
			return nil, err
		}
		out.Shape = []int{row + n, y.Dim(1)}
		out.Data = append(out.Data, y.Data...)
		row += n
	}
	return out, nil
}

// whole are the image features [B,16·16·16,C] of all cells of a structure.
func (p *projection) whole(ctx *nodes.Context) (*tensor.Tensor, error) {
	const cells = latentSide * latentSide * latentSide
	at := make([]float32, 0, axes*cells)
	for i := range cells {
		at = append(at, float32(i/(latentSide*latentSide)), float32(i/latentSide%latentSide), float32(i%latentSide))
	}
	out := &tensor.Tensor{Shape: []int{len(p.views), cells, p.views[0].small.Dim(1)}}
	for _, v := range p.views {
		y, err := v.features(ctx, p, stageStructure, at, latentSide)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, y.Data...)
	}
	return out, nil
}

// features are those of one image at places [N,3] in a grid: of the patches, then the fine ones, if the encoder's file has what makes them.
func (v projected) features(ctx *nodes.Context, p *projection, s stage, at []float32, grid int) (*tensor.Tensor, error) {
	patches, image := v.small, v.smallImage
	if s.large {
		patches, image = v.large, v.largeImage
	}
	pixels := p.pixels(at, grid, image.Dim(1))
	coarse, err := bilinear(ctx, patches, scaled(pixels, image.Dim(1), patches.Dim(2)))
	if err != nil || s.fine == 0 {
		return coarse, err
	}
	fine, err := p.encoder.Refine(ctx, image, patches, s.fine, scaled(pixels, image.Dim(1), s.fine))
	if err != nil || fine == nil {
		return coarse, err
	}
	n, c := coarse.Dim(0), coarse.Dim(1)
	out := tensor.New(n, 2*c)
	for i := range n {
		copy(out.Data[2*c*i:], coarse.Data[c*i:c*(i+1)])
		copy(out.Data[2*c*i+c:], fine.Data[c*i:c*(i+1)])
	}
	return out, nil
}

// pixels are where a camera in front of the volume sees places [N,3] of a grid in an image of so many pixels a side, [N,2]. The volume is as wide as the
// camera's view in its middle. Upstream: _coords_to_proj_world and _project_points_to_image.
func (p *projection) pixels(at []float32, grid, side int) []float32 {
	const least = 1e-8
	half := math.Tan(p.angle / 2)
	distance, focal := float32(0.5/half), float32(float64(side)/2/half)
	out := make([]float32, 0, len(at)/axes*2)
	for i := 0; i < len(at); i += axes {
		var q [axes]float32
		if grid > 1 {
			for k, v := range at[i : i+axes] {
				q[k] = (v/float32(grid-1)*2 - 1) / 2
			}
		}
		depth := distance - q[2] + least
		out = append(out, focal*q[0]/depth+float32(side)/2, -focal*q[1]/depth+float32(side)/2)
	}
	return out
}

// scaled are pixels of an image as places in features of another side, in the convention of grid_sample.
func scaled(pixels []float32, from, to int) []float32 {
	out := make([]float32, len(pixels))
	for i, v := range pixels {
		out[i] = (((v+0.5)/float32(from)*2-1+1)*float32(to) - 1) / 2
	}
	return out
}

// bilinear samples x [1,C,h,w] at points [N,2]; those beyond the border are moved to it.
func bilinear(ctx context.Context, x *tensor.Tensor, points []float32) (*tensor.Tensor, error) {
	const often = 1 << 12
	c, h, w := x.Dim(1), x.Dim(2), x.Dim(3)
	out := tensor.New(len(points)/2, c)
	for i := 0; i < len(points); i += 2 {
		if i%often == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		u, v := within(points[i], w), within(points[i+1], h)
		left, top := int(u), int(v)
		right, lower := min(left+1, w-1), min(top+1, h-1)
		a, b := u-float32(left), v-float32(top)
		for k := range c {
			p := x.Data[k*h*w : (k+1)*h*w]
			out.Data[i/2*c+k] = (p[top*w+left]*(1-a)+p[top*w+right]*a)*(1-b) + (p[lower*w+left]*(1-a)+p[lower*w+right]*a)*b
		}
	}
	return out, nil
}

// within is a place between the first and the last of n; what is not a number is the first.
func within(x float32, n int) float32 {
	if x != x {
		return 0
	}
	return min(max(x, 0), float32(n-1))
}
