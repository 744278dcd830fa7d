// Package music measures what music is like over time: loudness in mel bands, onsets, tempo, beats and harmony, as librosa
// and ComfyUI's WanDancer do.
//
// It works on samples. It must not know of nodes or tensors.
package music
