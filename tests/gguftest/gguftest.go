// Package gguftest writes small GGUF files for tests.
package gguftest

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"comfygo/engine/tokenizer/sentencepiece"
)

// File is a GGUF file in the making.
type File struct {
	pairs, infos, data bytes.Buffer
	pairCount, tensors uint64
}

func put(b *bytes.Buffer, vs ...any) {
	for _, v := range vs {
		if s, ok := v.(string); ok {
			put(b, uint64(len(s)))
			b.WriteString(s)
			continue
		}
		if err := binary.Write(b, binary.LittleEndian, v); err != nil {
			panic(fmt.Sprintf("writing a GGUF file: %v", err))
		}
	}
}

// Text adds a pair with a text.
func (f *File) Text(key, value string) {
	put(&f.pairs, key, uint32(8), value)
	f.pairCount++
}

// Bool adds a pair with a truth value.
func (f *File) Bool(key string, value bool) {
	put(&f.pairs, key, uint32(7), value)
	f.pairCount++
}

// Texts adds a pair with an array of texts.
func (f *File) Texts(key string, values []string) {
	put(&f.pairs, key, uint32(9), uint32(8), uint64(len(values)))
	for _, v := range values {
		put(&f.pairs, v)
	}
	f.pairCount++
}

// Floats adds a pair with an array of float32, Ints one of int32, Bytes one of uint8.
func (f *File) Floats(key string, values []float32) { f.array(key, 6, len(values), values) }

// Ints adds a pair with an array of int32.
func (f *File) Ints(key string, values []int32) { f.array(key, 5, len(values), values) }

// Bytes adds a pair with an array of uint8.
func (f *File) Bytes(key string, values []byte) { f.array(key, 0, len(values), values) }

func (f *File) array(key string, kind uint32, n int, values any) {
	put(&f.pairs, key, uint32(9), kind, uint64(n), values)
	f.pairCount++
}

// Tensor adds a float32 tensor.
func (f *File) Tensor(name string, shape []int, values []float32) {
	put(&f.infos, name, uint32(len(shape)))
	for i := range shape {
		put(&f.infos, uint64(shape[len(shape)-1-i]))
	}
	put(&f.infos, uint32(0), uint64(f.data.Len()))
	put(&f.data, values)
	for f.data.Len()%32 != 0 {
		f.data.WriteByte(0)
	}
	f.tensors++
}

// Pieces adds a SentencePiece model as llama.cpp stores it.
func (f *File) Pieces(p sentencepiece.Parts) {
	kind := "llama"
	if p.Unigram {
		kind = "t5"
		f.Bytes("tokenizer.ggml.precompiled_charsmap", p.Charsmap)
	}
	f.Text("tokenizer.ggml.model", kind)
	f.Texts("tokenizer.ggml.tokens", p.Pieces)
	f.Floats("tokenizer.ggml.scores", p.Scores)
	kinds := make([]int32, len(p.Kinds))
	for i, k := range p.Kinds {
		kinds[i] = int32(k)
	}
	f.Ints("tokenizer.ggml.token_type", kinds)
	f.Bool("tokenizer.ggml.add_space_prefix", p.DummyPrefix)
	f.Bool("tokenizer.ggml.remove_extra_whitespaces", p.RemoveSpaces)
}

// Encoded returns the file's bytes.
func (f *File) Encoded() []byte {
	var out bytes.Buffer
	out.WriteString("GGUF")
	put(&out, uint32(3), f.tensors, f.pairCount)
	out.Write(f.pairs.Bytes())
	out.Write(f.infos.Bytes())
	for out.Len()%32 != 0 {
		out.WriteByte(0)
	}
	out.Write(f.data.Bytes())
	return out.Bytes()
}
