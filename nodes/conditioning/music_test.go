package conditioning_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// song is cases_music.py's: chords with a beat in noise.
func song(recipe *pyjson.Object, _ func(any) any) any {
	number := func(key string) float64 {
		switch v, _ := recipe.Get(key); v := v.(type) {
		case int64:
			return float64(v)
		case float64:
			return v
		}
		return 0
	}
	n, channels, bpm := int(number("samples")), int(number("channels")), number("bpm")
	out := tensor.New(1, channels, n)
	noise := nodecalls.Uniform(n, 3)
	for c := range channels {
		for i := range n {
			t := float64(i) / number("rate")
			beat := math.Floor(t * bpm / 60)
			since := t - beat*60/bpm
			v := 0.0
			for k, hz := range []float64{220, 277.1826, 329.6276} {
				v += 0.2 * math.Sin(2*math.Pi*hz*number("tune")*(1+math.Mod(beat, 4)*0.1225)*t+float64(k)+float64(c))
			}
			out.Data[c*n+i] = float32(v*math.Exp(-3*since) + 0.5*(noise[i]-0.5)*math.Exp(-40*since) + 0.01*(noise[i]-0.5))
		}
	}
	return out
}

// TestMusic compares the features of music with upstream's.
func TestMusic(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_music.json.gz", nodecalls.Options{
		Makers: map[string]func(*pyjson.Object, func(any) any) any{"song": song},
	})
}

// TestMusicBad: audio that nothing can be told of.
func TestMusicBad(t *testing.T) {
	t.Parallel()
	nan := tensor.New(1, 1, 9000)
	nan.Data[4] = float32(math.NaN())
	for want, a := range map[string]any{
		"no audio":    &media.Audio{},
		"finite":      &media.Audio{Waveform: nan, SampleRate: 8000},
		"0 samples":   &media.Audio{Waveform: tensor.New(1, 1, 0), SampleRate: 8000},
		"too few":     &media.Audio{Waveform: tensor.New(1, 1, 1), SampleRate: 8000},
		"sample rate": &media.Audio{Waveform: tensor.New(1, 1, 10)},
		"want *media": "text",
	} {
		_, err := nodecalls.CallIn(t, nil, "WanDancerEncodeAudio", pyjson.NewObject("audio", a, "video_frames", int64(149)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// silence has no beat, and no loudest pitch
	r, err := nodecalls.CallIn(t, nil, "WanDancerEncodeAudio", pyjson.NewObject("audio", &media.Audio{Waveform: tensor.New(1, 2, 30000), SampleRate: 8000}, "video_frames", int64(9)))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := r.Values[0].(*pyjson.Object).Get("audio_feature")
	for i, v := range f.(*tensor.Tensor).Data {
		if math.IsNaN(float64(v)) {
			t.Fatalf("feature %d of silence is %v", i, v)
		}
	}
}
