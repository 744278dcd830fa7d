package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Geometry is a family of networks that find what images show in space.
type Geometry interface {
	Family
	// ReadGeometry reads a network's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadGeometry(src weights.Source) (GeometryNetwork, error)
}

// GeometryNetwork is a geometry model that was read from a file: a PointMapNetwork or a DepthNetwork.
type GeometryNetwork interface {
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}

// PointMapNetwork is a geometry model that finds the point in space of each pixel.
type PointMapNetwork interface {
	GeometryNetwork
	// Tokens returns the least and the greatest number of patches that it is meant to see of an image.
	Tokens() (least, most int)
	// Points finds the points of images [B,3,H,W] in 0…1, each seen as about the given number of patches.
	Points(ctx context.Context, run Runner, images *tensor.Tensor, tokens int) (PointMaps, error)
	// Memory estimates the bytes of activations for n images of h x w pixels.
	Memory(n, h, w, tokens int) int64
}

// PointMaps are the points of B images in the space of the camera: x to the right, y down, z ahead.
type PointMaps struct {
	// Points are [B,H,W,3], right but for a shift of all along z and the focal length.
	Points *tensor.Tensor
	// Mask [B,H,W] is above Threshold where there is something in reach, unlike in the sky. Ahead reports that Mask leaves out points behind the camera.
	Mask      *tensor.Tensor
	Threshold float32
	Ahead     bool
	// Normals are the directions [B,H,W,3] of surfaces, or nil; Scale [B] converts to metres, or is nil.
	Normals *tensor.Tensor
	Scale   []float32
}
