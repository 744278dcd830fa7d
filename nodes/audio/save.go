package audio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	sound "comfygo/internal/audio"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveAudio{})
	nodes.Register(&SaveAudioMP3{})
	nodes.Register(&SaveAudioOpus{})
	nodes.Register(&SaveAudioAdvanced{})
	nodes.Register(&PreviewAudio{})
}

// SaveAudio writes FLAC files.
type SaveAudio struct {
	Audio  *media.Audio `in:"audio" type:"AUDIO"`
	Prefix string       `in:"filename_prefix" default:"audio/ComfyUI"`
}

// Spec implements nodes.Node.
func (*SaveAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveAudio", DisplayName: "Save Audio (FLAC) (DEPRECATED)", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		EssentialsCategory: "Audio",
		Outputs:            []nodes.Output{{Type: "AUDIO", Name: "audio"}},
		OutputNode:         true, Deprecated: true,
		Description:   "Saves audio as FLAC in the output folder.",
		SearchAliases: []string{"export flac"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saved(ctx, n.Audio, n.Prefix, "flac", "")
}

// SaveAudioMP3 writes MP3 files.
type SaveAudioMP3 struct {
	Audio   *media.Audio `in:"audio" type:"AUDIO"`
	Prefix  string       `in:"filename_prefix" default:"audio/ComfyUI"`
	Quality string       `in:"quality" options:"V0|128k|320k" default:"V0"`
}

// Spec implements nodes.Node.
func (*SaveAudioMP3) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveAudioMP3", DisplayName: "Save Audio (MP3) (DEPRECATED)", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		EssentialsCategory: "Audio",
		Outputs:            []nodes.Output{{Type: "AUDIO", Name: "audio"}},
		OutputNode:         true, Deprecated: true,
		Description:   "Saves audio as MP3 in the output folder. Needs ffmpeg.",
		SearchAliases: []string{"export mp3"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveAudioMP3) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saved(ctx, n.Audio, n.Prefix, "mp3", n.Quality)
}

// SaveAudioOpus writes Opus files.
type SaveAudioOpus struct {
	Audio   *media.Audio `in:"audio" type:"AUDIO"`
	Prefix  string       `in:"filename_prefix" default:"audio/ComfyUI"`
	Quality string       `in:"quality" options:"64k|96k|128k|192k|320k" default:"128k"`
}

// Spec implements nodes.Node.
func (*SaveAudioOpus) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveAudioOpus", DisplayName: "Save Audio (Opus) (DEPRECATED)", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:    []nodes.Output{{Type: "AUDIO", Name: "audio"}},
		OutputNode: true, Deprecated: true,
		Description:   "Saves audio as Opus in the output folder. Needs ffmpeg.",
		SearchAliases: []string{"export opus"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveAudioOpus) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saved(ctx, n.Audio, n.Prefix, "opus", n.Quality)
}

// MP3Quality are the inputs of the format mp3.
type MP3Quality struct {
	Quality string `in:"quality" options:"V0|128k|320k" default:"V0"`
}

// OpusQuality are the inputs of the format opus.
type OpusQuality struct {
	Quality string `in:"quality" options:"64k|96k|128k|192k|320k" default:"128k"`
}

// SaveAudioAdvanced writes audio in a format of choice.
type SaveAudioAdvanced struct {
	Audio  *media.Audio `in:"audio" type:"AUDIO" tooltip:"Audio to save."`
	Prefix string       `in:"filename_prefix" default:"audio/ComfyUI" tooltip:"Beginning of the file name. It may name subfolders and hold tokens such as %date:yyyy-MM-dd%."`
	Format nodes.Choice `in:"format" tooltip:"File format."`
}

// DynamicOptions implements nodes.Dynamic.
func (*SaveAudioAdvanced) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "flac"}, {Key: "mp3", Inputs: &MP3Quality{}}, {Key: "opus", Inputs: &OpusQuality{}}}
}

