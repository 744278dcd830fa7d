package wan

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// encoded is encoded audio as testdata/sound.py makes it.
func encoded(layers, samples int, shape ...int) family.AudioEncoding {
	e := family.AudioEncoding{Samples: samples, Rate: 16000}
	for i := range layers {
		e.Layers = append(e.Layers, times(waves(shape...), float32(i+1)))
	}
	return e
}

// TestAudioEqualsUpstream compares what models of speech and HuMo hear, and masks of identities, with testdata/sound.py; means and interpolation of
// values below 33 are within 1e-5.
func TestAudioEqualsUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/sound.json")
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]struct {
		Shape  []int
		Values []float32
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	hold := func(name string, got *tensor.Tensor, err error) {
		t.Helper()
		want := stored[name]
		if err != nil || got == nil || !slices.Equal(got.Shape, want.Shape) {
			t.Fatalf("%s: %v, %v, want the shape %v", name, got, err, want.Shape)
		}
		var some []float32
		for i := 0; i < got.Len(); i += 97 {
			some = append(some, got.Data[i])
		}
		compare(t, name, some, want.Values)
	}
	speech := encoded(3, 41600, 1, 130, 6)
	for name, c := range map[string]struct{ length, offset int }{"s2v first": {9, 0}, "s2v second": {9, 12}, "s2v long": {77, 0}} {
		s := sound{canvas: canvas{nil, 32, 32, c.length}, offset: c.offset}
		got, err := s.bucket(speech)
		hold(name, got, err)
	}
	got, err := canvas{nil, 32, 32, 29}.windows(encoded(33, 41600, 1, 150, 7))
	hold("humo", got, err)
	for name, c := range map[string]struct{ speakers, from, length int }{"talk first": {1, 0, 9}, "talk second": {1, 30, 57}, "talk two": {2, 20, 29}} {
		n := WanInfiniteTalkToVideo{Audio: encoded(4, 28800, 1, 90, 6)}
		if c.speakers == 2 {
			n.Mode.Inputs = &Speakers{Audio: encoded(4, 41600, 1, 130, 6), First: tensor.New(1, 8, 8), Second: tensor.New(1, 8, 8)}
		}
		audio, masks, err := n.speakers()
		if err != nil || (masks != nil) != (c.speakers == 2) {
			t.Fatalf("%s: %v, %v", name, masks, err)
		}
		got, err := windowsOf(audio, c.from, c.length)
		hold(name, got, err)
	}
	colors := [][3]float32{{1, 1, 1}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {1, 0, 1}, {0, 1, 1}, {0, 0, 0}}
	video := tensor.New(5, 20, 12, 3)
	for i := range video.Len() / 3 {
		copy(video.Data[i*3:], colors[i*7%41%8][:])
	}
	hold("identities", identities(video), nil)
	s := sound{canvas: canvas{nil, 32, 32, 9}, offset: 1000}
	if got, err := s.bucket(speech); got != nil || err != nil {
		t.Errorf("behind the end: %v, %v", got, err)
	}
}

// two is the mode of two speakers.
func two(s *Speakers) nodes.Choice { return nodes.Choice{Key: "two_speakers", Inputs: s} }

