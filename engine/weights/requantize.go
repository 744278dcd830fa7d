package weights

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/quant"
	"comfygo/engine/torchrand"
)

// encodingOf returns how a stored weight is encoded; false when Requantized does not take it.
func encodingOf(e Entry) (encoding, bool) {
	if !e.Quantized() {
		return encoding{}, false
	}
	m, err := e.Matrix()
	if err != nil {
		return encoding{}, false
	}
	out := encoding{m.Format, whole}
	switch {
	case e.Scheme == nil:
		out.scaling = unscaled
	case m.Format == quant.E5M2AsE4M3:
		out.format = quant.E4M3
	case m.Format == quant.E4M3AsE5M2:
		out.format = quant.E5M2
	case m.Format == quant.Int8:
		if s, _ := e.Scales(); len(s.Shape) > 0 || e.Rotation() > 0 { // as upstream distinguishes them
			out.scaling = byRow
		}
	}
	_, factors := e.inputFactors()
	_, scaled := e.Scales()
	scaled = scaled || out.scaling == unscaled || out.format == quant.MXFP8
	return out, scaled && !factors && m.First == 0 && out.encodes(m.Cols)
}

// Requantizable reports whether Requantized takes weights that are stored like e.
func (e Entry) Requantizable() bool {
	_, ok := encodingOf(e)
	return ok
}

// Requantized returns values, the elements of a changed weight, in the form in which like, the weight before the change, is
// stored: in its scheme with scales of their own, or as 8-bit floats. Rounding is random, from a generator that key, the
// weight's full name, seeds: the same values give the same entry. id distinguishes the values from those of other entries, as
// Entry.Key does. The bytes are private memory; values is written to. Upstream does so with weights that a LoRA changed.
func Requantized(like Entry, values []float32, key, id string) (Entry, error) {
	enc, ok := encodingOf(like)
	if !ok || len(values) != like.Count() {
		return Entry{}, fmt.Errorf("storing %v of %s again: %d values, or a type that weights are not rounded to", like, like.File, len(values))
	}
	like.Offset, like.owner, like.made, like.origin = -1, nil, true, "requantized "+id
	random := torchrand.New(uint64(crc32.ChecksumIEEE([]byte(key))))
	if like.Scheme == nil {
		m, err := enc.encode(values, len(values), random)
		like.Data = m.Data
		return like, err
	}
	scheme := *like.Scheme
	if g := like.Rotation(); g > 0 {
		for at := 0; at < len(values); at += g {
			rotate(values[at : at+g])
		}
	}
	m, err := enc.encode(values, scheme.Cols, random)
	if err != nil {
		return Entry{}, err
	}
	like.Data = m.Data
	if stored, narrow := storedFloats[enc.format]; narrow {
		scheme.Stored = stored
	}
	scheme.Companions = maps.Clone(scheme.Companions)
	companion := func(of func() (Entry, bool), d dtype.DType, n int, data []byte) {
		c, ok := of()
		if !ok || data == nil {
			return
		}
		for role, have := range scheme.Companions {
			if have.Name == c.Name {
				if c.Count() != n || c.DType.Size()*n != len(data) {
					c.Shape = []int{n}
				}
				c.DType, c.Data, c.File, c.Offset, c.owner, c.origin, c.Scheme = d, data, like.File, -1, nil, like.origin, nil
				scheme.Companions[role] = c
			}
		}
	}
	var scales []byte
	for _, v := range m.Scales {
		scales = binary.LittleEndian.AppendUint32(scales, math.Float32bits(v))
	}
	companion(like.Scales, dtype.F32, len(m.Scales), scales)
	companion(like.Blocks, dtype.U8, len(m.Blocks), m.Blocks)
	like.Scheme = &scheme
	return like, nil
}

// storedFloats are the element types of the formats of 8-bit floats.
var storedFloats = map[quant.Format]dtype.DType{quant.E4M3: dtype.F8E4M3, quant.E5M2: dtype.F8E5M2}
