package assets

import (
	"encoding/binary"
	"image"
	_ "image/gif"  // sizes of images
	_ "image/jpeg" // sizes of images
	_ "image/png"  // sizes of images
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "golang.org/x/image/bmp"  // sizes of images
	_ "golang.org/x/image/tiff" // sizes of images
	_ "golang.org/x/image/webp" // sizes of images

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

const (
	// maxHeader bounds the header of a safetensors file that is read, in bytes.
	maxHeader = 8 << 20
	// maxImageHead bounds how much of an image is read to find its size, in bytes.
	maxImageHead = 16 << 20
	// maxTrainedWords is the number of words that are kept of a model's training words.
	maxTrainedWords = 100
)

// describe returns a file's metadata: name, size and type, the model's metadata in a safetensors header, and the size of
// an image.
func (l *Library) describe(path string, info fs.FileInfo) (meta *pyjson.Object, contentType string) {
	name := l.loaderPath(path)
	if name == "" {
		name = filepath.Base(path)
	}
	contentType = l.cfg.ContentType(path)
	meta = pyjson.NewObject("filename", name, "content_length", info.Size(), "format", strings.TrimLeft(folders.Ext(path), "."), "file_path", path)
	if contentType != "" {
		meta.Set("content_type", contentType)
	}
	if ext := folders.Ext(path); ext == ".safetensors" || ext == ".sft" {
		meta.Merge(modelMetadata(safetensorsMetadata(path)))
	}
	return meta.Merge(imageMetadata(path, contentType)), contentType
}

// imageMetadata returns the size of an image, or nil for other files.
func imageMetadata(path, contentType string) *pyjson.Object {
	if !strings.HasPrefix(contentType, "image/") {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(io.LimitReader(f, maxImageHead))
	if err != nil || c.Width <= 0 || c.Height <= 0 {
		return nil
	}
	return pyjson.NewObject("kind", "image", "width", int64(c.Width), "height", int64(c.Height))
}

// safetensorsMetadata returns __metadata__ of a file's header, or nil.
func safetensorsMetadata(path string) *pyjson.Object {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var length uint64
	if err := binary.Read(f, binary.LittleEndian, &length); err != nil || length > maxHeader {
		return nil
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(f, text); err != nil {
		return nil
	}
	header, err := pyjson.UnmarshalObject(text)
	if err != nil {
		return nil
	}
	return header.Object("__metadata__")
}

// modelFields are what is kept of a model's metadata: our name, and the names that tools have for it, best first.
var modelFields = []struct {
	name string
	from []string
}{
	{"base_model", []string{"ss_base_model_version", "modelspec.base_model", "base_model"}},
	{"trained_words", nil},
	{"air", []string{"air", "modelspec.air"}},
	{"has_preview_images", nil},
	{"source_url", []string{"source_url"}},
	{"source_arn", []string{"source_arn"}},
	{"repo_url", []string{"repo_url"}},
	{"preview_url", []string{"preview_url"}},
	{"source_hash", []string{"source_hash", "sshs_model_hash"}},
	{"repo_id", []string{"repo_id", "hf_repo_id"}},
	{"revision", []string{"revision", "hf_revision"}},
	{"filepath", []string{"filepath", "hf_filepath"}},
	{"resolve_url", []string{"resolve_url", "hf_url"}},
}

func modelMetadata(from *pyjson.Object) *pyjson.Object {
	out := pyjson.NewObject()
	for _, f := range modelFields {
		switch f.name {
		case "trained_words":
			if words := trainedWords(from); len(words) > 0 {
				out.Set(f.name, words)
			}
		case "has_preview_images":
			if v, _ := from.Get("ssmd_cover_images"); pyjson.Truthy(v) {
				out.Set(f.name, true)
			}
		}
		for _, key := range f.from {
			if v, _ := from.Get(key); pyjson.Truthy(v) {
				out.Set(f.name, v)
				break
			}
		}
	}
	return out
}

// trainedWords are the tags that a model was trained on: those that the trainer counted, else the author's list.
func trainedWords(from *pyjson.Object) []any {
	var words []string
	if text := from.String("ss_tag_frequency"); text != "" {
		counted, _ := pyjson.UnmarshalObject([]byte(text)) // a text that is none has no words
		for _, set := range counted.All() {
			if tags, ok := set.(*pyjson.Object); ok {
				words = append(words, tags.Keys()...)
			}
		}
		slices.Sort(words)
		words = slices.Compact(words)
		words = words[:min(len(words), maxTrainedWords)]
	}
	if len(words) == 0 {
		words = listedWords(from)
	}
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

func listedWords(from *pyjson.Object) (words []string) {
	given, _ := from.Get("trained_words")
	if text, ok := given.(string); ok {
		if v, err := pyjson.Unmarshal([]byte(text)); err == nil {
			given = v
		}
		if _, ok := given.([]any); !ok {
			return trimmed(strings.Split(text, ","))
		}
	}
	if list, ok := given.([]any); ok {
		for _, v := range list {
			words = append(words, pyjson.Str(v))
		}
	}
	return words
}

// trimmed trims texts and drops those that are empty.
func trimmed(list []string) (out []string) {
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