func TestWrongPeople(t *testing.T) {
	t.Parallel()
	image, mask := tensor.New(1, 8, 8, 3), tensor.New(2, 8, 8)
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"reference":     {&WanSCAILToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, ReferenceImage: image}, "there is no VAE"},
		"pose":          {&WanSCAILToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, PoseVideo: image}, "pose_video"},
		"pose mask":     {&WanSCAILToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, PoseVideoMask: tensor.New(1, 8, 8, 1)}, "pose_video_mask"},
		"before":        {&WanSCAILToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, PreviousFrameCount: 5, PreviousFrames: image}, "previous_frames"},
		"speech":        {&WanSoundImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, Audio: "no"}, "AudioEncoderEncode"},
		"motion":        {&WanSoundImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, RefMotion: image}, "ref_motion"},
		"person":        {&WanSoundImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, RefImage: image}, "ref_image"},
		"control":       {&WanSoundImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, ControlVideo: image}, "control_video"},
		"extend":        {&WanSoundImageToVideoExtend{Length: 5, VideoLatent: engine.Latent{Samples: tensor.New(1, 4, 8, 8)}}, "video_latent"},
		"humo, encoder": {&WanHuMoImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, Audio: encoded(25, 41600, 1, 130, 6)}, "33"},
		"humo, short":   {&WanHuMoImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, Audio: encoded(33, 100, 1, 1, 6)}, "too short"},
		"humo, image":   {&WanHuMoImageToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, RefImage: image}, "ref_image"},
		"animate":       {&WanAnimateToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1}, "there is no VAE"},
		"animate 2":     {&WanAnimate2ToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, ReferenceImage: image}, "there is no VAE"},
		"steps":         {&WanAnimate2ToVideo{Width: 32, Height: 32, Length: 5, BatchSize: 1, PoseStartPercent: 0.5, PoseEndPercent: 0.1}, "greater"},
		"no model":      {&WanAnimate2Cache{Dtype: "default"}, "no model"},
		"no type":       {&WanAnimate2Cache{Model: &engine.Model{}, Dtype: "int2"}, "int2"},
		"dance":         {&WanDancerVideo{Width: 32, Height: 32, Length: 5, StartImage: image}, "start_image"},
		"music":         {&WanDancerVideo{Width: 32, Height: 32, Length: 5, Audio: encoded(1, 1, 1, 1, 1)}, "WanDancerEncodeAudio"},
		"AR, model":     {&ARVideoI2V{StartImage: image}, "no model"},
		"AR, VAE":       {&ARVideoI2V{Model: &engine.Model{}, StartImage: image, Width: 16, Height: 16, Length: 5, BatchSize: 1}, "there is no VAE"},
		"talk, model":   {&WanInfiniteTalkToVideo{StartImage: image}, "no model"},
		"talk, images":  {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}}, "connect one"},
		"talk, frames":  {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, PreviousFrames: image, MotionFrameCount: 2}, "motion_frame_count"},
		"talk, speech":  {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Audio: "no"}, "AudioEncoderEncode"},
		"talk, layers":  {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Audio: encoded(1, 1, 1, 4, 6)}, "wanted 2"},
		"talk, short":   {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Audio: encoded(4, 1, 1, 1, 6)}, "too short"},
		"talk, rows":    {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Audio: encoded(4, 1, 2, 4, 6)}, "2 waveforms"},
		"talk, masks":   {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Mode: two(&Speakers{Audio: 1})}, "mask_1 and mask_2"},
		"talk, second":  {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Mode: two(&Speakers{First: mask, Second: mask})}, "audio_encoder_output_2"},
		"talk, sizes":   {&WanInfiniteTalkToVideo{Model: &engine.Model{}, Patch: &engine.ModelPatch{}, StartImage: image, Mode: two(&Speakers{Audio: 1, First: mask, Second: mask})}, "one mask each"},
		"no music":      {&WanDancerVideo{Width: 32, Height: 32, Length: 5, Audio: pyjson.NewObject("fps", 30.0)}, "audio_feature"},
	} {
		_, err := c.node.Run(&nodes.Context{Context: t.Context()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := (&WanDancerVideo{Length: 5, Mask: mask}).kept(tensor.New(1, 16, 2, 4, 4), 1); err == nil || !strings.Contains(err.Error(), "mask") {
		t.Errorf("two masks: %v", err)
	}
	p := person{canvas: canvas{nil, 32, 32, 5}, image: tensor.New(1, 16, 1, 4, 4)}
	if _, err := p.unknown(tensor.New(8, 8), false); err == nil {
		t.Error("a mask without frames: no error")
	}
}

// TestWithoutPeople holds what the nodes give when nothing is connected that has to be encoded.
func TestWithoutPeople(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		node  nodes.Node
		shape []int
		keys  []string
	}{
		"scail":  {&WanSCAILToVideo{Width: 32, Height: 64, Length: 9, BatchSize: 2, Positive: texts(), Negative: texts(), PoseVideoMask: tensor.New(9, 8, 8, 3)}, []int{2, 16, 3, 8, 4}, []string{"ref_mask_flag", "driving_mask_28ch"}},
		"speech": {&WanSoundImageToVideo{Width: 32, Height: 64, Length: 9, BatchSize: 1, Positive: texts(), Negative: texts(), Audio: encoded(3, 41600, 1, 130, 6)}, []int{1, 16, 3, 8, 4}, []string{"audio_embed", "control_video"}},
		"extend": {&WanSoundImageToVideoExtend{Length: 9, VideoLatent: engine.Latent{Samples: tensor.New(1, 16, 2, 8, 4)}, Positive: texts(), Negative: texts()}, []int{1, 16, 3, 8, 4}, []string{"reference_motion", "control_video"}},
		"humo":   {&WanHuMoImageToVideo{Width: 32, Height: 64, Length: 9, BatchSize: 1, Positive: texts(), Negative: texts()}, []int{1, 16, 3, 8, 4}, []string{"audio_embed", sampling.KeyReferences}},
		"dance": {
			&WanDancerVideo{Width: 32, Height: 64, Length: 9, Positive: texts(), Negative: texts(), Audio: pyjson.NewObject("audio_feature", tensor.New(1, 3, 35), "fps", int64(10))},
			[]int{1, 16, 3, 8, 4},
			[]string{"audio_embed", sampling.KeyFPS, "audio_inject_scale"},
		},
	} {
		r, err := c.node.Run(&nodes.Context{Context: t.Context()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l, ok := r.Values[2].(engine.Latent); !ok || !slices.Equal(l.Samples.Shape, c.shape) {
			t.Errorf("%s: %+v, want a latent of shape %v", name, r.Values[2], c.shape)
		}
		for _, side := range r.Values[:2] {
			for _, key := range c.keys {
				if side.(engine.Conditioning)[0].Values[key] == nil {
					t.Errorf("%s: there is no %s", name, key)
				}
			}
		}
	}
}

// TestDuring splits entries at the sampling steps in which values act.
func TestDuring(t *testing.T) {
	t.Parallel()
	bounds := func(c engine.Conditioning) (out [][3]float64) {
		for _, e := range c {
			has := 0.0
			if e.Values["pose"] != nil {
				has = 1
			}
			start, _ := e.Values[sampling.KeyStart].(float64)
			end, _ := e.Values[sampling.KeyEnd].(float64)
			out = append(out, [3]float64{start, end, has})
		}
		return out
	}
	values := map[string]any{"pose": true}
	first, last, aside := 0.2, 0.7, 1e-5
	if got, want := bounds(during(texts(), values, first, last)), [][3]float64{{0, first - aside, 0}, {first, last, 1}, {last + aside, 1, 0}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	late := texts().With(map[string]any{sampling.KeyStart: 0.8})
	if got, want := bounds(during(late, values, 0, 0.5)), [][3]float64{{0.8, 0, 0}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := bounds(during(texts(), values, 0.7, 0.2)); len(got) != 1 || got[0][2] != 0 {
		t.Errorf("start behind end: %v", got)
	}
	n := &WanAnimate2ToVideo{PoseStartPercent: 0.25, PoseEndPercent: 0.75}
	if got, want := bounds(n.within(texts(), values)), [][3]float64{{0.25, 0.75, 1}, {0, 0.25, 0}, {0.75, 1, 0}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
