package audio_test

import (
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/nodes/audio"
)

// TestAudioEncoderErrors checks what the classes say about missing files and inputs.
func TestAudioEncoderErrors(t *testing.T) {
	t.Parallel()
	dirs, err := folders.New(folders.Config{Base: filepath.Join(t.TempDir(), "base")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := nodes.TestContext(t.Context(), nodes.Services{Folders: dirs})
	sound := &media.Audio{Waveform: tensor.New(1, 1, 500), SampleRate: 16000}
	for says, n := range map[string]nodes.Node{
		`no file "none.safetensors"`: &audio.AudioEncoderLoader{Name: "none.safetensors"},
		"there is no audio encoder":  &audio.AudioEncoderEncode{Audio: sound},
		"there is no audio;":         &audio.AudioEncoderEncode{Encoder: &engine.AudioEncoder{}},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
}
