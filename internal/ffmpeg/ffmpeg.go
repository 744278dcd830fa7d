// Package ffmpeg runs the programs ffmpeg and ffprobe on media files: each call is a process of its own, without a shell, with bounded
// arguments, memory, time and output, which reads local files only.
//
// It knows nothing of nodes, folders or tensors. Its callers name files by absolute paths and charge what they keep of the output.
package ffmpeg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// ErrMissing means that one of the programs was not found.
var ErrMissing = errors.New("ffmpeg is not installed")

// Tool finds the programs. A nil *Tool looks on PATH. Its methods may be called by several goroutines.
type Tool struct {
	// Path is the program ffmpeg, or a folder that holds ffmpeg and ffprobe; "" looks on PATH.
	Path string

	once   sync.Once
	found  programs
	failed error
}

// programs are the paths of the programs.
type programs struct{ ffmpeg, ffprobe string }

var onPath Tool

// find looks for the programs the first time it is called.
func (t *Tool) find() (programs, error) {
	if t == nil {
		t = &onPath
	}
	t.once.Do(func() { t.found, t.failed = find(t.Path) })
	return t.found, t.failed
}

func find(path string) (p programs, err error) {
	names := programs{ffmpeg: "ffmpeg", ffprobe: "ffprobe"}
	if path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return p, fmt.Errorf("finding ffmpeg: %w", err)
		}
		if info, err := os.Stat(abs); err == nil && info.IsDir() {
			names = programs{ffmpeg: filepath.Join(abs, "ffmpeg"), ffprobe: filepath.Join(abs, "ffprobe")}
		} else {
			dir, name := filepath.Split(abs)
			names = programs{ffmpeg: abs, ffprobe: filepath.Join(dir, strings.Replace(name, "ffmpeg", "ffprobe", 1))}
		}
	}
	if p.ffmpeg, err = exec.LookPath(names.ffmpeg); err == nil {
		p.ffprobe, err = exec.LookPath(names.ffprobe)
	}
	if err != nil {
		return programs{}, fmt.Errorf("%w: install FFmpeg 5.1 or later with ffprobe, or name it by --ffmpeg (%w)", ErrMissing, err)
	}
	return p, nil
}

// Available reports whether both programs are installed; the error names a missing one.
func (t *Tool) Available() error {
	_, err := t.find()
	return err
}

// Programs returns the paths of ffmpeg and ffprobe.
func (t *Tool) Programs() (ffmpeg, ffprobe string, err error) {
	p, err := t.find()
	return p.ffmpeg, p.ffprobe, err
}

// demuxers are the container formats that files are read as. Formats that lead to other files or addresses (playlists, scripts, devices) are not
// among them, nor is image2, which takes "%d" in a file's own name for the numbers of others beside it.
const demuxers = "aac,ac3,aiff,amr,ape,apng,asf,au,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,jpeg_pipe,m4v,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,mp3," +
	"mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,png_pipe,rm,tak,tta,voc,w64,wav,webp_pipe,wv,yuv4mpegpipe"

// Input returns the arguments that open a file for reading: no protocol but local files and no format that leads elsewhere.
func Input(path string) []string {
	return []string{"-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers, "-i", FileURL(path)}
}

// FileURL names a file so that nothing in its name is taken for a protocol or an option.
func FileURL(path string) string { return "file:" + path }

// Threads is the number of threads that one process may use.
func Threads() int { return min(runtime.GOMAXPROCS(0), 8) }