// Spec implements nodes.Node.
func (*SaveAudioAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveAudioAdvanced", DisplayName: "Save Audio (Advanced)", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       []nodes.Output{{Type: "AUDIO", Name: "audio"}},
		OutputNode:    true,
		Description:   "Saves audio in the output folder. MP3 and Opus need ffmpeg.",
		SearchAliases: []string{"save audio", "export audio", "output audio", "write audio", "flac", "mp3", "opus"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveAudioAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	quality := ""
	switch in := n.Format.Inputs.(type) {
	case *MP3Quality:
		quality = in.Quality
	case *OpusQuality:
		quality = in.Quality
	}
	return saved(ctx, n.Audio, n.Prefix, n.Format.Key, quality)
}

// PreviewAudio writes audio into the temp folder.
type PreviewAudio struct {
	Audio *media.Audio `in:"audio" type:"AUDIO"`
}

// Spec implements nodes.Node.
func (*PreviewAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PreviewAudio", DisplayName: "Preview Audio", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       []nodes.Output{{Type: "AUDIO", Name: "audio"}},
		OutputNode:    true,
		Description:   "Plays audio without saving it in the output folder.",
		SearchAliases: []string{"play audio"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *PreviewAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	letters := make([]byte, 5)
	for i := range letters {
		letters[i] = 'a' + byte(rand.N(26))
	}
	files, err := save(ctx, n.Audio, file{prefix: "ComfyUI_temp_" + string(letters), kind: "temp", format: "flac"})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Audio).AddUI("audio", files), nil
}

func saved(ctx *nodes.Context, a *media.Audio, prefix, format, quality string) (nodes.Result, error) {
	files, err := save(ctx, a, file{prefix: prefix, kind: "output", format: format, quality: quality})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(a).AddUI("audio", files), nil
}

// file selects how audio is saved: kind is the folder, quality that of MP3 and Opus.
type file struct{ prefix, kind, format, quality string }

// save writes each element of the batch as a file and returns the entries for the client.
func save(ctx *nodes.Context, a *media.Audio, f file) ([]any, error) {
	if a == nil {
		return nil, nodes.Errorf("ValueError", "saving audio: there is none; the video it comes from may have no audio stream")
	}
	if err := check("audio", a); err != nil {
		return nil, err
	}
	if a.Channels() == 0 || a.Samples() == 0 {
		return nil, nodes.Errorf("ValueError", "saving audio: it has %d channels of %d samples", a.Channels(), a.Samples())
	}
	dir, ok := ctx.Folders.Dir(f.kind)
	if !ok {
		return nil, fmt.Errorf("unknown folder type %q", f.kind)
	}
	to, err := ctx.Folders.SavePath(f.prefix, dir, 0, 0)
	if errors.Is(err, folders.ErrOutside) {
		return nil, nodes.Errorf("Exception", "saving audio with the prefix %q: it leads out of the %s folder", f.prefix, f.kind)
	}
	if err != nil {
		return nil, err
	}
	to.Bare = true
	tags, err := fileTags(ctx, f.format)
	if err != nil {
		return nil, err
	}
	warnNaN(ctx, a.Waveform)
	files := []any{}
	for i := range a.Waveform.Shape[0] {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var failure error // without the folder's path
		name, err := to.Write(i, "."+f.format, func(w io.Writer) error {
			failure = f.encode(ctx, w, a.Waveform.Index(i), a.SampleRate, tags)
			return failure
		})
		if failure != nil {
			return nil, fmt.Errorf("saving audio: %w", failure)
		}
		if err != nil {
			return nil, nodes.Errorf("OSError", "saving audio: %w", err)
		}
		files = append(files, pyjson.NewObject("filename", name, "subfolder", to.Subfolder, "type", f.kind))
	}
	return files, nil
}

// fileTags returns the metadata, as far as the format has room for it.
func fileTags(ctx *nodes.Context, format string) ([]sound.Tag, error) {
	text, err := ctx.FileText()
	if err != nil {
		return nil, err
	}
	tags := make([]sound.Tag, len(text))
	for i, t := range text {
		tags[i] = sound.Tag(t)
	}
	if n := sound.FLACTagBytes(tags); format == "flac" && n > sound.MaxFLACTags {
		ctx.Warn(fmt.Sprintf("the workflow was not stored in the FLAC file: its %d bytes are more than the format's %d", n, sound.MaxFLACTags))
		return nil, nil
	}
	return tags, nil
}

func warnNaN(ctx *nodes.Context, t *tensor.Tensor) {
	for _, v := range t.Data {
		if v != v {
			ctx.Warn("the audio has samples that are not numbers (NaN); they were saved as silence")
			return
		}
	}
}

func (f file) encode(ctx *nodes.Context, w io.Writer, t *tensor.Tensor, rate int, tags []sound.Tag) error {
	channels, n := t.Shape[0], t.Shape[1]
	if err := ctx.Reserve("encoded audio", 4*int64(channels)*int64(n)); err != nil {
		return err
	}
	if f.format == "flac" {
		return sound.WriteFLAC(ctx, w, sound.Pack16(t), channels, rate, tags)
	}
	if channels > 2 {
		return nodes.Errorf("ValueError", "audio of %d channels; %s has one or two", channels, f.format)
	}
	e := ffmpeg.Encoding{Dir: ctx.Folders.Temp(), InputCount: 1}
	switch f.format {
	case "mp3":
		if !slices.Contains(mp3Rates, rate) {
			return nodes.Errorf("ValueError", "a sample rate of %d Hz; MP3 has %v", rate, mp3Rates)
		}
		e.Output = mp3Arguments(f.quality)
	case "opus":
		to := opusRate(rate)
		var err error
		if t, err = sound.Resample(ctx, t, rate, to); err != nil {
			return err
		}
		rate = to
		e.Output = []string{"-c:a", "libopus", "-sample_fmt", "s16", "-b:a", f.quality, "-f", "opus"}
	default:
		return nodes.Errorf("ValueError", "unknown audio format %q", f.format)
	}
	e.Inputs = []string{"-f", "f32le", "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels), "-i", "pipe:0"}
	e.Stdin = &interleaver{t: t}
	for _, tag := range tags {
		e.Tags = append(e.Tags, ffmpeg.Tag(tag))
	}
	return ctx.FFmpeg.Encode(ctx, e, w)
}

var mp3Rates = []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}

func mp3Arguments(quality string) []string {
	args := []string{"-c:a", "libmp3lame", "-sample_fmt", "s32p", "-f", "mp3"}
	if quality == "V0" {
		return append(args, "-q:a", "0")
	}
	return append(args, "-b:a", quality)
}

// opusRate is the sample rate that a rate is converted to: the next one of those that Opus has.
func opusRate(rate int) int {
	for _, r := range []int{8000, 12000, 16000, 24000, 48000} {
		if rate <= r {
			return r
		}
	}
	return 48000
}

// interleaver gives a waveform [C,T] as float32 samples, channel by channel within a sample; NaN as silence.
type interleaver struct {
	t    *tensor.Tensor
	at   int // the next sample
	rest []byte
	buf  []byte
}

// Read implements io.Reader.
func (r *interleaver) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		channels, n := r.t.Shape[0], r.t.Shape[1]
		const part = 1 << 14
		to := min(r.at+part, n)
		if r.at == to {
			return 0, io.EOF
		}
		r.buf = r.buf[:0]
		for i := r.at; i < to; i++ {
			for c := range channels {
				v := r.t.Data[c*n+i]
				if v != v {
					v = 0
				}
				r.buf = binary.LittleEndian.AppendUint32(r.buf, math.Float32bits(v))
			}
		}
		r.at, r.rest = to, r.buf
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
