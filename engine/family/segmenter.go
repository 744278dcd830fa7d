package family

import (
	"context"

	"comfygo/engine/tensor"
)

// Segmenter is implemented by models that find and segment objects in images. They do not denoise: their Inputs and Predict are errors.
type Segmenter interface {
	Denoiser
	// Side is the side in pixels of the square images that the network reads.
	Side() int
	// Look computes what the other methods read of an image [1,3,Side,Side] in 0…1.
	Look(ctx context.Context, run Runner, image *tensor.Tensor) (*tensor.Tensor, error)
	// Detect finds the objects that a text describes. boxes [N,4], nil for none, are examples of them: center, width and height in parts of the
	// image's sides.
	Detect(ctx context.Context, run Runner, seen *tensor.Tensor, text SegmentText, boxes *tensor.Tensor) (*Segments, error)
	// Segment returns the mask logits [1,1,Side,Side] of the object that a prompt points at.
	Segment(ctx context.Context, run Runner, seen *tensor.Tensor, p SegmentPrompt) (*tensor.Tensor, error)
	// Track follows objects through a video. It looks at each frame once, in order.
	Track(ctx context.Context, run Runner, c TrackCall) (*Tracks, error)
	// Busiest estimates the bytes of activations of the largest of the network's graphs, when as many boxes are given to Detect.
	Busiest(boxes int) int64
}

// SegmentText is a text that describes objects.
type SegmentText struct {
	// Hidden is its encoding [1,tokens,width], Mask [1,tokens] is 0 for padding; nil for none.
	Hidden, Mask *tensor.Tensor
	// Most is the number of objects that are wanted.
	Most int
}

// Segments are objects that were found: the logits of their scores [N], their corners [N,4] (x1, y1, x2, y2) in parts of the image's sides, and
// their mask logits [N,h,w].
type Segments struct{ Scores, Boxes, Masks *tensor.Tensor }

// Point is a place in an image; Positive reports that it lies on the object.
type Point struct {
	X, Y     float32
	Positive bool
}

// SegmentPrompt points at one object, in pixels of an image of Side: by points, by a box (its corners) or by mask logits [1,1,h,w].
type SegmentPrompt struct {
	Points []Point
	Box    *[4]float32
	Mask   *tensor.Tensor
}

// TrackCall describes a video whose objects are to be followed.
type TrackCall struct {
	// Frames is the number of frames; Frame returns one, [1,3,Side,Side] in 0…1.
	Frames int
	Frame  func(i int) (*tensor.Tensor, error)
	// Initial, when set, are masks [N,h,w] of objects in the first frame.
	Initial *tensor.Tensor
	// Texts describe objects that are looked for in every Interval-th frame; those whose score exceeds Threshold are followed, too, up to Most
	// objects in all (0 for as many as there can be).
	Texts     []SegmentText
	Threshold float32
	Most      int
	Interval  int
	// Room, when set, is called when the number of objects grows, before their masks take memory; its error ends the call.
	Room func(objects int) error
	// Progress, when set, is called after each frame.
	Progress func(done int)
}

// Tracks are the objects of a video.
type Tracks struct {
	// Masks has a mask for each frame and object, in rows of bits from the least significant one on, [frames,objects,Side,Side/8]; it is nil when
	// no object was found.
	Masks []byte
	// Frames, Objects and Side are its sizes.
	Frames, Objects, Side int
	// Scores are the objects' detection scores.
	Scores []float32
}

// KeySegmentTexts is the key under which a conditioning entry holds the texts of a prompt that lists several kinds of objects: []SegmentText.
const KeySegmentTexts = "sam3_multi_cond"
