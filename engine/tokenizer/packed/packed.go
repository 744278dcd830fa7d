// Package packed reads vocabularies that are part of the program: files compressed with bzip2, which are unpacked at the
// first use, so that a start-up that reads no prompt pays nothing.
package packed

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"sync"

	"comfygo/engine/tokenizer"
)

// Vocabulary is a vocabulary that is read at its first use. It may be used by several goroutines at once.
type Vocabulary struct {
	load func() (tokenizer.Model, error)
}

var _ tokenizer.Model = (*Vocabulary)(nil)

// New returns the vocabulary that parse reads from a file that was compressed with bzip2. name is what errors call it.
func New(name string, data []byte, parse func(file []byte) (tokenizer.Model, error)) *Vocabulary {
	return &Vocabulary{load: sync.OnceValues(func() (tokenizer.Model, error) {
		file, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
		if err != nil {
			return nil, fmt.Errorf("unpacking the vocabulary %s: %w", name, err)
		}
		m, err := parse(file)
		if err != nil {
			return nil, fmt.Errorf("reading the vocabulary %s: %w", name, err)
		}
		return m, nil
	})}
}

// Model returns the vocabulary itself.
func (v *Vocabulary) Model() (tokenizer.Model, error) { return v.load() }

// Encode implements tokenizer.Model.
func (v *Vocabulary) Encode(text string) ([]int32, error) {
	m, err := v.load()
	if err != nil {
		return nil, err
	}
	return m.Encode(text)
}

// Decode implements tokenizer.Decoder, for vocabularies that do.
func (v *Vocabulary) Decode(ids []int32) (string, error) {
	m, err := v.load()
	if err != nil {
		return "", err
	}
	d, ok := m.(tokenizer.Decoder)
	if !ok {
		return "", errors.New("decoding tokens: the vocabulary cannot turn tokens into text")
	}
	return d.Decode(ids)
}
