package audio_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/nodecalls"
)

// savedFile is the record that testdata/saved.py made of a file that ComfyUI saved.
type savedFile struct {
	Format, Quality, Name, Subfolder, Codec, Decoded string
	Channels, Samples, Rate, Length, Step            int
	CodecRate                                        int               `json:"codec_rate"`
	CodecChannels                                    int               `json:"codec_channels"`
	Tags                                             map[string]string `json:"tags"`
}

// host gives the hidden inputs of saved.py.
type host struct{ prompt, extra *pyjson.Object }

func (host) Progress(float64, float64, *nodes.Preview) {}
func (host) Show(float64, float64, *nodes.Preview)     {}
func (host) SendText(string)                           {}
func (host) Linked(nodes.Link) ([]any, bool)           { return nil, false }
func (host) Await(wait func())                         { wait() }
func (host) State(make func() any) any                 { return make() }
func (h host) Hidden(kind string) any {
	switch kind {
	case "PROMPT":
		return h.prompt
	case "EXTRA_PNGINFO":
		return h.extra
	}
	return nil
}

func newHost() host {
	return host{
		prompt: pyjson.NewObject("1", pyjson.NewObject("class_type", "SaveAudio", "inputs", pyjson.NewObject("filename_prefix", "Grüße = 1;\n#2 \\"))),
		extra:  pyjson.NewObject("workflow", pyjson.NewObject("nodes", []any{1, 2.5, nil})),
	}
}

// run calls a class with metadata.
func run(t *testing.T, f *folders.Folders, class string, values *pyjson.Object) (nodes.Result, error) {
	t.Helper()
	c, _ := nodes.Default().Get(class)
	node, err := c.Bind(values, nil)
	if err != nil {
		return nodes.Result{}, err
	}
	ctx := nodes.NewContext(t.Context(), nodes.Call{ID: "1", PromptID: "test", Host: newHost(), Inputs: values, Services: nodes.Services{Folders: f, Metadata: true}})
	defer ctx.Release()
	return node.Run(ctx)
}

func wave(channels, samples, rate int) *media.Audio {
	t := tensor.New(1, channels, samples)
	for c := range channels {
		for i := range samples {
			t.Data[c*samples+i] = float32(0.4 * math.Sin(2*math.Pi*float64(220+110*c)*(float64(i)/float64(rate))))
		}
	}
	return &media.Audio{Waveform: t, SampleRate: rate}
}

// TestSaved compares saved files with those that ComfyUI saved: names, sample rate, channels, length, tags and samples. FLAC is equal; of lossy formats
// the encoders' versions differ, which may cost 3 % of full scale at the first and last samples.
func TestSaved(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"saved.json.gz", "saved_random.json.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compareAllSaved(t, name)
		})
	}
}

func compareAllSaved(t *testing.T, name string) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []savedFile
	if err := json.NewDecoder(z).Decode(&list); err != nil {
		t.Fatal(err)
	}
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	missing := (*ffmpeg.Tool)(nil).Available()
	for _, want := range list {
		if want.Format != "flac" && missing != nil {
			t.Skip(missing)
		}
		values := pyjson.NewObject("audio", wave(want.Channels, want.Samples, want.Rate), "filename_prefix", "audio/x", "format", want.Format)
		if want.Quality != "" {
			values.Set("format.quality", want.Quality)
		}
		r, err := run(t, f, "SaveAudioAdvanced", values)
		if err != nil {
			t.Errorf("%+v: %v", want, err)
			continue
		}
		ui, _ := r.UI.Get("audio")
		entry := ui.([]any)[0].(*pyjson.Object)
		if entry.String("filename") != want.Name || entry.String("subfolder") != want.Subfolder || entry.String("type") != "output" {
			t.Errorf("%s: the entry is %s", want.Name, pyjson.Repr(entry))
		}
		compareSaved(t, f, want, missing == nil && (want.Quality == "" || want.Quality[0] == 'V' || want.Quality == "64k"))
	}
}

func compareSaved(t *testing.T, f *folders.Folders, want savedFile, probe bool) {
	t.Helper()
	name := want.Subfolder + "/" + want.Name
	r, err := nodecalls.CallIn(t, f, "LoadAudio", pyjson.NewObject("audio", name+" [output]"))
	if err != nil {
		t.Errorf("%s: reading it again: %v", name, err)
		return
	}
	a := r.Values[0].(*media.Audio)
	if a.SampleRate != want.CodecRate || a.Channels() != want.CodecChannels || a.Samples() != want.Length {
		t.Errorf("%s: %d Hz, %d channels of %d samples; want %d, %d, %d", name, a.SampleRate, a.Channels(), a.Samples(), want.CodecRate, want.CodecChannels, want.Length)
		return
	}
	data, err := base64.StdEncoding.DecodeString(want.Decoded)
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i := range len(data) / 2 {
		at := i * want.Step
		got := a.Waveform.Data[at%want.Channels*a.Samples()+at/want.Channels]
		worst = max(worst, math.Abs(float64(got)-float64(int16(binary.LittleEndian.Uint16(data[2*i:])))/(1<<15)))
	}
	allowed := 0.0
	if want.Format != "flac" {
		allowed = 0.03
	}
	if worst > allowed {
		t.Errorf("%s (%s %s): a sample differs by %g, allowed %g", name, want.Format, want.Quality, worst, allowed)
	}
	if !probe {
		return
	}
	info, err := (*ffmpeg.Tool)(nil).Probe(t.Context(), filepath.Join(f.Output(), name))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range want.Tags {
		if got, _ := info.Tag(key); got != value {
			t.Errorf("%s: the tag %s is %q, want %q", name, key, got, value)
		}
	}
}

