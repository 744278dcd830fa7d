package image

import (
	"os"

	"comfygo/internal/imaging"
	"comfygo/nodes"
)

// maxAnnounced bounds the size in bytes of files whose headers are read; the size of images in larger ones counts
// as unknown.
const maxAnnounced = 256 << 20

// fileSizes returns the sizes of what a node loads from the image file of an input: its frames, with the size in
// its header.
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
	// Opening a pipe would wait for its writer.
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxAnnounced {
		return out
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return out
	}
	w, h, frames, ok := imaging.Announced(data)
	if !ok {
		return out
	}
	out.Width, out.Height, out.Loaded, out.Exact = float64(w), float64(h), true, true
	out.Count = float64(frames) * s.In.Lists
	return out
}
