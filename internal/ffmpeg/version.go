package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// encoders are the encoders that saving in the offered formats needs.
var encoders = []string{"aac", "libmp3lame", "libopus", "libsvtav1", "libvpx-vp9", "libx264"}

// oldest is the lowest supported major version.
const oldest = 5

// versionTime is the time that the programs may take to print their version.
const versionTime = 20 * time.Second

// Version returns the version and the path of ffmpeg, and which of the encoders that saving uses it was built without. It fails when a program is
// missing, does not run or is too old.
func (t *Tool) Version(ctx context.Context) (version string, lacks []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	p, err := t.find()
	if err != nil {
		return "", nil, err
	}
	for _, program := range []string{p.ffmpeg, p.ffprobe} {
		text, err := printed(ctx, program, "-hide_banner", "-version")
		if err != nil {
			return "", nil, fmt.Errorf("running %s: %w", program, err)
		}
		var number string
		if _, err := fmt.Sscanf(text, strings.TrimSuffix(baseName(program), ".exe")+" version %s", &number); err != nil {
			return "", nil, fmt.Errorf("running %s: it does not tell its version", program)
		}
		var major int
		if _, err := fmt.Sscanf(strings.TrimPrefix(number, "n"), "%d.", &major); err == nil && major < oldest { // nightly builds have other names
			return "", nil, fmt.Errorf("%s is of version %s; FFmpeg %d.1 or later is needed", program, number, oldest)
		}
		if version == "" {
			version = number + " at " + program
		}
	}
	list, err := printed(ctx, p.ffmpeg, "-hide_banner", "-encoders")
	if err != nil {
		return "", nil, fmt.Errorf("running %s: %w", p.ffmpeg, err)
	}
	for _, e := range encoders {
		if !strings.Contains(list, " "+e+" ") {
			lacks = append(lacks, e)
		}
	}
	return version, lacks, nil
}

func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// printed runs a program and returns its output, up to a limit.
func printed(ctx context.Context, program string, args ...string) (string, error) {
	const limit = 4 << 20
	p, err := start(ctx, program, args, Command{})
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(p.Stdout, limit))
	if len(data) == limit {
		p.Stop()
		return "", errors.New("it prints too much")
	}
	return string(data), errors.Join(p.Wait(), err)
}
