package image

import (
	"image"
	_ "image/gif" // formats whose sizes are read
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	"comfygo/internal/imaging"
	"comfygo/nodes"
)

// fileSizes is what a node loads from the image file that an input names: its frames, as large as its header says.
func fileSizes(s *nodes.Sizing, input string) nodes.Images {
	out := nodes.UnknownImages()
	out.Lists = s.In.Lists
	name, ok := s.Text(input)
	if !ok || s.Folders == nil {
		return out
	}
	path, err := s.Folders.Resolve(name)
	if err != nil {
		return out
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return out
	}
	f, err := os.Open(path)
	if err != nil {
		return out
	}
	defer f.Close()
	c, format, err := image.DecodeConfig(f)
	if err != nil {
		return out
	}
	out.Width, out.Height, out.Loaded, out.Exact = float64(c.Width), float64(c.Height), true, format == "gif" || format == "bmp"
	frames := 1
	if format == "gif" || format == "webp" {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nodes.UnknownImages()
		}
		data, err := io.ReadAll(f)
		if err != nil {
			return nodes.UnknownImages()
		}
		frames = imaging.Frames(data)
	}
	out.Count = float64(frames) * s.In.Lists
	return out
}
