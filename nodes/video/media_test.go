package video_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
	_ "comfygo/nodes/audio"
)

// program makes a file by ffmpeg with the given arguments, which are separated by spaces.
func program(t *testing.T, path, args string) {
	t.Helper()
	ff, _, err := (*ffmpeg.Tool)(nil).Programs()
	if err != nil {
		t.Skip(err)
	}
	list := append([]string{"-v", "error", "-y", "-threads", "1"}, strings.Fields(args)...)
	if said, err := exec.CommandContext(t.Context(), ff, append(list, path)...).CombinedOutput(); err != nil {
		t.Fatalf("making %s: %v: %s", filepath.Base(path), err, said)
	}
}

const (
	testFrames = "-f lavfi -i testsrc2=s=64x32:r=25:d=1 "
	testWaves  = "-f lavfi -i aevalsrc=sin(440*t)|sin(550*t)|sin(660*t)|sin(770*t)|sin(880*t)|sin(990*t)|sin(110*t)|sin(220*t):c=7.1:s=48000:d=1 "
)

// TestMedia takes apart, trims, loads as audio and saves files of many kinds. Files of these kinds, but for those of eight channels, were compared with
// ComfyUI 0.33.0 once: frames, rates, channels and samples are equal.
func TestMedia(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	for name, c := range map[string]struct {
		args           string
		frames, w, h   int
		fps            float64
		channels, rate int
		samples, slack int
		slice          int // frames from 0.4 s on for 0.3 s
		saved          string
	}{
		"odd.webm":   {testFrames + "-vf scale=33:17 -c:v libvpx-vp9 -deadline realtime -pix_fmt yuv420p", 25, 33, 17, 25, 0, 0, 0, 0, 8, "even width"},
		"odd.mp4":    {testFrames + "-vf scale=33:17 -c:v mpeg4 -pix_fmt yuv420p", 25, 33, 17, 25, 0, 0, 0, 0, 8, "even width"},
		"odd.mkv":    {testFrames + "-vf scale=33:17 -c:v ffv1 -pix_fmt yuv420p", 25, 33, 17, 25, 0, 0, 0, 0, 8, "even width"},
		"odd444.mp4": {testFrames + "-vf scale=33:17 -c:v libx264 -preset ultrafast -pix_fmt yuv444p", 25, 33, 17, 25, 0, 0, 0, 0, 8, "even width"},
		"mute.mp4":   {testFrames + "-c:v libx264 -preset ultrafast -pix_fmt yuv420p", 25, 64, 32, 25, 0, 0, 0, 0, 8, ""},
		"vfr.mp4":    {testFrames + "-vf select=not(mod(n\\,7))+not(mod(n\\,4)) -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p", 10, 64, 32, 10, 0, 0, 0, 0, 3, ""},
		"aac.mp4":    {testFrames + testWaves + "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac", 25, 64, 32, 25, 8, 48000, 48000, 2048, 8, ""},
		"flac.mkv":   {testFrames + testWaves + "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a flac", 25, 64, 32, 25, 8, 48000, 48000, 0, 8, ""},
		"opus.webm":  {testFrames + testWaves + "-c:v libvpx-vp9 -deadline realtime -pix_fmt yuv420p -c:a libopus -mapping_family 1", 25, 64, 32, 25, 8, 48000, 48000, 1024, 8, ""},
		"pcm.mov":    {testFrames + testWaves + "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a pcm_s16le", 25, 64, 32, 25, 8, 48000, 48000, 0, 8, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := folders.New(folders.Config{Base: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(f.Input(), 0o755); err != nil {
				t.Fatal(err)
			}
			program(t, filepath.Join(f.Input(), name), c.args)
			r, err := run(t, f, "LoadVideo", pyjson.NewObject("file", name))
			if err != nil {
				t.Fatal(err)
			}
			video := r.Values[0].(videofile.Video)
			parts := func(v any) (images *tensor.Tensor, sound *media.Audio, fps float64) {
				r, err := run(t, f, "GetVideoComponents", pyjson.NewObject("video", v))
				if err != nil {
					t.Fatal(err)
				}
				sound, _ = r.Values[1].(*media.Audio)
				return r.Values[0].(*tensor.Tensor), sound, r.Values[2].(float64)
			}
			images, sound, fps := parts(video)
			if want := []int{c.frames, c.h, c.w, 3}; !slices.Equal(images.Shape, want) || math.Abs(fps-c.fps) > 1 {
				t.Errorf("images %v at %g, want %v at %g", images.Shape, fps, want, c.fps)
			}
			heard := func(what string, a *media.Audio, samples int) {
				if (a == nil) != (c.channels == 0) || a != nil && (a.Channels() != c.channels || a.SampleRate != c.rate || math.Abs(float64(a.Samples()-samples)) > float64(c.slack)) {
					t.Errorf("%s: audio %+v, want %d channels of %d samples at %d Hz", what, a, c.channels, samples, c.rate)
				}
			}
			heard("whole", sound, c.samples)
			r, err = run(t, f, "Video Slice", pyjson.NewObject("video", video, "start_time", 0.4, "duration", 0.3))
			if err != nil {
				t.Fatal(err)
			}
			images, sound, _ = parts(r.Values[0])
			if images.Shape[0] != c.slice {
				t.Errorf("%d frames from 0.4 s on for 0.3 s, want %d", images.Shape[0], c.slice)
			}
			heard("trimmed", sound, c.rate*3/10)
			r, err = run(t, f, "LoadAudio", pyjson.NewObject("audio", name))
			switch {
			case c.channels == 0:
				if err == nil || !strings.Contains(err.Error(), "no audio stream") {
					t.Errorf("loading its audio: %v", err)
				}
			case err != nil:
				t.Errorf("loading its audio: %v", err)
			default:
				heard("loaded", r.Values[0].(*media.Audio), c.samples)
			}
			_, err = run(t, f, "SaveVideo", pyjson.NewObject("video", video, "filename_prefix", "v", "format", "mp4", "format.codec", "h264", "format.codec.encoding", "re-encode",
				"format.codec.encoding.crf", 30.0, "format.codec.encoding.color_space", "auto"))
			if c.saved != "" {
				if err == nil || !strings.Contains(err.Error(), c.saved) {
					t.Errorf("saving: %v, want %q", err, c.saved)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			images, sound, _ = parts(&videofile.File{Path: filepath.Join(f.Output(), "v_00001_.mp4")})
			if images.Shape[0] != c.frames || (sound == nil) != (c.channels == 0) || sound != nil && sound.Channels() != 2 {
				t.Errorf("saved: images %v, audio %+v, want %d frames, and stereo for eight channels", images.Shape, sound, c.frames)
			}
		})
	}
}

// TestCutFiles: files that end early give what can be decoded of them, or an error that says what is wrong; nothing is saved of those without a frame.
func TestCutFiles(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	const encode = testFrames + "-f lavfi -i sine=f=300:r=22050:d=1 -c:v libx264 -preset ultrafast -g 5 -pix_fmt yuv420p -c:a aac "
	for name, args := range map[string]string{
		"end.mp4": encode, "start.mp4": encode + "-movflags +faststart", "parts.mp4": encode + "-movflags frag_keyframe+empty_moov", "cut.mkv": encode,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := folders.New(folders.Config{Base: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.MkdirAll(f.Input(), 0o755), os.MkdirAll(f.Output(), 0o755)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(f.Input(), name)
			program(t, path, args)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			last := -1
			for _, percent := range []int{1, 20, 60, 95} {
				if err := os.WriteFile(path, data[:len(data)*percent/100], 0o600); err != nil {
					t.Fatal(err)
				}
				video := &videofile.File{Path: path}
				frames := 0
				r, err := run(t, f, "GetVideoComponents", pyjson.NewObject("video", video))
				if err == nil {
					frames = r.Values[0].(*tensor.Tensor).Shape[0]
				}
				if wants := name != "end.mp4" && percent >= 60; frames < last || frames > 25 || wants && frames == 0 || err != nil && nodes.ExceptionType(err) == "RuntimeError" {
					t.Errorf("%d %%: %d frames after %d, %v", percent, frames, last, err)
				}
				last = frames
				for _, values := range []*pyjson.Object{
					pyjson.NewObject("format", "auto", "format.codec", "auto"),
					pyjson.NewObject("format", "mp4", "format.codec", "h264", "format.codec.encoding", "re-encode", "format.codec.encoding.crf", 30.0, "format.codec.encoding.color_space", "auto"),
				} {
					_, err = run(t, f, "SaveVideo", values.Set("video", video).Set("filename_prefix", fmt.Sprintf("p%d", percent)))
					saved, globErr := filepath.Glob(filepath.Join(f.Output(), fmt.Sprintf("p%d*", percent)))
					if (err == nil) != (frames > 0) && values.String("format") == "mp4" || (err == nil) != (len(saved) > 0) && values.String("format") != "mp4" || globErr != nil {
						t.Errorf("%d %%: saving as %s: %v, with %d frames; files %q", percent, values.String("format"), err, frames, saved)
					}
				}
				if _, err = run(t, f, "LoadAudio", pyjson.NewObject("audio", name)); err != nil && nodes.ExceptionType(err) == "RuntimeError" {
					t.Errorf("%d %%: loading its audio: %v", percent, err)
				}
			}
		})
	}
}

// TestLongVideo: a video of four hours is refused before it is decoded where it does not fit the memory, a second at its end is decoded and the whole is saved within little.
func TestLongVideo(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	path := filepath.Join(t.TempDir(), "long.mp4")
	program(t, path, "-f lavfi -i color=s=16x16:r=4:d=14400 -c:v libx264 -preset ultrafast -g 40 -pix_fmt yuv420p")
	const frameBytes = 4 * 3 * 16 * 16
	asked := int64(0)
	var whole []string
	env := videofile.Env{Dir: filepath.Join(t.TempDir(), "temp"), Charge: func(what string, n int64) error {
		if n == 57600*frameBytes {
			whole = append(whole, what)
			return errors.New("too much: " + what)
		}
		asked += n
		return nil
	}}
	// Frames come in larger and larger pieces behind the refused one; the last piece is refused as well.
	grown := env
	grown.Charge = func(what string, n int64) error {
		if n > 600*frameBytes && strings.Contains(what, "frames") {
			return errors.New("too much: " + what)
		}
		return env.Charge(what, n)
	}
	if _, err := (&videofile.File{Path: path}).Components(t.Context(), grown); err == nil || !strings.Contains(err.Error(), "video frames of 16x16") {
		t.Errorf("decoding 57600 frames with memory for 600: %v", err)
	}
	part, err := (&videofile.File{Path: path}).Trimmed(t.Context(), env, 14399, 1, true)
	if err != nil || part == nil {
		t.Fatal(part, err)
	}
	asked = 0
	c, err := part.Components(t.Context(), env)
	if err != nil || c.Images.Shape[0] != 4 || c.Audio != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	const most = 100 << 20
	if asked > most || whole != nil {
		t.Errorf("%d bytes were asked for, want at most %d; the whole video for %q", asked, most, whole)
	}
	// Saving the whole copies its streams or encodes its frames one by one.
	crf := 30.0
	for name, o := range map[string]videofile.SaveOptions{"copied.mp4": {Format: "auto", Codec: "auto"}, "again.mp4": {Format: "mp4", Codec: "h264", CRF: &crf}} {
		asked = 0
		out, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join((&videofile.File{Path: path}).Save(t.Context(), env, o, out), out.Close()); err != nil {
			t.Fatal(name, err)
		}
		length, err := (&videofile.File{Path: out.Name()}).Duration(t.Context(), env)
		if err != nil || math.Abs(length-14400) > 1 || asked > most || whole != nil {
			t.Errorf("%s lasts %g s (%v), want 14400; %d bytes were asked for, want at most %d; the whole video for %q", name, length, err, asked, int64(most), whole)
		}
	}
}

// TestChroma: rows of one color each come out of formats that have a chroma sample for each row, and pixels of one color each of those that have one for
// each pixel: chroma is not shifted by where samples lie in formats that have fewer.
func TestChroma(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	colors := [][3]byte{{200, 40, 40}, {40, 200, 40}, {40, 40, 200}, {180, 180, 30}}
	const side = 32
	for format, columns := range map[string]bool{"yuv444p": true, "yuv422p": false, "yuv411p": false} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var raw bytes.Buffer
			for y := range side {
				for x := range side {
					at := y
					if columns {
						at += x
					}
					raw.Write(colors[at%len(colors)][:])
				}
			}
			source, path := filepath.Join(dir, "raw"), filepath.Join(dir, "a.mkv")
			if err := os.WriteFile(source, raw.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			program(t, path, fmt.Sprintf("-f rawvideo -pix_fmt rgb24 -s %dx%d -i %s -sws_flags accurate_rnd+full_chroma_inp -c:v ffv1 -chroma_sample_location left -pix_fmt %s", side, side, source, format))
			c, err := (&videofile.File{Path: path}).Components(t.Context(), videofile.Env{})
			if err != nil {
				t.Fatal(err)
			}
			const rounding = 0.025 // of 8 bits to limited range and back
			for i, v := range c.Images.Data {
				if want := float32(raw.Bytes()[i]) / 255; math.Abs(float64(v-want)) > rounding {
					t.Fatalf("value %d at row %d is %g, want %g", i, i/(3*side), v, want)
				}
			}
		})
	}
}