// TestBadInputs checks the errors of inputs that no link should deliver, and of files that are not
// audio.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	f := inputs(t)
	for name, content := range map[string]string{
		"empty.flac": "", "magic.flac": "fLaC", "long.flac": "fLaC\x00\xff\xff\xff", "few.wav": "RIFF\x00\x00\x00\x00WAVE", "text.mp3": "no audio\n",
		"list.m3u": "#EXTM3U\nfile:///etc/hostname\n", "concat.mp3": "ffconcat version 1.0\nfile a.mp3\n",
	} {
		if err := os.MkdirAll(f.Output(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.Output(), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	missing := (*ffmpeg.Tool)(nil).Available()
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
		ffmpeg bool
	}{
		{"LoadAudio", pyjson.NewObject("audio", "empty.flac [output]"), "loading the audio", true},
		{"LoadAudio", pyjson.NewObject("audio", "magic.flac [output]"), "loading the audio", true},
		{"LoadAudio", pyjson.NewObject("audio", "long.flac [output]"), "loading the audio", true},
		{"LoadAudio", pyjson.NewObject("audio", "few.wav [output]"), "loading the audio", true},
		{"LoadAudio", pyjson.NewObject("audio", "text.mp3 [output]"), "loading the audio", true},
		{"LoadAudio", pyjson.NewObject("audio", "list.m3u [output]"), "loading the audio", true},
		{"LoadAudio", pyjson.NewObject("audio", "concat.mp3 [output]"), "loading the audio", true},
		{"SaveAudio", pyjson.NewObject("audio", nil, "filename_prefix", "x"), "there is none", false},
		{"SaveAudio", pyjson.NewObject("audio", &media.Audio{}, "filename_prefix", "x"), "is not audio", false},
		{"SaveAudio", pyjson.NewObject("audio", wave(2, 0, 8000), "filename_prefix", "x"), "2 channels of 0 samples", false},
		{"SaveAudio", pyjson.NewObject("audio", wave(9, 10, 8000), "filename_prefix", "x"), "9 channels", false},
		{"SaveAudio", pyjson.NewObject("audio", wave(1, 10, 2<<20), "filename_prefix", "x"), "sample rate", false},
		{"SaveAudio", pyjson.NewObject("audio", wave(1, 10, 8000), "filename_prefix", "../x"), "leads out", false},
		{"SaveAudioMP3", pyjson.NewObject("audio", wave(3, 10, 8000), "filename_prefix", "x", "quality", "V0"), "one or two", false},
		{"SaveAudioMP3", pyjson.NewObject("audio", wave(1, 10, 7), "filename_prefix", "x", "quality", "V0"), "sample rate of 7 Hz", false},
		{"EmptyAudio", pyjson.NewObject("duration", 1e18, "sample_rate", 192000, "channels", 2), "allocating", false},
		{"EmptyAudio", pyjson.NewObject("duration", math.NaN(), "sample_rate", 192000, "channels", 2), "making audio", false},
		{"AudioConcat", pyjson.NewObject("audio1", wave(1, 10, 44100), "audio2", wave(1, 10, 1<<40), "direction", "after"), "resampling", false},
		{"SplitAudioChannels", pyjson.NewObject("audio", &media.Audio{Waveform: tensor.New(2, 2), SampleRate: 1}), "is not audio", false},
	} {
		if c.ffmpeg && missing != nil {
			continue
		}
		_, err := run(t, f, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.class, pyjson.Repr(c.values), err, c.want)
		}
	}
}

// TestWithoutFFmpeg: what needs the programs says so, and FLAC does not need them.
func TestWithoutFFmpeg(t *testing.T) {
	t.Parallel()
	f := inputs(t)
	none := &ffmpeg.Tool{Path: filepath.Join(t.TempDir(), "ffmpeg")}
	for name, needed := range map[string]bool{"two.flac": false, "pcm16.wav": false, "a.mp3": true, "mulaw.wav": true} {
		c, _ := nodes.Default().Get("LoadAudio")
		node, err := c.Bind(pyjson.NewObject("audio", name), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = node.Run(nodes.TestContext(t.Context(), nodes.Services{Folders: f, FFmpeg: none}))
		if got := errors.Is(err, ffmpeg.ErrMissing); got != needed || !needed && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNaN checks that samples that are not numbers become silence, and that the client is notified.
func TestNaN(t *testing.T) {
	t.Parallel()
	f := inputs(t)
	a := wave(1, 20, 8000)
	a.Waveform.Data[3] = float32(math.NaN())
	if _, err := run(t, f, "SaveAudio", pyjson.NewObject("audio", a, "filename_prefix", "x")); err != nil {
		t.Fatal(err)
	}
	r, err := nodecalls.CallIn(t, f, "LoadAudio", pyjson.NewObject("audio", "x_00001.flac [output]"))
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Values[0].(*media.Audio).Waveform.Data[3]; v != 0 {
		t.Errorf("the sample is %g", v)
	}
}
