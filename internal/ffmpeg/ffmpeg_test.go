package ffmpeg_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/ffmpeg"
)

// tool skips where the programs are missing; tools/untested says so.
func tool(t *testing.T) *ffmpeg.Tool {
	t.Helper()
	f := &ffmpeg.Tool{}
	if err := f.Available(); err != nil {
		t.Skip(err)
	}
	return f
}

// silence makes a WAV file.
func silence(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.wav")
	data := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\xa0\x0f\x00\x00"), make([]byte, 4000)...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMissing(t *testing.T) {
	t.Parallel()
	f := &ffmpeg.Tool{Path: filepath.Join(t.TempDir(), "ffmpeg")}
	if err := f.Available(); !errors.Is(err, ffmpeg.ErrMissing) || !strings.Contains(err.Error(), "--ffmpeg") {
		t.Errorf("the error is %v", err)
	}
	if _, err := f.Probe(t.Context(), "x"); !errors.Is(err, ffmpeg.ErrMissing) {
		t.Errorf("probing: %v", err)
	}
}

// TestEncode writes tags that need escaping, and leaves nothing behind.
func TestEncode(t *testing.T) {
	t.Parallel()
	f := tool(t)
	dir := filepath.Join(t.TempDir(), "new")
	want := "a=b;#c\\\nä\n\\."
	e := ffmpeg.Encoding{
		Dir: dir, InputCount: 1, Inputs: []string{"-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "pipe:0"}, Stdin: bytes.NewReader(make([]byte, 4000)),
		Output: []string{"-c:a", "flac", "-f", "flac"}, Tags: []ffmpeg.Tag{{Key: "prompt", Value: want}},
	}
	var b bytes.Buffer
	if err := f.Encode(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.flac")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := f.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := info.Tag("PROMPT"); got != want {
		t.Errorf("the tag is %q, want %q", got, want)
	}
	s := info.First("audio")
	if s == nil || s.SampleRate != 8000 || s.Channels != 1 || s.Codec != "flac" || info.First("video") != nil {
		t.Errorf("the stream is %+v", s)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestSequence: a file whose name FFmpeg reads as a sequence of images does not give access to the files
// beside it.
func TestSequence(t *testing.T) {
	t.Parallel()
	f := tool(t)
	dir := t.TempDir()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a1.png", "a2.png", "a%d.png", "-i.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := f.Probe(t.Context(), filepath.Join(dir, "a%d.png")); err == nil || !strings.Contains(err.Error(), "rename") {
		t.Errorf("a sequence is opened: %+v, %v", info, err)
	}
	for _, name := range []string{"a1.png", "-i.png"} {
		if info, err := f.Probe(t.Context(), filepath.Join(dir, name)); err != nil || info.First("video") == nil {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}

// TestErrors: broken files, other formats, too many arguments, an ended context, a reader that gives up.
func TestErrors(t *testing.T) {
	t.Parallel()
	f := tool(t)
	wav := silence(t)
	broken := errors.New("broken reader")
	if err := f.DecodeAudio(t.Context(), wav, func(io.Reader) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a reader's error becomes %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	cancel(stop)
	if err := f.DecodeAudio(ctx, wav, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); !errors.Is(err, stop) {
		t.Errorf("an ended context becomes %v", err)
	}
	many := make([]string, 300)
	if _, err := f.Start(t.Context(), ffmpeg.Command{Args: many}); err == nil {
		t.Error("300 arguments go through")
	}
	if _, err := f.Start(t.Context(), ffmpeg.Command{Args: []string{strings.Repeat("x", 1<<17)}}); err == nil {
		t.Error("an argument of 128 KiB goes through")
	}
	// Formats that name other files are not opened, whatever they are called.
	playlist := filepath.Join(t.TempDir(), "list.wav")
	for _, text := range []string{
		"ffconcat version 1.0\nfile '" + wav + "'\n",
		"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + wav + "\n#EXT-X-ENDLIST\n",
		"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
	} {
		if err := os.WriteFile(playlist, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Probe(t.Context(), playlist); err == nil || strings.Contains(err.Error(), playlist) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
