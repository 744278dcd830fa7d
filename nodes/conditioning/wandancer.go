package conditioning

import (
	"context"
	"math"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleWanDancer = "comfy_extras.nodes_wandancer"

func init() {
	nodes.Register(&WanDancerPadKeyframes{})
	nodes.Register(&WanDancerPadKeyframesList{})
}

// WanDancerPadKeyframes lays keyframes over a segment of a video.
type WanDancerPadKeyframes struct {
	Images        *tensor.Tensor `in:"images" type:"IMAGE"`
	SegmentLength int            `in:"segment_length" default:"149" min:"1" max:"10000" tooltip:"Frames of a segment."`
	SegmentIndex  int            `in:"segment_index" default:"0" min:"0" max:"100" tooltip:"Number of the segment, from 0."`
	Audio         *media.Audio   `in:"audio" type:"AUDIO" tooltip:"Audio of the whole video, which gives its length and the segment's audio."`
}

// Spec implements nodes.Node.
func (*WanDancerPadKeyframes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanDancerPadKeyframes", Category: "image/video",
		Module: moduleWanDancer, V3: true,
		Outputs: []nodes.Output{
			{Type: "IMAGE", Name: "keyframes_sequence", Tooltip: "The segment: keyframes at their places, black elsewhere."},
			{Type: "MASK", Name: "keyframes_mask", Tooltip: "1 for frames that are keyframes."},
			{Type: "AUDIO", Name: "audio_segment", Tooltip: "The segment's audio."},
		},
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*WanDancerPadKeyframes) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In.Of(s.In.Width, s.In.Height)
	p.Count = s.Number("segment_length") * p.Lists * 2 // images and masks
	return p
}

// Run implements nodes.Node.
func (n *WanDancerPadKeyframes) Run(ctx *nodes.Context) (nodes.Result, error) {
	d, err := newDance(n.Images, n.SegmentLength, n.Audio)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := d.check(n.SegmentIndex, 1); err != nil {
		return nodes.Result{}, err
	}
	frames, mask, audio, err := d.segment(ctx, n.SegmentIndex)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(frames, mask, audio), nil
}

// WanDancerPadKeyframesList lays keyframes over all segments of a video.
type WanDancerPadKeyframesList struct {
	Images        *tensor.Tensor `in:"images" type:"IMAGE"`
	SegmentLength int            `in:"segment_length" default:"149" min:"1" max:"10000" tooltip:"Frames of a segment."`
	NumSegments   int            `in:"num_segments" default:"1" min:"1" max:"100" tooltip:"Number of segments."`
	Audio         *media.Audio   `in:"audio" type:"AUDIO" tooltip:"Audio of the whole video, which gives its length and the segments' audio."`
}

// Spec implements nodes.Node.
func (*WanDancerPadKeyframesList) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanDancerPadKeyframesList", Category: "image/video",
		Module: moduleWanDancer, V3: true,
		Outputs: []nodes.Output{
			{Type: "IMAGE", Name: "keyframes_sequence", List: true, Tooltip: "The segments: keyframes at their places, black elsewhere."},
			{Type: "MASK", Name: "keyframes_mask", List: true, Tooltip: "1 for frames that are keyframes."},
			{Type: "AUDIO", Name: "audio_segment", List: true, Tooltip: "The segments' audio."},
		},
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*WanDancerPadKeyframesList) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In.Of(s.In.Width, s.In.Height)
	segments := max(1, s.Number("num_segments"))
	p.Lists *= segments
	p.Count = s.Number("segment_length") * p.Lists * 2 // images and masks
	return p
}

// Run implements nodes.Node.
func (n *WanDancerPadKeyframesList) Run(ctx *nodes.Context) (nodes.Result, error) {
	d, err := newDance(n.Images, n.SegmentLength, n.Audio)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.NumSegments < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "padding keyframes: num_segments is %d", n.NumSegments)
	}
	if err := d.check(n.NumSegments-1, n.NumSegments); err != nil {
		return nodes.Result{}, err
	}
	frames, masks := make([]*tensor.Tensor, n.NumSegments), make([]*tensor.Tensor, n.NumSegments)
	audios := make([]*media.Audio, n.NumSegments)
	for i := range n.NumSegments {
		if frames[i], masks[i], audios[i], err = d.segment(ctx, i); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(frames, masks, audios), nil
}

