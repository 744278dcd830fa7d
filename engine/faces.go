package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// FaceFinder is the value of FACE_DETECTION_MODEL links: networks that find faces in images with their landmarks.
type FaceFinder struct {
	rt   *Runtime
	file *file
	net  family.FaceNetwork
	// Lines are the lines between landmarks that draw each part of a face.
	Lines map[string][][2]int
}

// LoadFaceFinder opens the face landmark model in the file at path.
func (rt *Runtime) LoadFaceFinder(path string) (*FaceFinder, error) {
	const doing = "loading the face landmark model"
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Faces()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	lines, err := net.Lines()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", doing, path, err)
	}
	return &FaceFinder{rt: rt, file: f, net: net, Lines: lines}, nil
}

// Find finds the faces of an image [H,W,C] in 0…1 with at least three channels, of which the first three are read in steps of 1/255.
func (f *FaceFinder) Find(ctx context.Context, image *tensor.Tensor, o family.FaceOptions) ([]family.Face, error) {
	const axes, rgb = 3, 3
	if image == nil || len(image.Shape) != axes || image.Dim(2) < rgb || image.Len() == 0 || image.Len() != len(image.Data) {
		return nil, fmt.Errorf("finding faces: it is no image [H,W,C] with at least one pixel and three channels")
	}
	h, w := image.Dim(0), image.Dim(1)
	if err := f.rt.checkHost("finding faces", family.Product(h, w, rgb, 4)); err != nil {
		return nil, err
	}
	x, err := planesOf(&tensor.Tensor{Shape: []int{1, h, w, image.Dim(2)}, Data: image.Data}, rgb)
	if err != nil {
		return nil, fmt.Errorf("finding faces: the image %w", err)
	}
	for i, v := range x.Data {
		x.Data[i] = float32(int(min(max(v*255+0.5, 0), 255)))
	}
	out, err := f.net.Find(ctx, f.rt.runner(family.RoleFace, false, f.file), x.Index(0), o)
	if err != nil {
		return nil, fmt.Errorf("finding faces: %w", err)
	}
	return out, nil
}

// Pose returns the matrix that places the model of a face; see family.FaceNetwork.
func (f *FaceFinder) Pose(face *family.Face, w, h int) ([4][4]float32, error) {
	return f.net.Pose(face, w, h)
}
