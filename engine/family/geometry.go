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

// DepthNetwork is a geometry model that finds the depth of each pixel, and of views of one scene where the cameras stood.
type DepthNetwork interface {
	GeometryNetwork
	// Cameras reports how it finds cameras: by a decoder of its own, or from the rays of the pixels.
	Cameras() (decoder, rays bool)
	// Depths finds what a call asks for.
	Depths(ctx context.Context, run Runner, c DepthCall) (DepthMaps, error)
	// Memory estimates the bytes of activations of a call for n images of h x w pixels.
	Memory(n, h, w int, c DepthCall) int64
}

// DepthCall asks for the depth of images.
type DepthCall struct {
	// Images are [B,3,H,W] in 0…1.
	Images *tensor.Tensor
	// Resolution is the number of pixels that the network sees along the longer side of an image, or the Shorter one.
	Resolution int
	Shorter    bool
	// Scene reports that the images are views of one scene, which are looked at together; otherwise each is looked at for itself.
	Scene bool
	// Anchor chooses the view of a scene that the others are placed by: "first", "middle", "saddle_balanced" or "saddle_sim_range".
	Anchor string
	// Rays takes the cameras of a scene from the rays of the pixels.
	Rays bool
	// Advance, when set, is called after each image that is looked at for itself, with the number of those that are done.
	Advance func(done int)
}

// DepthMaps are the depths of B images at their sizes.
type DepthMaps struct {
	// Depth is [B,H,W].
	Depth *tensor.Tensor
	// Confidence and Sky are [B,H,W], or nil where the network finds none.
	Confidence, Sky *tensor.Tensor
	// Extrinsics are [B,3,4], from the world to the camera, and Intrinsics [B,3,3] in pixels that the network sees; nil where they are not found.
	Extrinsics, Intrinsics *tensor.Tensor
}
