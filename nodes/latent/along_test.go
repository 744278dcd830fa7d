package latent_test

import (
	"slices"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

// counted returns a tensor of the numbers from 1 on.
func counted(shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data {
		x.Data[i] = float32(i + 1)
	}
	return x
}

func joined(t *testing.T, video, sound engine.Latent) engine.Latent {
	t.Helper()
	r, err := (&latent.LTXVConcatAVLatent{Video: video, Audio: sound}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	return r.Values[0].(engine.Latent)
}

func TestVideoAndAudioAreJoinedAndSeparated(t *testing.T) {
	t.Parallel()
	video := engine.Latent{Samples: counted(1, 4, 2, 3, 3), NoiseMask: counted(1, 3, 3)}
	sound := engine.Latent{Samples: counted(1, 2, 3, 2)}
	both := joined(t, video, sound)
	r, err := (&latent.LTXVSeparateAVLatent{Joined: both}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	f, s := r.Values[0].(engine.Latent), r.Values[1].(engine.Latent)
	if f.Samples != video.Samples || f.NoiseMask != video.NoiseMask || f.Along != nil {
		t.Errorf("the video comes back as %+v", f)
	}
	if s.Samples != sound.Samples || s.NoiseMask != nil || s.Along != nil {
		t.Errorf("the sound comes back as %+v", s)
	}
	if _, err := (&latent.LTXVSeparateAVLatent{Joined: video}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("a video without audio was taken apart")
	}
}

// TestAnotherSoundIsFitted: what is joined already keeps the length of its sound.
func TestAnotherSoundIsFitted(t *testing.T) {
	t.Parallel()
	both := joined(t, engine.Latent{Samples: counted(1, 4, 2, 3, 3)}, engine.Latent{Samples: counted(1, 2, 3, 1)})
	for _, c := range []struct {
		sound      engine.Latent
		want, mask []float32
	}{
		{engine.Latent{Samples: counted(1, 2, 3, 1)}, []float32{1, 2, 3, 4, 5, 6}, nil},
		{engine.Latent{Samples: counted(1, 2, 4, 1)}, []float32{1, 2, 3, 5, 6, 7}, nil},
		{engine.Latent{Samples: counted(1, 2, 2, 1), NoiseMask: tensor.New(1, 2, 1)}, []float32{1, 2, 0, 3, 4, 0}, []float32{0, 0, 1, 0, 0, 1}},
	} {
		got := joined(t, both, c.sound)
		if !slices.Equal(got.Along[0].Data, c.want) || len(got.Along) != 1 || got.Samples != both.Samples {
			t.Errorf("the sound becomes %v, want %v", got.Along[0].Data, c.want)
		}
		if mask := got.AlongMasks[0]; (mask == nil) != (c.mask == nil) || mask != nil && !slices.Equal(mask.Data, c.mask) {
			t.Errorf("its mask becomes %v, want %v", mask, c.mask)
		}
	}
	for _, shape := range [][]int{{1, 3, 3, 1}, {1, 2, 2, 2}, {1, 2, 3}} {
		n := &latent.LTXVConcatAVLatent{Video: both, Audio: engine.Latent{Samples: counted(shape...)}}
		if _, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
			t.Errorf("a sound of shape %v was fitted", shape)
		}
	}
	if _, err := (&latent.LTXVConcatAVLatent{}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("nothing was joined with nothing")
	}
}
