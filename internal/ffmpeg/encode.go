package ffmpeg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Tag is one metadata entry of a file.
type Tag struct{ Key, Value string }

// Encoding is a file to be made from raw data or from other files.
type Encoding struct {
	// Dir is a folder for unfinished files; it is made if it is missing.
	Dir string
	// Inputs are the arguments of all inputs, each ending in -i and its name; InputCount is their number. pipe:0 is Stdin.
	Inputs     []string
	InputCount int
	Stdin      io.Reader
	// Output are the arguments of the output, without its name; they name the container by -f.
	Output []string
	// Side, if not nil, writes a second file of raw data; SideFile is the placeholder for its name in Inputs.
	Side func(io.Writer) error
	// Tags are written as the container's metadata. Those of the inputs are left out.
	Tags []Tag
	// File, when not "", is the path of an input that messages leave out.
	File string
	// Frames demands at least one frame of video.
	Frames bool
	// Memory, when positive, bounds the process's address space in bytes.
	Memory int64
}

// Encode makes the file and writes it to w. The program's output needs a file that it can go back in, which is removed in the end.
func (t *Tool) Encode(ctx context.Context, e Encoding, w io.Writer) (err error) {
	if err := os.MkdirAll(e.Dir, 0o755); err != nil {
		return fmt.Errorf("making a folder for the encoder: %w", err)
	}
	dir, err := os.MkdirTemp(e.Dir, ".encoding-")
	if err != nil {
		return fmt.Errorf("making a folder for the encoder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tags, file := filepath.Join(dir, "metadata"), filepath.Join(dir, "out")
	if err := writeTags(tags, e.Tags); err != nil {
		return fmt.Errorf("writing metadata for the encoder: %w", err)
	}
	// It reports its progress on its standard output: otherwise a long encoding without standard input would look like one that hangs.
	args := append([]string{"-y", "-progress", "pipe:1"}, e.Inputs...)
	if e.Side != nil {
		side := filepath.Join(dir, "side")
		if err := writeSide(side, e.Side); err != nil {
			return fmt.Errorf("writing data for the encoder: %w", err)
		}
		args[slices.Index(args, SideFile)] = FileURL(side)
	}
	args = append(args, "-f", "ffmetadata", "-i", FileURL(tags), "-map_metadata", fmt.Sprint(e.InputCount))
	args = append(args, e.Output...)
	args = append(args, FileURL(file))
	p, err := t.Start(ctx, Command{Args: args, Stdin: e.Stdin, Memory: e.Memory, File: e.File})
	if err != nil {
		return err
	}
	frames, readErr := framesOf(p.Stdout)
	if err := errors.Join(p.Wait(), readErr); err != nil {
		return err
	}
	if e.Frames && frames == 0 {
		return ErrNoFrames
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading what the encoder wrote: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("copying what the encoder wrote: %w", err)
	}
	return nil
}

// ErrNoFrames means that nothing of a video could be decoded.
var ErrNoFrames = errors.New("no frame of the video can be decoded")

// framesOf reads the reports of progress to their end and returns the last number of frames.
func framesOf(r io.Reader) (frames int64, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if text, is := strings.CutPrefix(lines.Text(), "frame="); is {
			if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
				frames = n
			}
		}
	}
	_, copyErr := io.Copy(io.Discard, r) // behind a line that is too long
	return frames, copyErr
}

// SideFile is the placeholder for the name of the file that Encoding.Side writes.
const SideFile = "\x00side"

func writeSide(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	return errors.Join(write(w), w.Flush(), f.Close())
}

// writeTags writes metadata in FFmpeg's text format.
func writeTags(path string, tags []Tag) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, ";FFMETADATA1")
	for _, t := range tags {
		fmt.Fprintf(w, "%s=%s\n", escaped(t.Key), escaped(t.Value))
	}
	return errors.Join(w.Flush(), f.Close())
}

// escaped quotes text so that it is read literally. The format has no way to write a zero byte, and FFmpeg 5 reads a backslash at the end of
// a value as a continued line; the written JSON never ends in one.
func escaped(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	return strings.NewReplacer(`\`, `\\`, "=", `\=`, ";", `\;`, "#", `\#`, "\n", "\\\n").Replace(s)
}
