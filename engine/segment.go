package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Segmenter is a model that finds and segments objects in images.
type Segmenter struct {
	model *Model
	net   family.Segmenter
}

// Segmenter returns the model as one that segments; an error for other models.
func (m *Model) Segmenter() (*Segmenter, error) {
	net, ok := m.net.(family.Segmenter)
	if !ok {
		return nil, fmt.Errorf("segmenting images: the model is of the family %s, which generates images: load a checkpoint of SAM 3", m.Family())
	}
	return &Segmenter{model: m, net: net}, nil
}

// Side is the side in pixels of the square images that the network reads.
func (s *Segmenter) Side() int { return s.net.Side() }

// View is an image that the network has looked at.
type View struct {
	of   *Segmenter
	seen *tensor.Tensor
}

// Look looks at an image [1,3,Side,Side] in 0…1.
func (s *Segmenter) Look(ctx context.Context, image *tensor.Tensor) (*View, error) {
	run := s.model.runner()
	if err := run.Check("segmenting an image", s.net.Busiest(0)); err != nil {
		return nil, err
	}
	defer s.model.rt.sessions.Reserve(run.device, s.net.Busiest(0))()
	seen, err := s.net.Look(ctx, run, image)
	if err != nil {
		return nil, fmt.Errorf("segmenting an image: %w", err)
	}
	return &View{s, seen}, s.model.explain(seen)
}

// Detect finds the objects that a text describes; see family.Segmenter.
func (v *View) Detect(ctx context.Context, text family.SegmentText, boxes *tensor.Tensor) (*family.Segments, error) {
	run, busiest := v.of.model.runner(), v.of.net.Busiest(0)
	if boxes != nil {
		busiest = v.of.net.Busiest(boxes.Dim(0))
		if err := run.Check("finding objects by examples", busiest); err != nil {
			return nil, err
		}
	}
	defer v.of.model.rt.sessions.Reserve(run.device, busiest)()
	return v.of.net.Detect(ctx, run, v.seen, text, boxes)
}

// Segment returns the mask logits [1,1,Side,Side] of the object that a prompt points at.
func (v *View) Segment(ctx context.Context, p family.SegmentPrompt) (*tensor.Tensor, error) {
	run := v.of.model.runner()
	defer v.of.model.rt.sessions.Reserve(run.device, v.of.net.Busiest(0))()
	return v.of.net.Segment(ctx, run, v.seen, p)
}

// Track follows objects through a video.
func (s *Segmenter) Track(ctx context.Context, c family.TrackCall) (*family.Tracks, error) {
	run := s.model.runner()
	if err := run.Check("following objects", s.net.Busiest(0)); err != nil {
		return nil, err
	}
	defer s.model.rt.sessions.Reserve(run.device, s.net.Busiest(0))()
	return s.net.Track(ctx, run, c)
}

// SegmentTexts are the texts of a conditioning for a segmenter: those of a prompt that lists several kinds of objects, or the one of its first entry.
func (c Conditioning) SegmentTexts() []family.SegmentText {
	if len(c) == 0 {
		return nil
	}
	if list, ok := c[0].Values[family.KeySegmentTexts].([]family.SegmentText); ok {
		return list
	}
	mask, _ := c[0].Values["attention_mask"].(*tensor.Tensor)
	return []family.SegmentText{{Hidden: c[0].Tokens, Mask: mask, Most: 1}}
}