// danceRate is the frame rate of WanDancer's videos.
const danceRate = 30

// dance spreads keyframes evenly over the video that an audio is for.
type dance struct {
	images   *tensor.Tensor
	audio    *media.Audio
	length   int     // frames of a segment
	total    int     // frames of all segments
	interval float64 // frames from one keyframe to the next
}

func newDance(images *tensor.Tensor, length int, audio *media.Audio) (*dance, error) {
	if images == nil || len(images.Shape) != 4 || len(images.Data) == 0 {
		return nil, nodes.Errorf("ValueError", "padding keyframes: the input images is no image")
	}
	if !audio.Valid() {
		return nil, nodes.Errorf("TypeError", "padding keyframes: there is no audio")
	}
	const most = 1 << 20
	if length < 1 || length > most {
		return nil, nodes.Errorf("ValueError", "padding keyframes: segment_length is %d", length)
	}
	d := &dance{images: images, audio: audio, length: length}
	const buffer = 0.2 // seconds at the end that begin no segment
	if seconds := d.seconds(); seconds > buffer {
		d.total = (int((seconds-buffer)/(float64(length)/danceRate)) + 1) * length
	}
	d.interval = float64(d.total) / float64(images.Shape[0])
	return d, nil
}

func (d *dance) seconds() float64 { return float64(d.audio.Samples()) / float64(d.audio.SampleRate) }

// check refuses segments that are out of bounds or do not fit into memory.
func (d *dance) check(last, count int) error {
	const most = 1 << 16
	if last < 0 || last > most {
		return nodes.Errorf("ValueError", "padding keyframes: there is no segment %d", last)
	}
	return imaging.CheckSize("padded keyframes", count, d.length, d.images.Shape[1], d.images.Shape[2], d.images.Shape[3]+1)
}

// before returns the number of keyframes in a range of frames, without the last one.
func (d *dance) before(end int) int {
	if d.interval <= 0 {
		return 0
	}
	count := 0
	for float64(float64(count)*d.interval) < float64(end)-d.interval {
		count++
	}
	return count
}

// end is the last frame of a segment, counted in it.
func (d *dance) end(index int) int {
	if index == (d.total+d.length-1)/d.length-1 {
		return d.total - d.length*index - 1
	}
	return d.length - 1
}

// segment is one segment with its mask and its audio.
func (d *dance) segment(ctx context.Context, index int) (frames, mask *tensor.Tensor, audio *media.Audio, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, nil, err
	}
	h, w, c := d.images.Shape[1], d.images.Shape[2], d.images.Shape[3]
	frames, mask = tensor.New(d.length, h, w, c), tensor.New(d.length, h, w)
	if d.total > 0 {
		first := 0
		for i := range index {
			first += d.before(d.end(i))
		}
		place := func(frame, image int) {
			if image >= d.images.Shape[0] || frame >= d.length || frame < -d.length {
				return
			}
			frame = (frame + d.length) % d.length // behind the last segment they count from the end, as in torch
			copy(frames.Index(frame).Data, d.images.Index(image).Data)
			for i := range h * w {
				mask.Index(frame).Data[i] = 1
			}
		}
		end := d.end(index)
		count := d.before(end)
		for k := range count {
			place(int(math.Ceil(d.interval*float64(k))), first+k)
		}
		place(end, first+count)
	}
	return frames, mask, d.audioOf(index), nil
}

// audioOf is the audio of a segment.
func (d *dance) audioOf(index int) *media.Audio {
	length := float64(d.length) / danceRate
	start := float64(index) * length
	from := int(start * float64(d.audio.SampleRate))
	to := int(min(start+length, d.seconds()) * float64(d.audio.SampleRate))
	shape := d.audio.Waveform.Shape
	from, to = min(from, shape[2]), min(to, shape[2])
	out := tensor.New(shape[0], shape[1], max(to-from, 0))
	for row := range shape[0] * shape[1] {
		copy(out.Data[row*out.Shape[2]:][:out.Shape[2]], d.audio.Waveform.Data[row*shape[2]+from:])
	}
	return &media.Audio{Waveform: out, SampleRate: d.audio.SampleRate}
}
