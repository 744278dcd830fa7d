package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// FaceFinder is a family of networks that find faces in images with their landmarks.
type FaceFinder interface {
	Family
	// ReadFaces reads a network's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadFaces(src weights.Source) (FaceNetwork, error)
}

// FaceNetwork is a face landmark model that was read from a file.
type FaceNetwork interface {
	// Find finds the faces of an image [3,H,W] of whole numbers in 0…255, the best first.
	Find(ctx context.Context, run Runner, image *tensor.Tensor, o FaceOptions) ([]Face, error)
	// Lines returns the lines between landmarks that draw each part of a face, by the part's name.
	Lines() (map[string][][2]int, error)
	// Pose returns the matrix, by rows, that places the model of a face in front of a camera that sees an image of w x h pixels.
	Pose(f *Face, w, h int) ([4][4]float32, error)
	// Memory estimates the bytes of activations for one image.
	Memory() int64
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}

// FaceOptions state which faces are found.
type FaceOptions struct {
	// Far takes the detector for small faces, which are up to five metres away.
	Far bool
	// Most is the number of faces, 0 for all; Threshold is the least score, in 0…1.
	Most      int
	Threshold float32
}

// Face is a face in an image.
type Face struct {
	// Box are the corners (x1, y1, x2, y2) around the landmarks in pixels.
	Box [4]float32
	// Score is the detector's, in 0…1, Presence the logit of the landmark network.
	Score, Presence float32
	// Marks are the landmarks (x, y) in pixels, Points (x, y, z) in those of the square that the network sees, z behind the image.
	Marks  [][2]float32
	Points [][3]float32
	// Shapes are the strengths, in 0…1, of the movements that ShapeNames lists.
	Shapes []float32
	// Pose is the matrix of FaceNetwork.Pose.
	Pose [4][4]float32
}
