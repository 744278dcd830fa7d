package audio

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"comfygo/engine/media"
	sound "comfygo/internal/audio"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadAudio{})
	nodes.Register(&RecordAudio{})
}

// LoadAudio loads the first audio stream of a file of the input folder.
type LoadAudio struct {
	Audio string `in:"audio" files:"input:audio,video" audio_upload:"true"`
}

// Spec implements nodes.Node.
func (*LoadAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadAudio", DisplayName: "Load Audio", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		EssentialsCategory: "Audio",
		Outputs:            nodes.Outputs("AUDIO"),
		Validates:          []string{"audio"},
		Description:        "Loads an audio file, or the audio of a video file, from the input folder.",
		SearchAliases:      []string{"import audio", "open audio", "audio file"},
		Uses:               nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LoadAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	a, err := load(ctx, n.Audio)
	return out(a), err
}

// Fingerprint is the content of the file.
func (n *LoadAudio) Fingerprint(ctx *nodes.Context) (any, error) { return digest(ctx, n.Audio) }

// ValidateInputs refuses names that lead to no file.
func (n *LoadAudio) ValidateInputs(ctx *nodes.Context) error {
	if _, linked := ctx.Linked("audio"); !linked && !ctx.Folders.Exists(n.Audio) {
		return nodes.Invalid("Invalid audio file: %s", n.Audio)
	}
	return nil
}

// RecordAudio loads the audio that the browser recorded and uploaded.
type RecordAudio struct {
	Audio string `in:"audio" type:"AUDIO_RECORD"`
}

// Spec implements nodes.Node.
func (*RecordAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RecordAudio", DisplayName: "Record Audio", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Description:   "Records audio with the browser's microphone.",
		SearchAliases: []string{"microphone input", "audio capture", "voice input"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *RecordAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	a, err := load(ctx, n.Audio)
	return out(a), err
}

// Fingerprint is the content of the file.
func (n *RecordAudio) Fingerprint(ctx *nodes.Context) (any, error) { return digest(ctx, n.Audio) }

var (
	_ nodes.Validator     = (*LoadAudio)(nil)
	_ nodes.Fingerprinter = (*LoadAudio)(nil)
	_ nodes.Fingerprinter = (*RecordAudio)(nil)
)

func digest(ctx *nodes.Context, name string) (any, error) {
	path, err := ctx.Folders.Resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// load decodes a file: WAV and FLAC here, everything else, and files that are not supported here, by
// ffmpeg.
func load(ctx *nodes.Context, name string) (*media.Audio, error) {
	path, err := ctx.Folders.Resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nodes.Errorf("av.error.FileNotFoundError", "loading the audio %q: there is no such file in the folder", name)
	case err != nil:
		return nil, nodes.Errorf("OSError", "loading the audio %q: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nodes.Errorf("OSError", "loading the audio %q: it is not a regular file", name)
	}
	charge := func(bytes int64) error { return ctx.Reserve("decoded audio", bytes) }
	a, native := loadHere(ctx, path, info.Size(), charge)
	if native == nil {
		return a, nil
	}
	err = ctx.FFmpeg.DecodeAudio(ctx, path, func(r io.Reader) (err error) {
		a, err = sound.ReadWAV(ctx, r, charge)
		return err
	})
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, ffmpeg.ErrMissing) && !errors.Is(native, sound.ErrUnknown):
		err = native
	case errors.Is(err, ffmpeg.ErrMissing):
		return nil, nodes.Errorf("RuntimeError", "loading the audio %q: %w", name, err)
	case errors.Is(err, ffmpeg.ErrNoStream):
		return nil, nodes.Errorf("ValueError", "loading the audio %q: the file has no audio stream", name)
	case nodes.ExceptionType(err) != "RuntimeError" || ctx.Err() != nil:
		return nil, err
	}
	return nil, nodes.Errorf("av.error.InvalidDataError", "loading the audio %q: %w", name, err)
}

// loadHere reads the formats that need no ffmpeg.
func loadHere(ctx *nodes.Context, path string, size int64, charge sound.Charge) (*media.Audio, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var start [12]byte
	n, _ := io.ReadFull(f, start[:]) // a shorter file is no audio
	if !sound.Native(start[:n]) {
		return nil, sound.ErrUnknown
	}
	if err := imaging.CheckSize("a file of this size", int(size/4)); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return sound.Read(ctx, data, charge)
}
