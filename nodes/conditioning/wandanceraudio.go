package conditioning

import (
	"fmt"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/audio"
	"comfygo/internal/audio/music"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&WanDancerEncodeAudio{}) }

// WanDancerEncodeAudio describes music for WanDancer: onsets, timbre, harmony and beats of each frame.
type WanDancerEncodeAudio struct {
	Audio            *media.Audio `in:"audio" type:"AUDIO"`
	VideoFrames      int          `in:"video_frames" default:"149" min:"1" max:"16384" step:"4"`
	AudioInjectScale float64      `in:"audio_inject_scale" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Strength of the audio in the video model."`
}

// Spec implements nodes.Node.
func (*WanDancerEncodeAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanDancerEncodeAudio", Category: "model/conditioning/wan/dancer",
		Module: moduleWanDancer, V3: true,
		Outputs: []nodes.Output{
			{Type: "AUDIO_ENCODER_OUTPUT", Name: "audio_encoder_output"},
			{Type: "STRING", Name: "fps_string", Tooltip: "Frame rate that follows from the length of the audio, as the prompt says it."},
		},
		Description: "Describes music for WanDancer, and tells the frame rate at which the video is as long as the music.",
		Uses:        nodes.UsesNothing,
	}
}

// Frame rate of the features, the sample rate that follows from it, and the one that the features take it for, as upstream
// has them.
const (
	musicRate     = danceRate * music.Hop
	musicFeatures = 22050
	musicMFCC     = 20
	// most bounds the samples: four hours and a half of the features' rate.
	mostMusic = 250_000_000
)

// Run implements nodes.Node.
func (n *WanDancerEncodeAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !n.Audio.Valid() || n.Audio.SampleRate < 1 {
		return nodes.Result{}, nodes.Errorf("TypeError", "reading the input audio: there is no audio [batch, channels, samples] with a sample rate")
	}
	mono := mixed(n.Audio)
	if len(mono) == 0 || len(mono) > mostMusic {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input audio: it has %d samples, want 1 to %d", len(mono), mostMusic)
	}
	for i, v := range mono {
		if v-v != 0 {
			return nodes.Result{}, nodes.Errorf("ValueError", "reading the input audio: sample %d is %v, want a finite number", i, v)
		}
	}
	const features = 1 + musicMFCC + 12 + 2
	frames := 1 + int(int64(len(mono))*musicRate/int64(n.Audio.SampleRate))/music.Hop
	if err := ctx.Reserve("features of music", 4*(3*int64(len(mono))+int64(frames)*(2*128+2*features))); err != nil {
		return nodes.Result{}, err
	}
	start, err := music.Tempo(ctx, mono, n.Audio.SampleRate)
	if err != nil {
		return nodes.Result{}, err
	}
	resampled, err := audio.Resample(ctx, &tensor.Tensor{Shape: []int{1, len(mono)}, Data: mono}, n.Audio.SampleRate, musicRate)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "resampling the audio: %w", err)
	}
	out, err := musicOf(ctx, resampled.Data, start)
	if err != nil {
		return nodes.Result{}, err
	}
	each := int(float64(out.Shape[1])/float64(n.VideoFrames) + 0.5)
	if each == 0 {
		return nodes.Result{}, nodes.Errorf("ZeroDivisionError", "the audio has %d frames at %d a second, which are too few for %d frames of video", out.Shape[1], danceRate, n.VideoFrames)
	}
	fps := danceRate / float64(each)
	text := ", 帧率是30fps。" // as the model was trained with
	if int(fps+0.5) != danceRate {
		text = fmt.Sprintf(" 帧率是%.4f", fps)
	}
	return nodes.Out(pyjson.NewObject("audio_feature", out, "fps", fps, "audio_inject_scale", n.AudioInjectScale), text), nil
}

// mixed is the mean of the channels of the first audio.
func mixed(a *media.Audio) []float32 {
	channels, samples := a.Waveform.Shape[1], a.Waveform.Shape[2]
	if channels == 1 {
		return a.Waveform.Data[:samples]
	}
	out := make([]float32, samples)
	for c := range channels {
		for i, v := range a.Waveform.Data[c*samples : (c+1)*samples] {
			out[i] += v
		}
	}
	for i := range out {
		out[i] /= float32(channels)
	}
	return out
}

// musicOf returns the features of each frame, [1, frames, 35]: onset, cepstrum, chroma, peak, beat.
func musicOf(ctx *nodes.Context, samples []float32, start float64) (*tensor.Tensor, error) {
	bands, err := music.MelBands(ctx, samples, musicFeatures)
	if err != nil {
		return nil, err
	}
	const span = 80
	bands = bands.Decibels(span)
	onsets, cepstra := bands.Onsets(), bands.MFCC(musicMFCC)
	chroma, err := music.Chroma(ctx, samples, musicFeatures)
	if err != nil {
		return nil, err
	}
	tempo, err := music.TempoOf(ctx, onsets, musicFeatures, start)
	if err != nil {
		return nil, err
	}
	beats, err := music.Beats(ctx, onsets, tempo, musicFeatures)
	if err != nil {
		return nil, err
	}
	const columns = 1 + musicMFCC + 12 + 2
	out := tensor.New(1, len(onsets), columns)
	for i, o := range onsets {
		row := out.Data[i*columns : (i+1)*columns]
		row[0] = o
		copy(row[1:], cepstra[i])
		copy(row[1+musicMFCC:], chroma[i])
	}
	for _, i := range music.Peaks(onsets, musicFeatures) {
		out.Data[i*columns+columns-2] = 1
	}
	for _, i := range beats {
		out.Data[i*columns+columns-1] = 1
	}
	return out, nil
}
