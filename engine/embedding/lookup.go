package embedding

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/engine/warning"
)

// Lookup finds the embeddings that one prompt names, for one text encoder. Unusable embeddings cause a warning of the job
// (see engine/warning) and are left out of the prompt, as in upstream. It is not safe for concurrent use.
type Lookup struct {
	// Context carries the receiver of warnings.
	Context context.Context
	// File finds the file of an embedding by name; nil finds none.
	File func(name string) (path string, ok bool)
	// Key and Width are the encoder's, as for Read.
	Key   string
	Width int

	unreadable map[string]bool
}

// Find returns the vectors [n,w] of an embedding. Vectors of another width than the encoder's are returned, too: they keep
// their places in the prompt until the encoder leaves them out.
func (l *Lookup) Find(name string) (*tensor.Tensor, bool) {
	if l.File == nil {
		return nil, false
	}
	path, ok := l.File(name)
	if !ok {
		return nil, false
	}
	base := filepath.Base(path)
	t, err := Open(path, l.Key, l.Width)
	if err != nil {
		if l.unreadable == nil {
			l.unreadable = map[string]bool{}
		}
		l.unreadable[name] = true
		l.warn("embedding %q is left out of the prompt: %s", name, strings.ReplaceAll(err.Error(), path, base)) // clients need not know folders
		return nil, false
	}
	if w := t.Dim(1); w != l.Width {
		l.warn("embedding %q is left out of the prompt: the vectors in %s are %d wide and the text encoder (%s) takes %d; the file is for another model", name, base, w, l.Key, l.Width)
	}
	return t, true
}

// Missing warns of an embedding that Find did not find; one that it could not read has its warning already.
func (l *Lookup) Missing(name string) {
	if !l.unreadable[name] {
		l.warn("embedding %q is left out of the prompt: there is no such file in the embeddings folders", name)
	}
}

func (l *Lookup) warn(format string, args ...any) {
	warning.Add(l.Context, fmt.Sprintf(format, args...))
}
