package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"weak"

	"comfygo/engine/models"
	"comfygo/engine/weights"
)

// modelFile is an open weight file and what was found in it. The file stays mapped while a model, an encoder, a session or an
// entry made from it is reachable.
type modelFile struct {
	path string
	// id tells this content of this path from any other: path, size and time of change.
	id    string
	found *models.Found
	// wide is the size of each part's weights in float32, by the first word of its networks' kinds.
	wide map[string]int64
}

// fileTable opens each weight file once.
type fileTable struct {
	mu   sync.Mutex
	open map[string]weak.Pointer[modelFile]
}

func newFileTable() *fileTable { return &fileTable{open: map[string]weak.Pointer[modelFile]{}} }

// get returns the file at path, opened and looked into; a file that changed since is opened anew.
func (t *fileTable) get(path string) (*modelFile, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("opening model file: %w", err)
	}
	st, err := os.Stat(real)
	if err != nil {
		return nil, fmt.Errorf("opening model file: %w", err)
	}
	id := fmt.Sprintf("%s|%d|%d|", real, st.Size(), st.ModTime().UnixNano())
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.open[id].Value(); f != nil {
		return f, nil
	}
	src, err := weights.Open(real)
	if err != nil {
		return nil, err
	}
	found, err := models.Detect(src)
	if err != nil {
		_ = src.Close()
		return nil, err
	}
	f := &modelFile{path: path, id: id, found: found, wide: wideSizes(found)}
	t.prune()
	t.open[id] = weak.Make(f)
	return f, nil
}

// prune drops the entries of files that have been closed.
func (t *fileTable) prune() {
	for id, p := range t.open {
		if p.Value() == nil {
			delete(t.open, id)
		}
	}
}

// wideSizes adds up the weights of each part.
func wideSizes(found *models.Found) map[string]int64 {
	sum := func(present bool, scope func() *weights.Scope, path string) int64 {
		if !present {
			return 0
		}
		var n int64
		src := scope().Source()
		for _, name := range src.Names() {
			if e, ok := src.Lookup(name); ok && strings.HasPrefix(name, path) {
				n += int64(e.Count()) * 4
			}
		}
		return n
	}
	return map[string]int64{
		"unet":     sum(found.UNet != nil, found.UNetScope, ""),
		"vae":      sum(found.VAE != nil, found.VAEScope, ""),
		"tiny":     sum(found.Tiny != nil && found.Tiny.HasEncoder, found.TinyEncoderScope, "") + sum(found.Tiny != nil && found.Tiny.HasDecoder, found.TinyDecoderScope, ""),
		"control":  sum(found.Control != nil, found.ControlScope, ""),
		"upscaler": sum(found.Upscaler != nil, found.UpscalerScope, ""),
		"clip":     sum(found.CLIP != nil, found.CLIPScope, "text_model.encoder."),
	}
}
