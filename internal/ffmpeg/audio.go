package ffmpeg

import (
	"context"
	"errors"
	"io"
	"strings"
)

// ErrNoStream means that a file has no stream of the kind that was asked for.
var ErrNoStream = errors.New("the file has no such stream")

// audioMemory bounds the address space of a process that decodes audio; most of it is libraries and stacks.
const audioMemory = 4 << 30

// DecodeAudio decodes the first audio stream of a file, which read gets as a WAV file of float32 samples without announced size.
func (t *Tool) DecodeAudio(ctx context.Context, path string, read func(io.Reader) error) error {
	args := append([]string{"-threads", "1"}, Input(path)...)
	args = append(args, "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-fflags", "+bitexact", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1")
	p, err := t.Start(ctx, Command{Args: args, File: path, Memory: audioMemory})
	if err != nil {
		return err
	}
	if err := read(p.Stdout); err != nil {
		p.Stop()
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if text := p.Messages(); strings.Contains(text, "matches no streams") {
			return ErrNoStream
		} else if text != "" {
			return errors.New(text)
		}
		return err
	}
	if _, err := io.Copy(io.Discard, p.Stdout); err != nil {
		return err
	}
	return p.Wait()
}
